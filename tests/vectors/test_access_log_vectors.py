"""A golden log, made once: this release and every later one must read it and come to the same bytes."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from vault.accesslog.entries import Access, SealedAccess, open_access
from vault.accesslog.leaves import Day, parse_day, parse_leaf, render_leaf
from vault.accesslog.notes import parse_vkey, root_text
from vault.accesslog.sources import DirectorySource
from vault.accesslog.tiles import parse_bundle
from vault.accesslog.verify import verify_published
from vault.domain.roles import Purpose
from vault.errors import TamperedError

HOME = Path(__file__).parent / "access_log"
GOLDEN: dict[str, Any] = json.loads((HOME / "entries.json").read_text(encoding="utf-8"))
KEY = bytes.fromhex(GOLDEN["key"])
ENTRIES: list[dict[str, Any]] = GOLDEN["entries"]
ROOT = "LbrPwkxJpANBB+3BiGpA1Dr7jvLuB8sOdBIwCnkjth8="
LEAVES = [*(entry["leaf"] for entry in ENTRIES), GOLDEN["day"]]


def sealed(entry: Mapping[str, Any]) -> SealedAccess:
    return SealedAccess(
        leaf=entry["leaf"].encode(),
        entry=bytes.fromhex(entry["entry"]),
        staff=bytes.fromhex(entry["staff"]),
        case=entry["case_ref"],
        tag=bytes.fromhex(entry["tag"]) if entry["tag"] else None,
        reader=bytes.fromhex(entry["reader"]),
        at=datetime.fromisoformat(entry["at"]),
    )


def test_the_golden_log_checks_out() -> None:
    vkey = parse_vkey((HOME / "log.vkey").read_text(encoding="ascii").strip())

    verdict = verify_published(DirectorySource(HOME / "published"), vkey)

    assert verdict.to_json() == {
        "size": 6,
        "root": ROOT,
        "ok": True,
        "faults": [],
    }


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def test_its_root_by_hand() -> None:
    leaves = [sha256(b"\0" + leaf.encode()).digest() for leaf in LEAVES]
    four = node(node(leaves[0], leaves[1]), node(leaves[2], leaves[3]))

    assert root_text(node(four, node(leaves[4], leaves[5]))) == ROOT


def test_its_day_by_hand() -> None:
    """Over the sorted tags: each with how many entries there are and its last leaf's hash."""
    last: dict[bytes, tuple[int, bytes]] = {}
    for entry in ENTRIES:
        if entry["tag"]:
            tag, count = bytes.fromhex(entry["tag"]), last.get(bytes.fromhex(entry["tag"]), (0, b""))[0]
            last[tag] = (count + 1, sha256(b"\0" + entry["leaf"].encode()).digest())
    lines = [
        sha256(b"\0" + tag + count.to_bytes(8, "big") + leaf).digest() for tag, (count, leaf) in sorted(last.items())
    ]

    assert len(lines) == 2
    assert parse_day(GOLDEN["day"].encode()) == Day(date(2026, 11, 20), node(*lines), 5, 2)


def test_its_bundle_holds_the_leaves() -> None:
    bundle = parse_bundle((HOME / "published/tile/entries/000.p/6").read_bytes())

    assert [leaf.decode() for leaf in bundle] == LEAVES


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_golden_entry_opens(entry: dict[str, Any]) -> None:
    told = entry["access"]
    expected = Access(
        **{
            **told,
            "at": datetime.fromisoformat(told["at"]),
            "purpose": Purpose(told["purpose"]),
            "kinds": tuple(told["kinds"]),
        }
    )
    one = sealed(entry)

    assert open_access(one, KEY, subject=told["subject"]) == expected
    assert render_leaf(parse_leaf(one.leaf)) == one.leaf


def test_no_golden_entry_opens_in_another_s_place() -> None:
    first, last = sealed(ENTRIES[0]), sealed(ENTRIES[4])

    with pytest.raises(TamperedError):
        open_access(replace(first, entry=last.entry), KEY, subject="P-4F7Q")
