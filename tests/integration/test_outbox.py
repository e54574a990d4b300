"""The print outbox: opened by the print role alone, each look logged, destroyed once posted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vault.domain.case import Stage
from vault.errors import KeyMissingError, NotAllowedError, TamperedError, WrongUseError
from vault.steps.casefile import print_owner
from vault.steps.outbox import mark_posted, open_letters
from vault.storage.outgoing import POSTED
from vault.testing.road import Road, travelled


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    with travelled() as road:
        yield road


@pytest.fixture
def letter(road: Road) -> str:
    ref = road.bring(Stage.RECEIVED, "code")
    road.run("identify")
    return f"{ref}-code"


def _open(road: Road, folder: Path) -> list[str]:
    folder.mkdir(mode=0o700, exist_ok=True)
    with road.installation.office("print") as parts:
        return open_letters(parts, folder, 100)


def test_a_letter_opens_for_the_print_role_named_by_its_reference(road: Road, letter: str, tmp_path: Path) -> None:
    assert letter in _open(road, tmp_path / "out")
    assert (tmp_path / "out" / f"{letter}.pdf").read_bytes().startswith(b"%PDF")
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".pdf"}


def test_each_opening_is_in_the_access_log(road: Road, letter: str, tmp_path: Path) -> None:
    _open(road, tmp_path / "out")
    with road.installation.office("audit") as parts:
        looks = [entry.access for entry in parts.log.case_entries(letter.removesuffix("-code"))]
    assert [look.actor for look in looks if look.purpose == "print"] == ["office:print"]


@pytest.mark.parametrize("office", ["intake", "collector", "sealer", "desk", "keeper"])
def test_no_other_office_opens_a_letter(road: Road, letter: str, office: str) -> None:
    owner = print_owner(letter)
    with road.installation.owner() as connection:
        row = connection.execute("select sealed from sealed_keys where owner = %s", (owner,)).fetchone()
    assert row is not None
    with road.installation.office(office) as parts:
        with pytest.raises((KeyMissingError, WrongUseError)):  # the database shows it no letter's key
            parts.keys.owner_key(owner)
        with pytest.raises((NotAllowedError, TamperedError)):  # and the key service opens none that it has
            parts.service.unseal("print", owner, bytes(row[0]))


def test_a_posted_letter_is_gone_for_good(road: Road, letter: str, tmp_path: Path) -> None:
    _open(road, tmp_path / "out")
    with road.installation.office("print") as parts:
        assert mark_posted(parts, [letter]) == [letter]
        assert list(parts.objects.list(f"print/{letter}/")) == []
        with pytest.raises(KeyMissingError):
            parts.keys.owner_key(print_owner(letter))
    assert [item.state for item in road.outgoing(letter.removesuffix("-code")) if item.road == "post"] == [POSTED]
    assert letter not in _open(road, tmp_path / "again")


def test_a_letter_that_is_not_on_the_printer_is_not_posted(road: Road, letter: str) -> None:
    with road.installation.office("print") as parts:
        assert mark_posted(parts, [letter, "DSR-2026-000000-code"]) == []
        assert list(parts.objects.list(f"print/{letter}/")) != []
