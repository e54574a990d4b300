"""What may be logged, what the leaf and the envelopes show, and what opens again."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest

from vault.accesslog.entries import Marks, SealedAccess, check, columns_differ, key_ref, open_access, seal_access
from vault.accesslog.leaves import LONGEST_LEAF, Day, parse_day, parse_leaf, read_leaf, render_day, render_leaf
from vault.crypto.envelope import Context, seal, unseal
from vault.errors import RefusedError, TamperedError, UnknownFormatError
from vault.testing.accesslog import CASE, SUBJECT, look, stored

KEY, TAG, SALT = bytes(range(32)), bytes(range(16)), bytes(16)
READER, USE = b"r" * 16, b"u" * 16
MARKS = Marks(TAG, READER, USE)
LEAF = (
    '{"case":"DSR-2026-7K3QXM","entry":"' + "ab" * 32 + '","staff":"' + "cd" * 32 + '",'
    '"tag":"000102030405060708090a0b0c0d0e0f","time":"2026-11-20T08:30:15Z",'
    '"use":"' + "75" * 16 + '","v":1}'
).encode()
DAY = ('{"day":"2026-11-20","map":"' + "ef" * 32 + '","size":120,"tags":7,"v":1}').encode()


def sealed(**changes: Any) -> SealedAccess:
    return stored(seal_access(look(**changes), KEY, MARKS, SALT))


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": ""},
        {"actor_name": ""},
        {"role": ""},
        {"legal_ground": ""},
        {"outcome": ""},
        {"emergency": ""},
        {"recipient": ""},
        {"actor_name": "x" * 501},
        {"at": datetime(2026, 11, 20, 8, 30)},  # noqa: DTZ001 - the missing zone is the point
        {"at": datetime(1999, 12, 31, tzinfo=UTC)},
        {"case": "Matti Meikäläinen"},
        {"case": ""},
        {"case": "DSR-2026-7K3QXM\n"},
        {"subject": "010594Y9032 Matti"},
        {"subject": "case:DSR-2026-7K3QXM"},
        {"subject": "a/2026"},
        {"subject": "a|b"},
        {"subject": ""},
        {"kinds": ()},
        {"kinds": ("Visit",)},
        {"kinds": ("",)},
        {"kinds": ("visit",) * 65},
        {"count": -1},
    ],
)
def test_an_incomplete_or_unfit_look_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as caught:
        check(look(**changes))

    assert caught.value.code == "access_unfit"


@pytest.mark.parametrize(
    "changes", [{}, {"case": None}, {"subject": None}, {"emergency": "palo"}, {"count": 0}, {"recipient": "Kela"}]
)
def test_a_complete_look_passes(changes: dict[str, Any]) -> None:
    check(look(**changes))


def test_stray_surrogates_are_refused() -> None:
    with pytest.raises(RefusedError):
        sealed(actor_name="\ud800")


@pytest.mark.parametrize(
    ("subject", "case", "at", "ref"),
    [
        (SUBJECT, CASE, datetime(2026, 11, 20, tzinfo=UTC), f"{SUBJECT}/2026"),
        (SUBJECT, None, datetime(2027, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))), f"{SUBJECT}/2026"),
        (None, CASE, datetime(2026, 11, 20, tzinfo=UTC), f"case:{CASE}/2026"),
        (None, None, datetime(2026, 11, 20, tzinfo=UTC), "case:none/2026"),
    ],
)
def test_the_key_is_the_subject_s_else_the_case_s_of_that_year(
    subject: str | None, case: str | None, at: datetime, ref: str
) -> None:
    assert key_ref(subject, case, at) == ref


def test_the_leaf_holds_hashes_tag_case_time_and_the_use_only() -> None:
    one = sealed()

    assert json.loads(one.leaf) == {
        "v": 1,
        "time": "2026-11-20T08:30:15Z",
        "tag": TAG.hex(),
        "case": CASE,
        "entry": sha256(one.entry).hexdigest(),
        "staff": sha256(one.staff + READER).hexdigest(),
        "use": USE.hex(),
    }
    assert len(one.leaf) <= LONGEST_LEAF


def test_nothing_stored_names_anybody() -> None:
    one = sealed(emergency="palohälytys", recipient="Toinen Talo")
    stored = b"".join((one.leaf, one.entry, one.staff, (one.case or "").encode(), one.tag or b"", one.reader or b""))

    for word in ("Aino", "Lääkäri", "staff:7", SUBJECT, "identity", "review", "Article", "palo", "Talo"):
        assert word.encode() not in stored


def test_the_staff_part_is_sealed_apart_and_salted() -> None:
    one = sealed()
    entry = Context("log_leaves", "2026-11-20T08:30:15Z", "entry", SUBJECT, 1)
    staff = Context("log_leaves", "2026-11-20T08:30:15Z", "staff", SUBJECT, 1)

    assert json.loads(unseal(KEY, staff, one.staff)) == {
        "v": 1,
        "salt": SALT.hex(),
        "actor": "staff:7",
        "actor_name": "Aino Lääkäri",
    }
    assert "actor" not in json.loads(unseal(KEY, entry, one.entry))


def test_an_access_opens_as_it_was_with_its_microseconds() -> None:
    access = look(emergency="palohälytys", count=3, outcome="wrong_role", recipient="Toinen Talo")

    assert open_access(stored(seal_access(access, KEY, MARKS, SALT)), KEY, subject=SUBJECT) == access


def test_an_access_before_its_subject_is_known_opens_by_the_case() -> None:
    access = look(subject=None)

    assert open_access(stored(seal_access(access, KEY, replace(MARKS, tag=None), SALT)), KEY, subject=None) == access


@pytest.mark.parametrize(
    ("column", "named"),
    [
        ("entry", ["entry"]),
        ("staff", ["staff"]),
        ("case", ["case_ref"]),
        ("tag", ["tag"]),
        ("reader", ["staff"]),
        ("at", ["at"]),
    ],
)
def test_a_changed_column_is_named_and_refused(column: str, named: list[str]) -> None:
    other = {
        "entry": sealed().entry,
        "staff": sealed().staff,
        "case": "DSR-2026-000000",
        "tag": bytes(16),
        "reader": bytes(16),
        "at": datetime(2026, 11, 20, tzinfo=UTC),
    }
    one = replace(sealed(), **{column: other[column]})  # type: ignore[arg-type]  # a table of fields

    assert columns_differ(one, parse_leaf(one.leaf)) == named
    with pytest.raises(TamperedError):
        open_access(one, KEY, subject=SUBJECT)


def test_bytes_moved_between_staff_and_mark_are_named() -> None:
    one = sealed()
    moved = replace(one, staff=one.staff[:-1], reader=one.staff[-1:] + READER)

    assert columns_differ(moved, parse_leaf(one.leaf)) == ["reader"]


@pytest.mark.parametrize("column", ["entry", "staff", "case", "tag", "reader", "at"])
def test_a_day_s_row_holds_its_leaf_and_nothing_else(column: str) -> None:
    empty = SealedAccess(DAY, b"", b"", None, None, None, None)

    assert columns_differ(empty, read_leaf(DAY)) == []
    grown = replace(empty, **{column: getattr(sealed(), column)})
    assert columns_differ(grown, read_leaf(DAY)) == ["case_ref" if column == "case" else column]


def test_another_key_or_subject_opens_nothing() -> None:
    for key, subject in ((bytes(32), SUBJECT), (KEY, "P-OTHER"), (KEY, None)):
        with pytest.raises(TamperedError):
            open_access(sealed(), key, subject=subject)


def resealed(**changes: Any) -> SealedAccess:
    """An entry whose writer holds the key and lies in it, under a leaf that commits to the lie."""
    one = sealed()
    leaf = parse_leaf(one.leaf)
    context = Context("log_leaves", "2026-11-20T08:30:15Z", "entry", SUBJECT, 1)
    fields = json.loads(unseal(KEY, context, one.entry)) | changes
    fields = {name: value for name, value in fields.items() if value != "gone"}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    entry = seal(KEY, context, text.encode())
    return replace(one, entry=entry, leaf=render_leaf(replace(leaf, entry=sha256(entry).digest())))


@pytest.mark.parametrize(
    "changes",
    [
        {"case": "DSR-2026-000000"},
        {"subject": "P-OTHER"},
        {"at": "2026-11-20T09:30:15.250000Z"},
        {"count": "gone"},
        {"another": 1},
    ],
)
def test_contents_that_disagree_with_the_leaf_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TamperedError):
        open_access(resealed(**changes), KEY, subject=SUBJECT)


@pytest.mark.parametrize(
    "changes",
    [
        {"at": 5},
        {"at": "yesterday"},
        {"purpose": "curiosity"},
        {"kinds": "visit"},
        {"kinds": [1]},
        {"count": "3"},
        {"role": 5},
    ],
)
def test_contents_of_another_shape_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TamperedError):
        open_access(resealed(**changes), KEY, subject=SUBJECT)


def test_an_entry_of_a_later_version_is_named_so() -> None:
    with pytest.raises(UnknownFormatError):
        open_access(resealed(v=2), KEY, subject=SUBJECT)


def test_a_leaf_parses() -> None:
    leaf = parse_leaf(LEAF)

    assert (leaf.case, leaf.tag, leaf.time) == (CASE, TAG, datetime(2026, 11, 20, 8, 30, 15, tzinfo=UTC))
    assert (leaf.entry, leaf.staff) == (bytes.fromhex("ab" * 32), bytes.fromhex("cd" * 32))
    assert leaf.use == USE
    assert render_leaf(leaf) == LEAF == render_leaf(parse_leaf(LEAF))
    assert read_leaf(LEAF) == leaf


def test_a_day_s_leaf_parses() -> None:
    day = Day(date(2026, 11, 20), bytes.fromhex("ef" * 32), 120, 7)

    assert parse_day(DAY) == read_leaf(DAY) == day
    assert render_day(day) == DAY


@pytest.mark.parametrize(
    "leaf",
    [
        DAY + b"\n",
        DAY.replace(b"120", b"0120"),
        DAY.replace(b"120", b"-1"),
        DAY.replace(b"2026-11-20", b"2026-11-31"),
        DAY.replace(b"2026-11-20", b"2026-W47-5"),
        DAY.replace(b"ef", b"EF"),
        DAY.replace(b'"tags":7,', b""),
        DAY.replace(b'"v":1', b'"v":1,"w":1'),
    ],
)
def test_what_is_no_day_is_refused(leaf: bytes) -> None:
    assert parse_day(leaf) is None
    with pytest.raises(TamperedError):
        read_leaf(leaf)


def test_a_day_is_no_look_and_a_look_is_no_day() -> None:
    assert parse_day(LEAF) is None
    with pytest.raises(TamperedError):
        parse_leaf(DAY)


@pytest.mark.parametrize(
    "leaf",
    [
        b"",
        b"{}",
        LEAF + b"\n",
        b" " + LEAF,
        LEAF.replace(b":null", b": null").replace(b'"v":1', b'"v": 1'),
        LEAF.replace(b'"v":1', b'"v":1,"w":2'),
        LEAF.replace(b"ab", b"AB"),
        LEAF.replace(b"2026-11-20T", b"2026-13-20T"),
        LEAF.replace(b"2026-11-20T", b"2026-02-30T"),
        LEAF.replace(b"08:30:15Z", b"24:00:00Z"),
        LEAF.replace(b"2026-11-20T08:30:15Z", b"20261120T083015-0700"),
        LEAF.replace(b"2026-11-20T08:30:15Z", b"2026-11-20T08:30:15"),
        LEAF.replace(b"08:30:15Z", b"08:30+02Z"),
        LEAF.replace(b"2026-11-20T08:30:15Z", b"2026-11-20T08:30:150"),
        LEAF.replace(b"000102", b"0001"),
        LEAF.replace(b'"use":"75', b'"use":"'),
        LEAF.replace(CASE.encode(), b'x"y'),
        LEAF.replace(b'{"case"', b'{"Case"'),
        LEAF[:-1],
    ],
)
def test_what_is_no_leaf_is_refused(leaf: bytes) -> None:
    with pytest.raises(TamperedError):
        parse_leaf(leaf)


def test_a_leaf_of_a_later_version_is_named_so() -> None:
    with pytest.raises(UnknownFormatError):
        parse_leaf(LEAF.replace(b'"v":1', b'"v":2'))
    with pytest.raises(UnknownFormatError):
        read_leaf(DAY.replace(b'"v":1', b'"v":2'))


def test_a_look_s_repr_names_nobody() -> None:
    assert repr(look()) == f"Access(purpose='review', case='{CASE}')"
