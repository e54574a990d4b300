"""Dates, times and amounts as people write them, in Helsinki."""

from datetime import UTC, date, datetime

import pytest

from vault.package.language import day, euros, local_day, moment

LATE = datetime(2026, 6, 30, 21, 5, tzinfo=UTC)  # past midnight in Helsinki


@pytest.mark.parametrize(
    ("language", "written_day", "written_moment"),
    [
        ("fi", "1.7.2026", "1.7.2026 klo 0.05"),
        ("sv", "1.7.2026", "1.7.2026 kl. 0.05"),
        ("en", "1 July 2026", "1 July 2026 at 00:05"),
    ],
)
def test_a_moment_is_told_in_helsinki(language: str, written_day: str, written_moment: str) -> None:
    assert local_day(LATE, language) == written_day
    assert moment(LATE, language) == written_moment
    assert day(date(2026, 7, 1), language) == written_day


@pytest.mark.parametrize(
    ("cents", "finnish", "english"),
    [
        (0, "0,00 €", "€0.00"),
        (5, "0,05 €", "€0.05"),
        (-9550, "−95,50 €", "−€95.50"),
        (123456789, "1 234 567,89 €", "€1,234,567.89"),
    ],
)
def test_an_amount_is_written_with_its_cents(cents: int, finnish: str, english: str) -> None:
    assert euros(cents, "fi").replace("\u00a0", " ") == finnish
    assert euros(cents, "sv") == euros(cents, "fi")
    assert euros(cents, "en") == english
