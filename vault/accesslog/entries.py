"""What one look says and how it is sealed; the leaf commits to it without naming anybody.

The entry (what was read, why) and the staff part (who read) are sealed apart, so that a log can be
shown without its readers (Act 703/2023 ss. 10-11). ``docs/formats/access-log.md`` describes every byte.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from json.encoder import encode_basestring as quoted
from typing import Any, Final, NamedTuple

from vault.accesslog.leaves import TAG_BYTES, VERSION, Day, Leaf, parse_leaf, seconds, to_seconds
from vault.crypto.envelope import Context, seal, unseal
from vault.domain.case import REFERENCE
from vault.domain.private import Private
from vault.domain.roles import Purpose
from vault.errors import RefusedError, TamperedError, UnknownFormatError

GRANTED: Final = "granted"
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_LONGEST_TEXT = 500  # characters
_MOST_KINDS = 64
_FIRST_YEAR = 2000
_MICROS = 26  # characters of a time to the microsecond, without its zone
SUBJECT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KIND = re.compile(r"[a-z][a-z0-9_]{0,40}")
_TEXT, _MAYBE_TEXT = (str,), (str, type(None))
_ENTRY: Final[Mapping[str, tuple[type, ...]]] = {
    "v": (int,),
    "at": _TEXT,
    "role": _TEXT,
    "purpose": _TEXT,
    "legal_ground": _TEXT,
    "case": _MAYBE_TEXT,
    "subject": _MAYBE_TEXT,
    "kinds": (list,),
    "count": (int,),
    "outcome": _TEXT,
    "emergency": _MAYBE_TEXT,
    "recipient": _MAYBE_TEXT,
}
_STAFF: Final[Mapping[str, tuple[type, ...]]] = {"v": (int,), "salt": _TEXT, "actor": _TEXT, "actor_name": _TEXT}


@dataclass(frozen=True, slots=True)
class Access(Private, shows=("purpose", "case")):
    """One look, before it happens.

    :param at: when, with a time zone.
    :param actor: the reader's unique id; ``actor_name`` is the name (Act 703/2023 s. 10 asks for both).
    :param role: the role or office that the reader acts in.
    :param legal_ground: the provision or consent that allows the look.
    :param case: the case's reference, where the look serves one.
    :param subject: the data subject's reference, where it is known.
    :param kinds: what is looked at: record kinds, or what a case holds.
    :param count: how many items.
    :param outcome: ``granted``, or a code that says why nothing was shown; only ``granted`` opens anything.
    :param emergency: the reason, when it was one.
    :param recipient: to whom the data was given, where it left the house: then the entry is a disclosure.
    """

    at: datetime
    actor: str
    actor_name: str
    role: str
    purpose: Purpose
    legal_ground: str
    case: str | None
    subject: str | None
    kinds: tuple[str, ...]
    count: int = 1
    outcome: str = GRANTED
    emergency: str | None = None
    recipient: str | None = None


@dataclass(frozen=True, slots=True)
class Marks:
    """The opaque names that one look is found by.

    :param tag: the subject's, 16 bytes; None when no subject is known.
    :param reader: the actor's, 16 bytes; stored beside the leaf and committed to, never published.
    :param use: 16 random bytes that name this use of the keys.
    """

    tag: bytes | None
    reader: bytes
    use: bytes


class SealedLook(NamedTuple):
    """One look as it is handed to the log."""

    use: bytes
    entry: bytes
    staff: bytes
    case: str | None
    tag: bytes | None
    reader: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class SealedAccess:
    """One look as it is stored; of a day's leaf all but the leaf is empty."""

    leaf: bytes
    entry: bytes
    staff: bytes
    case: str | None
    tag: bytes | None
    reader: bytes | None
    at: datetime | None


def check(access: Access) -> None:
    """Refuse an access that could not be logged completely.

    :raises RefusedError: no time zone, an unfit reference or kind, or an empty field that the law asks for.
    """
    maybe = [len(text) for text in (access.emergency, access.recipient) if text is not None]
    sizes = [len(access.actor), len(access.actor_name), len(access.role), len(access.legal_ground), *maybe]
    if not min(sizes) or max(sizes) > _LONGEST_TEXT or not 0 < len(access.outcome) <= _LONGEST_TEXT:
        raise _unfit("every look names actor, name, role, legal ground and outcome, each of 1-500 characters")
    if access.at.tzinfo is None or access.at.year < _FIRST_YEAR:
        raise _unfit("a look's time has a time zone")
    if access.case is not None and not REFERENCE.fullmatch(access.case):
        raise _unfit("a look names a case by its reference, such as DSR-2026-7K3QXM")
    if access.subject is not None and not SUBJECT.fullmatch(access.subject):
        raise _unfit("a look names a subject by the register's reference: letters, digits, '.', '_' and '-'")
    if not 0 < len(access.kinds) <= _MOST_KINDS or not all(map(_KIND.fullmatch, access.kinds)) or access.count < 0:
        raise _unfit("a look names the record kinds that it opens, in lower case, and how many items")


def key_ref(subject: str | None, case: str | None, time: datetime) -> str:
    """Name the log key that seals an entry: the subject's of that UTC year, else the case's.

    :param time: with a time zone.
    """
    return f"{_owner(subject, case)}/{time.astimezone(UTC).year}"


