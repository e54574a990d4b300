"""Data keys by reference: found and opened one at a time, made once even when two processes want the same one."""

from collections.abc import Collection, Mapping
from typing import Protocol

from vault.crypto.envelope import new_key
from vault.crypto.keyservice import KeyService
from vault.domain.private import Private
from vault.errors import ConflictError, KeyMissingError

_FIRST = 1


class WrappedKeys(Protocol):
    """Where wrapped data keys stand."""

    def get(self, kind: str, ref: str) -> tuple[int, bytes] | None:
        """Give the newest version and its wrapped key, or None."""
        ...

    def put(self, kind: str, ref: str, version: int, wrapped: bytes) -> bool:
        """Add a version; False when somebody was first."""
        ...

    def get_many(self, kind: str, refs: Collection[str]) -> dict[str, bytes]:
        """Give the newest wrapped key of each reference that has one."""
        ...

    def put_many(self, kind: str, version: int, wrapped: Mapping[str, bytes]) -> set[str]:
        """Add a version to each reference; give those where nobody was first."""
        ...


class SealedKeys(Protocol):
    """Where owners' sealed keys stand."""

    def get(self, owner: str) -> tuple[str, bytes] | None:
        """Give the box's name and the sealed key, or None."""
        ...


class KeyRing(Private):
    """Opens the keys that the tables hold, with whatever the office's key service allows.

    Nothing is remembered: each opening is one line in the key service's own audit, which can be
    held against the access log.
    """

    __slots__ = ("_sealed", "_service", "_wrapped")

    def __init__(self, service: KeyService, wrapped: WrappedKeys, sealed: SealedKeys) -> None:
        self._service = service
        self._wrapped = wrapped
        self._sealed = sealed

    def data_key(self, kind: str, ref: str) -> bytes:
        """Open the data key of a subject's, case's or year's part.

        :param kind: one of :data:`vault.crypto.keyservice.KINDS`.
        :param ref: the reference that the key was made for.
        :raises KeyMissingError: it was never made, or has been shredded.
        """
        found = self._wrapped.get(kind, ref)
        if found is None:
            raise _missing()
        return self._service.unwrap(kind, ref, found[1])

    def data_keys(self, kind: str, refs: Collection[str]) -> dict[str, bytes]:
        """Open the data keys of many in two round trips, each with its own line in the key service's audit.

        :raises KeyMissingError: one of them was never made, or has been shredded; none is given then.
        """
        found = self._wrapped.get_many(kind, refs)
        if len(found) != len(set(refs)):
            raise _missing()
        return self._many("unwrap", kind, found)

    def make_data_keys(self, kind: str, refs: Collection[str]) -> dict[str, bytes]:
        """Open the data keys of many, and make those that are not there.

        :raises ConflictError: as :meth:`make_data_key` does.
        """
        found = self._wrapped.get_many(kind, refs)
        fresh = {ref: new_key() for ref in set(refs) - found.keys()}
        boxes = self._many("wrap", kind, fresh)
        mine = self._wrapped.put_many(kind, _FIRST, boxes) if boxes else set()
        late = fresh.keys() - mine
        found |= self._wrapped.get_many(kind, late) if late else {}
        if len(found) + len(mine) != len(set(refs)):
            raise _raced()
        return self._many("unwrap", kind, found) | {ref: fresh[ref] for ref in mine}

    def _many(self, verb: str, kind: str, items: Mapping[str, bytes]) -> dict[str, bytes]:
        answers = self._service.many(verb, kind, list(items.items())) if items else []
        return dict(zip(items, answers, strict=True))

    def make_data_key(self, kind: str, ref: str) -> bytes:
        """Open the data key, and make it first where there is none; of two makers one wins and both get its key.

        :raises ConflictError: the winner's key vanished at once; try again.
        """
        found = self._wrapped.get(kind, ref)
        if found is None:
            key = new_key()
            if self._wrapped.put(kind, ref, _FIRST, self._service.wrap(kind, ref, key)):
                return key
            found = self._wrapped.get(kind, ref)
        if found is None:
            raise _raced()
        return self._service.unwrap(kind, ref, found[1])

    def owner_key(self, owner: str) -> bytes:
        """Open the key that a writer without readers sealed for this owner.

        :param owner: for instance a case's reference.
        :raises KeyMissingError: there is none, or it has been destroyed.
        """
        found = self._sealed.get(owner)
        if found is None:
            raise KeyMissingError("owner_key_missing", "the owner's key was never made or has been destroyed")
        box, sealed = found
        return self._service.unseal(box, owner, sealed)


def _missing() -> KeyMissingError:
    return KeyMissingError("data_key_missing", "the key was never made or has been destroyed; nothing opens it")


def _raced() -> ConflictError:
    return ConflictError("data_key_raced", "another process made and removed this key; repeat the step")
