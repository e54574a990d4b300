"""A case's sealed file: no log receipt, no opening; what is written is sealed under the case's own key."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from vault.accesslog.entries import Access
from vault.accesslog.receipts import LogReceipt
from vault.crypto.envelope import Context, seal, unseal
from vault.domain.private import Private
from vault.domain.roles import Purpose
from vault.steps.caps import admit
from vault.steps.parts import Parts, Staff
from vault.storage.database import Connection
from vault.storage.keys import get_item, put_items

CASE_FILE = "case_file"
ORIGINAL = "original"  # an arrival's small one, beside its case
LEGAL_GROUND = "GDPR 6(1)(c), 9(2)(h); Act 703/2023 s. 10"


def case_owner(ref: str) -> str:
    """Name the key of a case's file."""
    return f"case:{ref}"


def arrival_owner(ref: str) -> str:
    """Name the key of one arrival's original."""
    return f"arrival:{ref}"


def print_owner(ref: str) -> str:
    """Name the key of one letter in the print outbox."""
    return f"print:{ref}"


def item_context(owner: str, name: str, version: int) -> Context:
    """Bind a sealed item to its place."""
    return Context("sealed_items", owner, name, "", version)


def object_context(key: str, owner: str) -> Context:
    """Bind a sealed object to its name and owner."""
    return Context("objects", key, "body", owner, 1)


def original_key(arrival_ref: str) -> str:
    """Name the object that holds what arrived, unless it is small: then a row does."""
    return f"arrival/{arrival_ref}/original"


def access(
    parts: Parts,
    purpose: Purpose,
    *,
    case: str | None,
    subject: str | None,
    kinds: Iterable[str],
    staff: Staff | None = None,
    count: int = 1,
    emergency: str | None = None,
) -> Access:
    """Describe one look before it happens; a machine's actor is its office."""
    return Access(
        at=parts.now(),
        actor=staff.actor if staff else parts.actor,
        actor_name=staff.name if staff else f"DSR Vault, {parts.office.value}",
        role=",".join(sorted(staff.roles)) if staff else "machine",
        purpose=purpose,
        legal_ground=LEGAL_GROUND,
        case=case,
        subject=subject,
        kinds=tuple(sorted(kinds)),
        count=count,
        emergency=emergency,
    )


def record(parts: Parts, accesses: Sequence[Access]) -> list[LogReceipt]:
    """Write the looks to the access log, durably, and return their receipts."""
    return list(parts.log.record(accesses))


class CaseFile(Private, shows=("ref",)):
    """The opened file of one case."""

    def __init__(self, parts: Parts, ref: str, receipt: LogReceipt) -> None:
        """Spend ``receipt`` and unwrap the case's key.

        :raises NoReceiptError: the receipt is not for this case's file.
        """
        parts.log.spend(receipt, case=ref, subject=receipt.subject, kinds=[CASE_FILE])
        self._parts = parts
        self._owner = case_owner(ref)
        self.ref = ref
        self._use = receipt.id
        self._key = parts.keys.owner_key(self._owner, self._use)

    @classmethod
    def open(
        cls, parts: Parts, ref: str, purpose: Purpose, *, subject: str | None = None, staff: Staff | None = None
    ) -> "CaseFile":
        """Log the look and open the file; a person's look is counted against her cap first.

        :raises LimitError: she has opened as many patients within the hour as one person may.
        """
        look = access(parts, purpose, case=ref, subject=subject, kinds=[CASE_FILE], staff=staff)
        return cls(parts, ref, record(parts, [look if staff is None else admit(parts, look)])[0])

    def get(self, name: str) -> dict[str, Any] | None:
        """Return the newest version of an item, or None."""
        with self._parts.database.connect() as connection:
            found = get_item(connection, self._owner, name)
        if found is None:
            return None
        version, envelope = found
        value: dict[str, Any] = json.loads(unseal(self._key, item_context(self._owner, name, version), envelope))
        return value

    def put(self, connection: Connection, name: str, value: dict[str, Any]) -> None:
        """Write the next version of an item inside the caller's transaction."""
        found = get_item(connection, self._owner, name)
        seal_item(connection, self._key, self._owner, name, value, version=found[0] + 1 if found else 1)

    def get_reply(self, arrival_ref: str) -> dict[str, Any]:
        """Return what a later message on this case says; it was sealed under a key of its own."""
        said = self.beside(arrival_owner(arrival_ref), "reply")
        value: dict[str, Any] = {} if said is None else json.loads(said)
        return value

    def get_original(self, arrival_ref: str) -> bytes:
        """Return the bytes of what arrived.

        :raises KeyMissingError: it was never kept, or has been destroyed.
        """
        owner = arrival_owner(arrival_ref)
        small = self.beside(owner, ORIGINAL)
        return self.get_sealed(owner, original_key(arrival_ref)) if small is None else small

    def beside(self, owner: str, name: str) -> bytes | None:
        """Return an item that a writer without readers sealed under another owner's key; None when there is none."""
        with self._parts.database.connect() as connection:
            found = get_item(connection, owner, name)
        if found is None:
            return None
        version, envelope = found
        return unseal(self._parts.keys.owner_key(owner, self._use), item_context(owner, name, version), envelope)

    def get_sealed(self, owner: str, name: str) -> bytes:
        """Return the bytes of an object that a writer without readers sealed.

        :raises KeyMissingError: it was never made, or has been destroyed.
        """
        key = self._parts.keys.owner_key(owner, self._use)
        return unseal(key, object_context(name, owner), self._parts.objects.get(name))

    def put_object(self, key: str, data: bytes) -> None:
        """Seal and store an object of this case."""
        self._parts.objects.put(key, seal(self._key, object_context(key, self._owner), data))

    def get_object(self, key: str) -> bytes:
        """Fetch and open an object of this case."""
        return unseal(self._key, object_context(key, self._owner), self._parts.objects.get(key))

    def sealed_bytes(self, name: str, version: int, data: bytes) -> bytes:
        """Seal bytes that another table keeps for this case."""
        return seal(self._key, Context(name, self.ref, "envelope", "", version), data)

    def opened_bytes(self, name: str, version: int, envelope: bytes) -> bytes:
        """Open bytes that another table keeps for this case."""
        return unseal(self._key, Context(name, self.ref, "envelope", "", version), envelope)


def seal_item(
    connection: Connection, key: bytes, owner: str, name: str, value: dict[str, Any], *, version: int = 1
) -> None:
    """Seal one JSON item under an owner's key, and store it."""
    put_items(connection, [(owner, name, version, sealed_item(key, owner, name, value, version=version))])


def sealed_item(key: bytes, owner: str, name: str, value: dict[str, Any], *, version: int = 1) -> bytes:
    """Seal one JSON item under an owner's key; writers without readers use it too."""
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return seal(key, item_context(owner, name, version), data)
