"""The rules by which uses of keys and entries of the log are held against each other."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from vault.accesslog.leaves import Leaf
from vault.crypto.auditlines import AuditLine
from vault.domain.roles import OfficeName
from vault.steps.uses import CLOCKS, KeyUse, Lack, Standing, Window, concerns, lack_of

NOW = datetime(2026, 11, 20, 8, 30, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
TAG, OTHER = b"t" * 16, b"o" * 16
NAME = "0123456789abcdef" * 2
LEAF = Leaf(NOW, "DSR-2026-7K3QXM", TAG, b"e" * 32, b"s" * 32, bytes.fromhex(NAME))
LINE = AuditLine(NOW, "collector", "unwrap", "record", "S-1", NAME, "granted")
READ = KeyUse(LINE, tag=TAG)
OPENED = KeyUse(replace(LINE, office="desk", verb="unseal", name="case", ref="case:DSR-2026-7K3QXM"), case=LEAF.case)
SEARCH = KeyUse(replace(LINE, verb="mac", name="subject", ref=""))


def writes(office: str, name: str = "record", verb: str = "unwrap") -> KeyUse:
    return KeyUse(replace(LINE, office=office, name=name, verb=verb, use="write"), tag=TAG)


@pytest.mark.parametrize(
    ("line", "concerned"),
    [
        (LINE, True),
        (replace(LINE, name="identity"), True),
        (replace(LINE, name="log"), False),
        (OPENED.line, True),
        (replace(OPENED.line, name="print", ref="print:L-1"), True),
        (SEARCH.line, True),
        (replace(SEARCH.line, office="registry"), False),
        (replace(SEARCH.line, name="log-tag"), False),
        (replace(LINE, verb="wrap"), False),
        (replace(LINE, verb="rotate"), False),
        (replace(LINE, verb="sign", name="log"), False),
    ],
    ids=range(11),
)
def test_what_only_a_receipt_opens_is_told_from_the_rest(line: AuditLine, concerned: bool) -> None:
    assert concerns(line) is concerned


@pytest.mark.parametrize(
    ("use", "leaf", "lack"),
    [
        (READ, LEAF, None),
        (OPENED, LEAF, None),
        (SEARCH, replace(LEAF, tag=None), None),
        (READ, None, Lack.NO_ENTRY),
        (OPENED, None, Lack.NO_ENTRY),
        (SEARCH, None, Lack.NO_ENTRY),
        (replace(READ, line=replace(LINE, use="")), None, Lack.USE_MISSING),
        (replace(OPENED, line=replace(OPENED.line, use="")), LEAF, Lack.USE_MISSING),
        (READ, replace(LEAF, tag=OTHER), Lack.ELSEWHERE),
        (READ, replace(LEAF, tag=None), Lack.ELSEWHERE),
        (OPENED, replace(LEAF, case="DSR-2026-222222"), Lack.ELSEWHERE),
        (OPENED, replace(LEAF, case=None), Lack.ELSEWHERE),
        (READ, replace(LEAF, time=NOW - HOUR - CLOCKS), None),
        (READ, replace(LEAF, time=NOW - HOUR - CLOCKS - timedelta(seconds=1)), Lack.TOO_LATE),
        (READ, replace(LEAF, time=NOW + CLOCKS), None),
        (READ, replace(LEAF, time=NOW + CLOCKS + timedelta(seconds=1)), Lack.TOO_LATE),
        (writes("registry"), None, None),
        (writes("registry", "identity"), None, None),
        (writes("sealer"), None, None),
        (writes("sealer", "identity"), None, Lack.NOBODY_WRITES),
        (replace(writes("sealer"), line=replace(writes("sealer").line, ref="S-9")), None, Lack.NOBODY_WRITES),
        (writes("collector"), LEAF, Lack.NOBODY_WRITES),
        (writes("desk", "case", "unseal"), LEAF, Lack.NOBODY_WRITES),
        (writes("sealer", "case", "unseal"), LEAF, Lack.NOBODY_WRITES),
    ],
    ids=range(24),
)
def test_what_a_use_lacks(use: KeyUse, leaf: Leaf | None, lack: Lack | None) -> None:
    assert lack_of(use, leaf, {"S-1"}) is lack


def window(*uses: KeyUse) -> Window:
    found = Window()
    for place, use in enumerate(uses):
        found.add(place * 200, use)
    return found


REFUSED = replace(READ, line=replace(LINE, outcome="key_rate_reached"))
AGAIN = replace(READ, line=replace(LINE, use="f" * 32))


@pytest.mark.parametrize(
    ("uses", "leaf", "office", "standing"),
    [
        ([READ], LEAF, "collector", Standing.USED),
        ([REFUSED], LEAF, "collector", Standing.REFUSED),
        ([REFUSED, READ], LEAF, "collector", Standing.USED),
        ([READ, REFUSED], LEAF, "collector", Standing.USED),
        ([AGAIN], LEAF, "collector", Standing.UNUSED),
        ([AGAIN], LEAF, "sealer", Standing.MISSING),
        ([replace(AGAIN, tag=OTHER)], LEAF, "collector", Standing.MISSING),
        ([replace(AGAIN, line=replace(AGAIN.line, outcome="key_rate_reached"))], LEAF, "collector", Standing.MISSING),
        ([replace(AGAIN, line=replace(AGAIN.line, use="write"))], LEAF, "collector", Standing.MISSING),
        ([], LEAF, "collector", Standing.MISSING),
    ],
    ids=range(10),
)
def test_how_an_entry_stands(uses: list[KeyUse], leaf: Leaf, office: str, standing: Standing) -> None:
    assert window(*uses).standing(leaf, OfficeName(office)) is standing


def test_a_hand_over_is_explained_by_the_sealer_s_use_for_the_case() -> None:
    kept = window(KeyUse(replace(OPENED.line, office="sealer", use="f" * 32), case=LEAF.case))

    assert kept.standing(LEAF, OfficeName.SEALER) is Standing.UNUSED
    assert kept.standing(LEAF, OfficeName.COLLECTOR) is Standing.MISSING
    assert kept.standing(replace(LEAF, case="DSR-2026-222222"), OfficeName.SEALER) is Standing.MISSING


def test_a_search_that_was_done_again_is_explained_by_its_case() -> None:
    kept = window(KeyUse(replace(OPENED.line, office="collector", use="f" * 32), case=LEAF.case))

    assert kept.standing(replace(LEAF, tag=None), OfficeName.COLLECTOR) is Standing.UNUSED


def test_old_uses_are_forgotten_and_the_window_begins_at_the_oldest_kept() -> None:
    later = replace(READ, line=replace(LINE, at=NOW + HOUR, use="f" * 32))
    kept = window(READ, later)

    assert kept.begins(1000) == 0
    kept.forget(NOW + timedelta(minutes=1))

    assert kept.begins(1000) == 200
    assert kept.standing(LEAF, OfficeName.COLLECTOR) is Standing.UNUSED
    kept.forget(NOW + 2 * HOUR)
    assert kept.begins(1000) == 1000
    assert kept.standing(LEAF, OfficeName.COLLECTOR) is Standing.MISSING


def test_a_use_that_came_again_is_kept_with_its_last_line() -> None:
    kept = window(READ, replace(READ, line=replace(LINE, at=NOW + HOUR)))
    kept.forget(NOW + timedelta(minutes=1))

    assert kept.standing(LEAF, OfficeName.COLLECTOR) is Standing.USED


def test_a_clock_set_back_shortens_no_window() -> None:
    kept = window(replace(READ, line=replace(LINE, at=NOW + HOUR)), AGAIN)
    kept.forget(NOW + timedelta(minutes=1))

    assert kept.latest == NOW + HOUR
    assert kept.standing(replace(LEAF, use=b"\xff" * 16), OfficeName.COLLECTOR) is Standing.USED
