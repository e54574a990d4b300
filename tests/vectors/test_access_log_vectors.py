"""A golden log, made once: this release and every later one must read it and come to the same bytes."""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from vault.accesslog.entries import Access, SealedAccess, open_access
from vault.accesslog.leaves import parse_leaf, render_leaf
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


def sealed(entry: Mapping[str, Any]) -> SealedAccess:
    return SealedAccess(
        leaf=entry["leaf"].encode(),
        entry=bytes.fromhex(entry["entry"]),
        staff=bytes.fromhex(entry["staff"]),
        case=entry["case_ref"],
        tag=bytes.fromhex(entry["tag"]) if entry["tag"] else None,
    )


def test_the_golden_log_checks_out() -> None:
    vkey = parse_vkey((HOME / "log.vkey").read_text(encoding="ascii").strip())

    verdict = verify_published(DirectorySource(HOME / "published"), vkey)

    assert verdict.to_json() == {
        "size": 5,
        "root": "eb+8qj3jvZ9/6QZeOzz25MSoxBOd0RaelC3VLzhzy/Q=",
        "ok": True,
        "faults": [],
    }


def test_its_root_by_hand() -> None:
    leaves = [sha256(b"\0" + entry["leaf"].encode()).digest() for entry in ENTRIES]
    pairs = [sha256(b"\1" + leaves[at] + leaves[at + 1]).digest() for at in (0, 2)]
    root = sha256(b"\1" + sha256(b"\1" + pairs[0] + pairs[1]).digest() + leaves[4]).digest()

    assert root_text(root) == "eb+8qj3jvZ9/6QZeOzz25MSoxBOd0RaelC3VLzhzy/Q="


def test_its_bundle_holds_the_leaves() -> None:
    bundle = parse_bundle((HOME / "published/tile/entries/000.p/5").read_bytes())

    assert [leaf.decode() for leaf in bundle] == [entry["leaf"] for entry in ENTRIES]


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
        open_access(SealedAccess(first.leaf, last.entry, first.staff, first.case, first.tag), KEY, subject="P-4F7Q")