def seal_access(access: Access, key: bytes, marks: Marks, salt: bytes) -> SealedLook:
    """Seal an access; the database makes the leaf that commits to it.

    :param key: the 32-byte log key that :func:`key_ref` names.
    :param salt: 16 random bytes for the staff part.
    """
    at = access.at.astimezone(UTC)
    micros, owner = _micros(at), _owner(access.subject, access.case)
    time = to_seconds(micros)
    try:
        entry = seal(key, _context("entry", time, owner), _render_entry(access, micros))
        staff = seal(key, _context("staff", time, owner), _render_staff(access, salt))
    except UnicodeEncodeError:
        raise _unfit("a look's texts are Unicode without stray surrogates") from None
    return SealedLook(marks.use, entry, staff, access.case, marks.tag, marks.reader, at.replace(microsecond=0))


def open_access(sealed: SealedAccess, key: bytes, *, subject: str | None) -> Access:
    """Open an access that the leaf commits to.

    :param key: the log key that :func:`key_ref` names for the leaf's time.
    :param subject: whose entry it is; None for an entry that names a case only.
    :raises TamperedError: leaf, columns and contents do not agree.
    :raises UnknownFormatError: a newer release wrote it.
    """
    leaf = parse_leaf(sealed.leaf)
    if columns_differ(sealed, leaf):
        raise _disagrees()
    time, owner = seconds(leaf.time), _owner(subject, leaf.case)
    entry = _fields(unseal(key, _context("entry", time, owner), sealed.entry), _ENTRY)
    staff = _fields(unseal(key, _context("staff", time, owner), sealed.staff), _STAFF)
    access = _access(entry, staff)
    if _render_entry(access, _micros(access.at)) != _canonical(entry):
        raise _disagrees()
    if (access.case, access.subject, seconds(access.at)) != (leaf.case, subject, time):
        raise _disagrees()
    return access


def columns_differ(sealed: SealedAccess, leaf: Leaf | Day) -> list[str]:
    """Name the stored columns that the leaf does not commit to; empty when all agree."""
    if isinstance(leaf, Day):
        pairs = {
            "entry": not sealed.entry,
            "staff": not sealed.staff,
            "case_ref": sealed.case is None,
            "tag": sealed.tag is None,
            "reader": sealed.reader is None,
            "at": sealed.at is None,
        }
    else:
        pairs = {
            "entry": sha256(sealed.entry).digest() == leaf.entry,
            "staff": sha256(sealed.staff + (sealed.reader or b"")).digest() == leaf.staff,
            "reader": len(sealed.reader or b"") == TAG_BYTES,
            "case_ref": sealed.case == leaf.case,
            "tag": sealed.tag == leaf.tag,
            "at": sealed.at == leaf.time,
        }
    return [name for name, agrees in pairs.items() if not agrees]


def _owner(subject: str | None, case: str | None) -> str:
    return subject if subject is not None else f"case:{case or 'none'}"


def _context(column: str, time: str, owner: str) -> Context:
    # the position is not known before the log's lock is held; the leaf's hash binds it
    return Context("log_leaves", time, column, owner, VERSION)


def _render_entry(access: Access, at: str) -> bytes:
    # field by field, four times faster than an encoder; RFC 8785 for strings and whole numbers under ASCII keys
    return (
        f'{{"at":"{at}","case":{_maybe(access.case)},"count":{access.count}'
        f',"emergency":{_maybe(access.emergency)},"kinds":[{",".join(map(quoted, access.kinds))}]'
        f',"legal_ground":{quoted(access.legal_ground)},"outcome":{quoted(access.outcome)}'
        f',"purpose":{quoted(access.purpose.value)},"recipient":{_maybe(access.recipient)}'
        f',"role":{quoted(access.role)},"subject":{_maybe(access.subject)},"v":{VERSION}}}'
    ).encode()


def _render_staff(access: Access, salt: bytes) -> bytes:
    actor, name = quoted(access.actor), quoted(access.actor_name)
    return f'{{"actor":{actor},"actor_name":{name},"salt":"{salt.hex()}","v":{VERSION}}}'.encode()


def _maybe(text: str | None) -> str:
    return "null" if text is None else quoted(text)


def _access(entry: Mapping[str, Any], staff: Mapping[str, Any]) -> Access:
    names = ("role", "legal_ground", "case", "subject", "count", "outcome", "emergency", "recipient")
    try:
        access = Access(
            at=datetime.fromisoformat(entry["at"]),
            actor=staff["actor"],
            actor_name=staff["actor_name"],
            purpose=Purpose(entry["purpose"]),
            kinds=tuple(entry["kinds"]),
            **{name: entry[name] for name in names},
        )
        check(access)
    except (ValueError, TypeError, RefusedError):
        raise _disagrees() from None
    return access


def _canonical(fields: Mapping[str, Any]) -> bytes:
    # strings and whole numbers under ASCII keys: here this is RFC 8785
    return _ENCODER.encode(fields).encode("utf-8")


def _fields(data: bytes, types: Mapping[str, tuple[type, ...]]) -> dict[str, Any]:
    try:
        fields = json.loads(data)
        canonical = _canonical(fields) == data
    except ValueError:
        raise _disagrees() from None
    if not isinstance(fields, dict):
        raise _disagrees()
    if fields.get("v") != VERSION:
        raise UnknownFormatError("entry_version", "this release doesn't know the entry's version; use a newer one")
    if not canonical or fields.keys() != types.keys() or any(type(fields[name]) not in types[name] for name in types):
        raise _disagrees()
    return fields


def _micros(at: datetime) -> str:
    return f"{at.isoformat(timespec='microseconds')[:_MICROS]}Z"


def _unfit(advice: str) -> RefusedError:
    return RefusedError("access_unfit", advice)


def _disagrees() -> TamperedError:
    return TamperedError("entry_differs", "a log entry is not what its leaf commits to; run dsr log verify")
