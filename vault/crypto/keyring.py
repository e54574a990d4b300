"""Data keys by reference: opened together, made once even when two processes want the same one."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from vault.crypto.envelope import new_key
from vault.crypto.keyservice import KeyService
from vault.domain.private import Private
from vault.errors import ConflictError, KeyMissingError

_FIRST = 1
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class WrappedKeys(Protocol):
    """Where wrapped data keys stand."""

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

    Nothing is remembered: each opening is one line in the key service's own audit, with the use that it
    was opened for, and can be held against the access log.
    """

    __slots__ = ("_sealed", "_service", "_wrapped")

    def __init__(self, service: KeyService, wrapped: WrappedKeys, sealed: SealedKeys) -> None:
        self._service = service
        self._wrapped = wrapped
        self._sealed = sealed

    def data_key(self, kind: str, ref: str) -> bytes:
        """Open one data key; as :meth:`data_keys`."""
        return self.data_keys(kind, [ref])[ref]

    def data_keys(self, kind: str, refs: Collection[str], *, uses: Mapping[str, str] = _NONE) -> dict[str, bytes]:
        """Open the data keys of many in two round trips, each with its own line in the key service's audit.

        :param kind: one of :data:`vault.crypto.keyservice.KINDS`.
        :param refs: the references that the keys were made for: subjects, cases, or their years.
        :param uses: by reference, the id of the log receipt that allows it, or ``write``.
        :raises KeyMissingError: one of them was never made, or has been shredded; none is given then.
        """
        found = self._wrapped.get_many(kind, refs)
        if len(found) != len(set(refs)):
            raise _missing()
        return self._many("unwrap", kind, found, uses)

    def make_data_key(self, kind: str, ref: str) -> bytes:
        """Open one data key, made first where there is none; as :meth:`make_data_keys`."""
        return self.make_data_keys(kind, [ref])[ref]

    def make_data_keys(self, kind: str, refs: Collection[str], *, uses: Mapping[str, str] = _NONE) -> dict[str, bytes]:
        """Open the data keys of many, and make those that are not there; of two makers one wins, both get its key.

        :param uses: as :meth:`data_keys` takes them.
        :raises ConflictError: a winner's key vanished at once; try again.
        """
        wrapped, fresh = self._made(kind, refs, uses)
        late = {ref: box for ref, box in wrapped.items() if ref not in fresh}
        return self._many("unwrap", kind, late, uses) | fresh

    def make_tagged_keys(self, refs: Collection[str]) -> dict[str, bytes]:
        """Open log keys, made where there are none, each followed by its owner's whole MAC under ``log-tag``.

        :param refs: each an owner and a year.
        :returns: 64 bytes for each.
        :raises ConflictError: as :meth:`make_data_keys`.
        """
        return self._many("unwrap_tagged", "log", self._made("log", refs, _NONE)[0], _NONE)

    def _made(
        self, kind: str, refs: Collection[str], uses: Mapping[str, str]
    ) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Give the wrapped keys of all, and the plain keys of those that were made now."""
        found = self._wrapped.get_many(kind, refs)
        fresh = {ref: new_key() for ref in set(refs) - found.keys()}
        boxes = self._many("wrap", kind, fresh, uses)
        mine = self._wrapped.put_many(kind, _FIRST, boxes) if boxes else set()
        late = fresh.keys() - mine
        found |= self._wrapped.get_many(kind, late) if late else {}
        if len(found) + len(mine) != len(set(refs)):
            raise ConflictError("data_key_raced", "another process made and removed this key; repeat the step")
        return found | {ref: boxes[ref] for ref in mine}, {ref: fresh[ref] for ref in mine}

    def owner_key(self, owner: str, use: str = "") -> bytes:
        """Open the key that a writer without readers sealed for this owner.

        :param owner: for instance a case's reference.
        :param use: the id of the log receipt that allows it.
        :raises KeyMissingError: there is none, or it has been destroyed.
        """
        found = self._sealed.get(owner)
        if found is None:
            raise KeyMissingError("owner_key_missing", "the owner's key was never made or has been destroyed")
        box, sealed = found
        return self._service.unseal(box, owner, sealed, use)

    def _many(self, verb: str, kind: str, items: Mapping[str, bytes], uses: Mapping[str, str]) -> dict[str, bytes]:
        if not items:
            return {}
        answers = self._service.many(verb, kind, list(items.items()), [uses.get(ref, "") for ref in items])
        return dict(zip(items, answers, strict=True))


def _missing() -> KeyMissingError:
    return KeyMissingError("data_key_missing", "the key was never made or has been destroyed; nothing opens it")
