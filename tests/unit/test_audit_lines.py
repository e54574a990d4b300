"""Lines of the key service's audit: one spelling, and what a kill tore is passed over."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.crypto.auditlines import AuditLine, parse_line, parse_lines, render_line
from vault.errors import TamperedError

LINE = AuditLine(
    datetime(2026, 11, 21, 22, 20, 8, 647_000, UTC), "collector", "unwrap", "record", "S-1", "ab" * 16, "granted"
)
TEXT = (
    b'{"at": "2026-11-21T22:20:08.647+00:00", "office": "collector", "verb": "unwrap", "name": "record", '
    b'"ref": "S-1", "use": "abababababababababababababababab", "outcome": "granted"}\n'
)
WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
TIMES = st.datetimes(timezones=st.just(UTC))


def test_line_has_one_spelling() -> None:
    assert render_line(LINE) == TEXT
    assert parse_line(TEXT) == LINE


@given(TIMES, st.lists(WORDS, min_size=6, max_size=6))
def test_what_was_written_is_read(at: datetime, words: list[str]) -> None:
    whole = at.replace(microsecond=at.microsecond // 1000 * 1000)
    line = AuditLine(whole, *words)

    assert parse_line(render_line(line)) == line


@pytest.mark.parametrize(
    "changed",
    [
        TEXT[:-1],
        TEXT.replace(b", ", b","),
        TEXT.replace(b'"S-1"', b"1"),
        TEXT.replace(b"}", b', "more": ""}'),
        TEXT.replace(b'"use": "abababababababababababababababab", ', b""),
        TEXT.replace(b".647", b".6470"),
        TEXT.replace(b"+00:00", b""),
        TEXT.replace(b"2026", b"year"),
        b"[1]\n",
        b"null\n",
        b"\xff\n",
        b"[" * 100_000 + b"\n",
    ],
    ids=range(12),
)
def test_another_spelling_is_refused(changed: bytes) -> None:
    with pytest.raises(TamperedError, match="audit_line_malformed"):
        parse_line(changed)


def test_torn_lines_are_told_from_whole_ones() -> None:
    other = replace(LINE, ref="S-2")
    page = TEXT[:70] + b"\n" + TEXT + b"\n" + render_line(other)

    assert list(parse_lines(page, 7)) == [(7, None), (78, LINE), (79 + len(TEXT), other)]


@given(st.binary(max_size=300))
def test_any_bytes_are_lines_or_none(data: bytes) -> None:
    for place, line in parse_lines(data):
        assert line is None or data[place:].startswith(render_line(line))
