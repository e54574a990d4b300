"""Whoever can write to database and bucket moves sealed bytes about: nothing opens in another's place.

Each swap is made of sealed bytes that open where they belong, and is refused by the one error that it must give.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest

from vault.accesslog.entries import Access, Marks, SealedAccess, open_access, seal_access
from vault.crypto.boxes import open_key, seal_key
from vault.crypto.custody import Custody, make_keys
from vault.crypto.envelope import Context, new_key, seal, unseal
from vault.crypto.keyfile import seal_keys, unseal_keys
from vault.domain.records import Author, Record, RecordKind
from vault.domain.roles import Purpose
from vault.errors import RefusedError, TamperedError, UnknownFormatError
from vault.register.own import _unseal, seal_record
from vault.steps.casefile import item_context, object_context
from vault.steps.collect import object_of
from vault.storage.register import SealedRecord
from vault.testing.accesslog import stored
from vault.testing.secondreader import CHUNK, TAG

NOW: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
CASE, OTHER_CASE = "DSR-2026-7K3QXM", "DSR-2026-2B4WZP"
AUTHOR: Final = Author("Marjatta Koivulehto", "A-1", "psykoterapeutti")
Attempt = tuple[Callable[[], object], type[RefusedError], str]

# ---- a small register: two subjects, keys of their own for identity and care

KEYS: Final[Mapping[tuple[str, str], bytes]] = {
    (kind, subject): new_key() for kind in ("identity", "record") for subject in ("P-1", "P-2")
}
SAME_KEYS: Final = dict.fromkeys(KEYS, new_key())  # as if one key sealed everything: places must hold alone


def row(ref: str, kind: RecordKind, subject: str, keys: Mapping[tuple[str, str], bytes] = KEYS) -> SealedRecord:
    corrects = "R-1" if ref.startswith("C-") else None
    return seal_record(keys, Record(ref, subject, kind, NOW, AUTHOR, {"text": f"of {ref}"}, corrects))


VISIT: Final = row("R-1", RecordKind.VISIT, "P-1")
NOTE: Final = row("R-2", RecordKind.SESSION_ENTRY, "P-1")
CORRECTION: Final = row("C-1", RecordKind.SESSION_ENTRY, "P-1")
STRANGERS: Final = row("R-1", RecordKind.VISIT, "P-2")
ALONE: Final = row("R-1", RecordKind.VISIT, "P-1", SAME_KEYS)
TAMPERED: Final = (TamperedError, "envelope_tampered")


def reading(changed: SealedRecord, keys: Mapping[tuple[str, str], bytes] = KEYS) -> Callable[[], object]:
    return lambda: _unseal(keys, changed)


REGISTER: Final[dict[str, Attempt]] = {
    "row": (reading(replace(VISIT, ref="R-9")), *TAMPERED),
    "subject": (reading(replace(VISIT, subject="P-2")), *TAMPERED),
    "subject under one key": (reading(replace(ALONE, subject="P-2"), SAME_KEYS), *TAMPERED),
    "row under one key": (reading(replace(ALONE, ref="R-2"), SAME_KEYS), *TAMPERED),
    "version": (reading(replace(VISIT, version=2)), *TAMPERED),
    "version under one key": (reading(replace(ALONE, version=2), SAME_KEYS), *TAMPERED),
    "kind, same key": (reading(replace(VISIT, kind="session_entry")), TamperedError, "record_kind"),
    "kind, other key": (reading(replace(VISIT, kind="contact_details")), *TAMPERED),
    "kind under one key": (reading(replace(ALONE, kind="identity"), SAME_KEYS), TamperedError, "record_kind"),
    "two rows' envelopes": (reading(replace(VISIT, envelope=NOTE.envelope)), *TAMPERED),
    "two subjects' envelopes": (reading(replace(VISIT, envelope=STRANGERS.envelope)), *TAMPERED),
    "a correction for what it corrects": (reading(replace(VISIT, envelope=CORRECTION.envelope)), *TAMPERED),
    "a correction made to correct another": (reading(replace(CORRECTION, ref="C-2")), *TAMPERED),
}

# ---- places that no row names: what a thief of one key would still have to get past

KEY: Final = new_key()
PLACE: Final = Context("records", "R-1", "body", "P-1", 1)
NAME: Final = seal(KEY, PLACE, b"Lumi Koivisto")
LONG: Final = seal(KEY, PLACE, bytes(2 * CHUNK + 9))
TWIN: Final = seal(KEY, PLACE, bytes(2 * CHUNK + 9))
STEP: Final = CHUNK + TAG
OWNER: Final = f"case:{CASE}"
DRAFT: Final = [object_context(object_of(CASE, version, "visits.pdf"), OWNER) for version in (1, 2)]


def moved(place: Context, there: Context) -> Attempt:
    envelope = seal(KEY, place, b"{}")
    assert unseal(KEY, place, envelope) == b"{}"
    return (lambda: unseal(KEY, there, envelope)), *TAMPERED


def rebuilt(envelope: bytes) -> Attempt:
    return (lambda: unseal(KEY, PLACE, envelope)), *TAMPERED


def chunk(number: int, envelope: bytes = LONG) -> bytes:
    return envelope[57 + number * STEP : 57 + (number + 1) * STEP]


PLACES: Final[dict[str, Attempt]] = {
    "table": moved(PLACE, PLACE._replace(table="drafts")),
    "column": moved(PLACE, PLACE._replace(column="author")),
    "a part's end over the bar": moved(PLACE, PLACE._replace(row="R-1body", column="")),
    "item of another case": moved(
        item_context(OWNER, "identity", 1), item_context(f"case:{OTHER_CASE}", "identity", 1)
    ),
    "another item": moved(item_context(OWNER, "particulars", 1), item_context(OWNER, "identity", 1)),
    "an older item put back": moved(item_context(OWNER, "identity", 1), item_context(OWNER, "identity", 2)),
    "a draft's file of another version": moved(*DRAFT),
    "another file of the draft": moved(DRAFT[0], object_context(object_of(CASE, 1, "visits.json"), OWNER)),
    "an object of another owner": moved(DRAFT[0], DRAFT[0]._replace(subject=f"case:{OTHER_CASE}")),
    "a decision on another version": moved(
        Context("decisions", CASE, "envelope", "", 1), Context("decisions", CASE, "envelope", "", 2)
    ),
    "a decision on another case": moved(
        Context("decisions", CASE, "envelope", "", 1), Context("decisions", OTHER_CASE, "envelope", "", 1)
    ),
    "another key": ((lambda: unseal(new_key(), PLACE, NAME)), *TAMPERED),
    "chunks in another order": rebuilt(LONG[:57] + chunk(1) + chunk(0) + chunk(2)),
    "a chunk twice": rebuilt(LONG[:57] + chunk(0) + chunk(0) + chunk(2)),
    "a chunk left out": rebuilt(LONG[:57] + chunk(0) + chunk(2)),
    "the last chunk left out": rebuilt(LONG[:57] + chunk(0) + chunk(1)),
    "a chunk of another message": rebuilt(LONG[:57] + chunk(0) + chunk(1, TWIN) + chunk(2)),
    "another message's head": rebuilt(TWIN[:57] + LONG[57:]),
    "another message's salt": rebuilt(TWIN[:25] + LONG[25:]),
    "another message's commitment": rebuilt(LONG[:25] + TWIN[25:57] + LONG[57:]),
    "format byte": ((lambda: unseal(KEY, PLACE, b"\x02" + NAME[1:])), UnknownFormatError, "envelope_format"),
}

# ---- keys

HELD: Final = make_keys()
TWO_ROOTS: Final = replace(HELD, primary=2, roots={1: HELD.roots[1], 2: new_key()})
CUSTODY, ELSEWHERE = Custody(TWO_ROOTS), Custody(make_keys())
WRAPPED: Final = CUSTODY.wrap("record", "P-1", KEY)
SEALED: Final = seal_key(CUSTODY.public("case"), OWNER, KEY)
WRAPPED_TAMPERED: Final = (TamperedError, "wrapped_key_tampered")
SEALED_TAMPERED: Final = (TamperedError, "sealed_key_tampered")


def unwrapping(kind: str, ref: str, wrapped: bytes) -> Attempt:
    return (lambda: CUSTODY.unwrap(kind, ref, wrapped)), *WRAPPED_TAMPERED


def opening(owner: str, sealed: bytes, box: str = "case") -> Attempt:
    return (lambda: open_key(TWO_ROOTS.boxes[box], owner, sealed)), *SEALED_TAMPERED


ON_DISK: Final = seal_keys(HELD, "one passphrase of many words")
WRAPS: Final[dict[str, Attempt]] = {
    "wrapped key of another subject": unwrapping("record", "P-2", WRAPPED),
    "wrapped key of another kind": unwrapping("identity", "P-1", WRAPPED),
    "wrapped key under another held root": unwrapping("record", "P-1", WRAPPED[:4] + b"\x01" + WRAPPED[5:]),
    "wrapped key under an unknown root": unwrapping("record", "P-1", WRAPPED[:4] + b"\x09" + WRAPPED[5:]),
    "wrapped key of another installation": unwrapping("record", "P-1", ELSEWHERE.wrap("record", "P-1", KEY)),
    "a record's envelope for a wrapped key": unwrapping("record", "P-1", VISIT.envelope),
    "rotation of another subject's wrapped key": (
        (lambda: CUSTODY.rotate("record", "P-2", Custody(HELD).wrap("record", "P-1", KEY))),
        *WRAPPED_TAMPERED,
    ),
    "wrapped key's format byte": (
        (lambda: CUSTODY.unwrap("record", "P-1", b"\x02" + WRAPPED[1:])),
        UnknownFormatError,
        "wrapped_key_format",
    ),
    "a wrapped key for a record's envelope": rebuilt(WRAPPED),
    "sealed key of another owner": opening(f"case:{OTHER_CASE}", SEALED),
    "sealed key of another box": opening(OWNER, SEALED, "print"),
    "sealed key of another installation": opening(OWNER, seal_key(ELSEWHERE.public("case"), OWNER, KEY)),
    "a wrapped key for a sealed key": opening(OWNER, WRAPPED),
    "key file under another passphrase": (
        (lambda: unseal_keys(ON_DISK, "another passphrase of words")),
        TamperedError,
        "key_file_tampered",
    ),
}

# ---- the log: an entry, its staff part and its leaf belong together

LOG_KEY: Final = new_key()


def look(subject: str = "P-1", at: datetime = NOW) -> SealedAccess:
    access = Access(at, "3", "Eeva", "dpo", Purpose.REVIEW, "GDPR 15", CASE, subject, ("visit",))
    return stored(seal_access(access, LOG_KEY, Marks(b"t" * 16, b"r" * 16, b"u" * 16), bytes(16)))


ENTRY, LATER, ANOTHERS = look(), look(at=NOW.replace(hour=10)), look("P-2")


def telling(changed: SealedAccess, code: str = "entry_differs", subject: str = "P-1") -> Attempt:
    assert open_access(ENTRY, LOG_KEY, subject="P-1")
    return (lambda: open_access(changed, LOG_KEY, subject=subject)), TamperedError, code


LOG: Final[dict[str, Attempt]] = {
    "log entry for its staff part": telling(replace(ENTRY, entry=ENTRY.staff, staff=ENTRY.entry)),
    "another entry's staff part": telling(replace(ENTRY, staff=LATER.staff)),
    "another entry": telling(replace(ENTRY, entry=LATER.entry)),
    "another leaf": telling(replace(ENTRY, leaf=LATER.leaf)),
    "another subject's entry, leaf and all": telling(ANOTHERS, "envelope_tampered"),
    "the entry told as another subject's": telling(ENTRY, "envelope_tampered", "P-2"),
    "case": telling(replace(ENTRY, case=OTHER_CASE)),
    "tag": telling(replace(ENTRY, tag=b"u" * 16)),
}

SWAPS: Final = REGISTER | PLACES | WRAPS | LOG


def test_what_is_swapped_opens_where_it_belongs() -> None:
    assert {_unseal(KEYS, one).ref for one in (VISIT, NOTE, CORRECTION, STRANGERS)} == {"R-1", "R-2", "C-1"}
    assert _unseal(SAME_KEYS, ALONE).subject == "P-1"
    assert _unseal(KEYS, CORRECTION).corrects == "R-1"
    assert unseal(KEY, PLACE, NAME) == b"Lumi Koivisto"
    assert unseal(KEY, PLACE, LONG[:57] + chunk(0) + chunk(1) + chunk(2)) == bytes(2 * CHUNK + 9)
    assert CUSTODY.unwrap("record", "P-1", WRAPPED) == KEY
    assert open_key(TWO_ROOTS.boxes["case"], OWNER, SEALED) == KEY
    assert unseal_keys(ON_DISK, "one passphrase of many words") == HELD


@pytest.mark.parametrize("name", SWAPS)
def test_a_swap_is_refused(name: str) -> None:
    attempt, error, code = SWAPS[name]

    with pytest.raises(RefusedError) as caught:
        attempt()

    assert (type(caught.value), caught.value.code) == (error, code)


def test_every_swap_is_refused() -> None:
    refused = 0
    for attempt, error, _ in SWAPS.values():
        with pytest.raises(error):
            attempt()
        refused += 1

    assert refused == len(SWAPS) == 56
