"""The print outbox: letters sealed to the print role, opened with a receipt, destroyed once posted."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from vault.crypto.boxes import seal_key
from vault.crypto.envelope import new_key, seal, unseal
from vault.domain.private import Private
from vault.domain.roles import Purpose
from vault.errors import KeyMissingError
from vault.steps.casefile import access, object_context, print_owner, record
from vault.steps.parts import Parts
from vault.storage import outgoing
from vault.storage.database import Connection
from vault.storage.keys import SealedKeyTable, add_sealed_key, destroy_owner
from vault.storage.outgoing import Outgoing

LETTER = "letter"


def print_key(ref: str, sealed: bytes) -> str:
    """Name the object that holds a letter; each sealed key has its own, so none is ever overwritten."""
    return f"print/{ref}/{sha256(sealed).hexdigest()[:16]}"


class PrintJob(Private, shows=("ref",)):
    """A letter on its way into the outbox: the object first, then the rows in the caller's transaction.

    A kill between the two leaves ciphertext whose key exists nowhere; it goes when the
    letter has been posted.
    """

    def __init__(self, parts: Parts, ref: str, pdf: bytes) -> None:
        self._parts = parts
        self.ref = ref
        key = new_key()
        owner = print_owner(ref)
        self._sealed = seal_key(parts.service.public("print"), owner, key)
        name = print_key(ref, self._sealed)
        parts.objects.put(name, seal(key, object_context(name, owner), pdf))

    def commit(self, connection: Connection, case_ref: str, kind: str) -> bool:
        """Record the letter; False when it lay there already (then the first one stands)."""
        now = self._parts.now()
        item = Outgoing(self.ref, case_ref, kind, "post", outgoing.READY, now)
        fresh = outgoing.intend(connection, item)
        if not fresh and not outgoing.move(connection, self.ref, outgoing.INTENDED, outgoing.READY, now):
            return False
        add_sealed_key(connection, print_owner(self.ref), "print", self._sealed)
        return True


def open_letters(parts: Parts, folder: Path, limit: int) -> list[str]:
    """Open ready letters as the print role, each look logged first, and write them for the printer.

    :param folder: where the printer takes files from; names are references only.
    :returns: the references of the letters written.
    """
    with parts.database.connect() as connection:
        ready = outgoing.in_state(connection, outgoing.READY, "post", limit)
        ready += outgoing.in_state(connection, outgoing.PRINTED, "post", limit)
    looks = [access(parts, Purpose.PRINT, case=item.case_ref, subject=None, kinds=[LETTER]) for item in ready]
    receipts = record(parts, looks) if looks else []
    for item, receipt in zip(ready, receipts, strict=True):
        parts.log.spend(receipt, case=item.case_ref, subject=None, kinds=[LETTER])
        _write(parts, folder, item, receipt.id)
        with parts.database.connect() as connection:
            outgoing.move(connection, item.ref, outgoing.READY, outgoing.PRINTED, parts.now())
    return [item.ref for item in ready]


def _write(parts: Parts, folder: Path, item: Outgoing, use: str) -> None:
    owner = print_owner(item.ref)
    found = SealedKeyTable(parts.database).get(owner)
    if found is None:
        raise KeyMissingError("letter_gone", "this letter was posted and destroyed already", ref=item.ref)
    name = print_key(item.ref, found[1])
    pdf = unseal(parts.keys.owner_key(owner, use), object_context(name, owner), parts.objects.get(name))
    target = folder / f"{item.ref}.pdf"
    part = target.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_bytes(pdf)
    part.rename(target)


def mark_posted(parts: Parts, refs: Sequence[str]) -> list[str]:
    """Record that letters are in the post, and destroy key and bytes.

    The state changes and the key dies in one transaction; the object, which nothing opens
    any more, follows, and ``keep`` removes one that a kill left behind.

    :returns: the references that were on the printer.
    """
    done = []
    for ref in refs:
        with parts.database.connect() as connection:
            if not outgoing.move(connection, ref, outgoing.PRINTED, outgoing.POSTED, parts.now()):
                continue
            destroy_owner(connection, print_owner(ref))
        drop_letter(parts, ref)
        done.append(ref)
    return done


def drop_letter(parts: Parts, ref: str) -> None:
    """Delete a letter's bytes, and those of attempts that were killed."""
    for name in list(parts.objects.list(f"print/{ref}/")):
        parts.objects.delete(name)
