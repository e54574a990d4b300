"""Signers by name and version: which of them a key service holds, and which of these sign.

The log's signer has versions. ``log`` means the primary, ``log-2`` the second one, and ``log-1`` the first, which
stands under the name ``log`` where keys lie. A newer version than the primary is held and signs nothing yet; older
ones sign beside it until they are retired, so that who knows only their public halves can still check.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from vault.crypto.holder import Versions
from vault.crypto.keyservice import SIGNERS, KeyService, name_unknown
from vault.errors import RefusedError, WrongUseError

ROTATING: Final = ("log",)
_VERSION: Final = re.compile(rf"({'|'.join(ROTATING)})-([1-9]\d{{0,3}})")


def held(service: KeyService, name: str) -> tuple[str, ...]:
    """Name the signers that sign under one name, the primary first; each is fit for ``sign`` and ``public``.

    :param service: whose signers are meant.
    :param name: one of :data:`vault.crypto.keyservice.SIGNERS`.
    :raises NotAllowedError: there is no such signer.
    """
    versions = service.signers(name)
    if name not in ROTATING:
        return (name,)
    older = [number for number in reversed(versions.held) if number < versions.primary]
    return tuple(f"{name}-{number}" for number in (versions.primary, *older))


def base_of(name: str) -> str:
    """Give a signer's name without its version."""
    found = _VERSION.fullmatch(name)
    return found[1] if found else name


def slot(name: str, signing: Mapping[str, int]) -> str:
    """Name the place where the key of a signer lies: its name, with the version from the second on.

    :param signing: the primary version by name; 1 where none is given.
    """
    found = _VERSION.fullmatch(name)
    if found:
        return slot_of(found[1], int(found[2]))
    return slot_of(name, signing.get(name, 1))


def slot_of(name: str, number: int) -> str:
    """Name the place of one version."""
    return name if number == 1 else f"{name}-{number}"


def versions_of(name: str, slots: Collection[str], signing: Mapping[str, int]) -> Versions:
    """Tell which versions of a signer lie in these places.

    :raises NotAllowedError: there is no such signer.
    """
    if name not in SIGNERS:
        raise name_unknown()
    return Versions(signing.get(name, 1), tuple(sorted(_number(held) for held in slots if base_of(held) == name)))


def are_whole(slots: Collection[str], signing: Mapping[str, int]) -> bool:
    """Tell whether these places hold every signer, its primary too, each under its one name."""
    named = all(slot_of(base_of(held), _number(held)) == held for held in slots)
    primaries = {slot(name, signing) for name in SIGNERS}
    known = set(signing) <= set(ROTATING) and all(number > 1 for number in signing.values())
    return named and known and primaries <= set(slots) and {base_of(held) for held in slots} == set(SIGNERS)


def check_rotating(name: str) -> None:
    """Let pass a signer that has versions.

    :raises WrongUseError: it has none.
    """
    if name not in ROTATING:
        raise WrongUseError("signer_fixed", f"only these signers have versions: {', '.join(ROTATING)}")


def signer_unknown(name: str, number: int) -> WrongUseError:
    """Give the refusal for a version that is not held."""
    return WrongUseError("signer_unknown", f"there is no version {number} of the signer {name}; see `dsr keys status`")


def signer_is_primary(name: str, number: int) -> RefusedError:
    """Give the refusal to retire the version that signs first."""
    return RefusedError("signer_is_primary", f"version {number} of the signer {name} is primary; promote another first")


def _number(held: str) -> int:
    found = _VERSION.fullmatch(held)
    return int(found[2]) if found else 1
