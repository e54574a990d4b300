"""gpg's status lines and listings, read strictly: the only thing that a verdict on a signature rests on."""

import re
from collections.abc import Sequence
from typing import TypeAlias

from vault.intake.opened import ProofKind

Statuses: TypeAlias = Sequence[tuple[str, str]]
Verdict: TypeAlias = tuple[ProofKind, str | None, str]

_PREFIX = "[GNUPG:] "
_WEAK_HASHES = frozenset({"1", "2", "3"})  # MD5, SHA-1, RIPEMD-160 by their OpenPGP numbers
_BAD = {  # a signature's status, and what it says of it
    "BADSIG": "signature_bad",
    "REVKEYSIG": "signer_key_revoked",
    "EXPKEYSIG": "signer_key_expired",
    "EXPSIG": "signature_expired",
}
_DOCUMENT_CLASSES = frozenset({"00", "01"})  # over a binary or a text document; others sign keys
_NO_PUBLIC_KEY = "9"
_VALIDSIG_FIELDS, _HASH, _CLASS, _PRIMARY = 10, 7, 8, 9
_ERRSIG_FIELDS, _REASON, _ISSUER = 6, 5, 6
_ADDRESS = re.compile(r"<([^<>\s]+@[^<>\s]+)>\s*|([^<>\s]+@[^<>\s]+)")
_NUMBER = re.compile(r"[0-9A-F]{16,64}")
_DEAD_USER_IDS = frozenset("rei")  # revoked, expired, invalid
_UID_FIELDS, _VALIDITY, _USER_ID = 10, 1, 9
_DEAD_KEYS = {"e": "own_key_expired", "r": "own_key_revoked"}


def parse_statuses(raw: bytes) -> Statuses:
    """Split what gpg wrote to its status descriptor; only a line feed ends a line, whatever a user id holds."""
    lines = (line for line in raw.decode("latin-1").split("\n") if line.startswith(_PREFIX))
    found = (line.removeprefix(_PREFIX).partition(" ") for line in lines)
    return [(name, value) for name, _, value in found]


def judge(statuses: Statuses) -> Verdict:
    """Return the verdict on all signatures of one message, the primary key's fingerprint, and what spoils it.

    One bad signature spoils the message; a signature by an unknown key beside a valid one does not.
    """
    verdicts = [_judge_one(group) for group in _signatures(statuses)]
    for kind in (ProofKind.INVALID, ProofKind.VALID, ProofKind.UNKNOWN_KEY):
        for verdict in verdicts:
            if verdict[0] is kind:
                return verdict
    return ProofKind.NONE, None, ""


def uid_addresses(listing: bytes) -> frozenset[str]:
    """Return the mail addresses of a key's living user ids, in lower case, from ``--with-colons`` output."""
    found = set()
    for line in listing.decode("utf-8", "replace").split("\n"):
        fields = line.split(":")
        alive = len(fields) >= _UID_FIELDS and fields[0] == "uid" and fields[_VALIDITY][:1] not in _DEAD_USER_IDS
        address = _ADDRESS.fullmatch(_unescape(fields[_USER_ID]).rpartition(" ")[2]) if alive else None
        if address:
            found.add((address[1] or address[2]).lower())
    return frozenset(found)


def primary_fingerprint(listing: bytes) -> str | None:
    """Return the primary key's fingerprint from ``--with-colons`` output; None unless it lists exactly one key."""
    rows = [line.split(":") for line in listing.decode("utf-8", "replace").split("\n")]
    primaries = [number for number, row in enumerate(rows) if row[0] == "pub"]
    if len(primaries) != 1 or primaries[0] + 1 >= len(rows):
        return None
    following = rows[primaries[0] + 1]
    return _fingerprint(following[_USER_ID]) if following[0] == "fpr" and len(following) >= _UID_FIELDS else None


def fingerprints(listing: bytes) -> frozenset[str]:
    """Return the fingerprints of all keys and subkeys in ``--with-colons`` output."""
    rows = (line.split(":") for line in listing.decode("utf-8", "replace").split("\n"))
    return frozenset(row[_USER_ID] for row in rows if row[0] == "fpr" and len(row) >= _UID_FIELDS)


def dead_keys(listing: bytes) -> dict[str, str]:
    """Name our keys and subkeys that are expired or revoked, by fingerprint, from ``--with-colons`` output."""
    found, state = {}, ""
    for row in (line.split(":") for line in listing.decode("utf-8", "replace").split("\n")):
        if row[0] in {"pub", "sub"}:
            state = _DEAD_KEYS.get(row[_VALIDITY][:1], "")
        elif row[0] == "fpr" and state and len(row) >= _UID_FIELDS:
            found[row[_USER_ID]] = state
    return found


def _signatures(statuses: Statuses) -> list[dict[str, str]]:
    groups: list[dict[str, str]] = []
    for name, value in statuses:
        if name == "NEWSIG":
            groups.append({})
        elif groups:
            groups[-1].setdefault(name, value)
    return groups


def _judge_one(group: dict[str, str]) -> Verdict:
    valid = group.get("VALIDSIG", "").split()
    primary = _fingerprint(valid[_PRIMARY]) if len(valid) >= _VALIDSIG_FIELDS else None
    if "ERRSIG" in group:
        fields = group["ERRSIG"].split()
        unknown = len(fields) >= _ERRSIG_FIELDS and fields[_REASON] == _NO_PUBLIC_KEY
        named = fields[_ISSUER] if len(fields) > _ISSUER and fields[_ISSUER] != "-" else fields[0]
        if unknown:
            return ProofKind.UNKNOWN_KEY, _fingerprint(named), ""
        return ProofKind.INVALID, _fingerprint(named), "signature_malformed"
    bad = [why for name, why in _BAD.items() if name in group]
    if bad or "GOODSIG" not in group or primary is None:
        return ProofKind.INVALID, primary, next(iter(bad), "signature_malformed")
    if valid[_HASH] in _WEAK_HASHES:
        return ProofKind.INVALID, primary, "signature_weak"
    if valid[_CLASS] not in _DOCUMENT_CLASSES:
        return ProofKind.INVALID, primary, "signature_malformed"
    return ProofKind.VALID, primary, ""


def _fingerprint(value: str) -> str | None:
    return value if _NUMBER.fullmatch(value) else None


def _unescape(value: str) -> str:
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), value)
