"""The keys in a PKCS#11 token: found by label, refused where they are loose, found again after the token was away."""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from vault.crypto.holder import Roots
from vault.crypto.keyfile import read_private_secret
from vault.crypto.keyservice import LABELS, SIGNERS
from vault.crypto.pkcs11_module import Module, load_module, token_away
from vault.crypto.signers import base_of, slot
from vault.domain.private import Private
from vault.errors import WrongUseError
from vault.settings_keys import Pkcs11Settings

_ROOT = re.compile(r"dsr-root-([1-9]\d{0,9})")
_SIGNER: Final = "dsr-signer-"
_POINT = b"\x04\x20"  # DER's OCTET STRING of 32 bytes, in which most tokens put an Ed25519 point (RFC 8032)
_POINT_BYTES: Final = 32
_Value = TypeVar("_Value")


def root_label(number: int) -> str:
    """Name a root in the token."""
    return f"dsr-root-{number}"


def mac_label(label: str) -> str:
    """Name a MAC key in the token."""
    return f"dsr-mac-{label}"


def signer_label(name: str) -> str:
    """Name a signer's two halves in the token."""
    return f"{_SIGNER}{name}"


@dataclass(frozen=True, slots=True)
class TokenKeys(Private):
    """Handles of the keys in one session; nothing of the keys themselves but the signers' public halves.

    :param publics: Ed25519 public halves by signer, 32 raw bytes.
    :param samples: by root, what it sealed once, to try whether it still works; filled when needed.
    """

    session: Any
    roots: Mapping[int, Any]
    macs: Mapping[str, Any]
    signers: Mapping[str, Any]
    publics: Mapping[str, bytes]
    samples: dict[int, bytes] = field(default_factory=dict)


class Token(Private):
    """A token that is signed in to when it is needed, and again after it was away.

    A PIN that the token refused is not tried a second time: tokens lock themselves after a few.
    """

    __slots__ = ("_generation", "_keys", "_refused_pin", "_settings", "module")

    def __init__(self, settings: Pkcs11Settings) -> None:
        self._settings = settings
        self.module: Module = load_module(settings.module)
        self._keys: TokenKeys | None = None
        self._generation = -1
        self._refused_pin: str | None = None

    def __del__(self) -> None:
        """Give the session back: a reload opens a new one, and tokens have few."""
        keys = getattr(self, "_keys", None)  # none where the library didn't load
        if isinstance(keys, TokenKeys) and not self._stale():
            with suppress(self.module.failure), self.module.lock:
                keys.session.close()

    def use(self, act: Callable[[TokenKeys], _Value]) -> _Value:
        """Do something with the keys; once more with fresh handles when the old ones fail.

        :raises OutOfReachError: the token doesn't answer.
        :raises WrongUseError: it refuses the PIN, or lacks a key, or a key in it is loose.
        """
        with self.module.lock:
            for fresh in (self._stale(), True):
                try:
                    return act(self._present())
                except self.module.failure:
                    self._keys = None
                if fresh:
                    break
        raise token_away()

    def roots(self) -> Roots:
        """Tell which roots stand in the token, as it was last seen."""
        with self.module.lock:
            keys = self._keys or self.use(lambda keys: keys)
        return Roots(self._settings.primary, tuple(sorted(keys.roots)))

    def _stale(self) -> bool:
        return self._keys is None or self._generation != self.module.generation

    def _present(self) -> TokenKeys:
        if self._keys is None or self._stale():
            self._keys = self._find()
        return self._keys

    def _find(self) -> TokenKeys:
        pin = read_private_secret(self._settings.pin_file)
        if pin == self._refused_pin:
            raise _pin_still_refused()
        if self._generation == self.module.generation:  # what was found here before is gone: look again
            self.module.begin_anew()
        self._generation = self.module.generation
        try:
            session = self.module.open(self._settings.token, pin)
        except WrongUseError:
            self._refused_pin = pin
            raise
        keys = find_keys(self.module, session)
        if self._settings.primary not in keys.roots:
            raise _missing(root_label(self._settings.primary))
        return keys


def find_keys(module: Module, session: Any) -> TokenKeys:
    """Find every key that the key service needs.

    :raises WrongUseError: one is missing, stands there twice, or could be taken out of the token.
    """
    kind = module.api.ObjectClass
    found = by_label(module, session)
    roots = {
        int(named[1]): _tight(module, _one(label, keys))
        for (at, label), keys in found.items()
        if at == kind.SECRET_KEY and (named := _ROOT.fullmatch(label))
    }
    macs = {name: _get(found, kind.SECRET_KEY, mac_label(name)) for name in LABELS}
    signers = {name: _get(found, kind.PRIVATE_KEY, signer_label(name)) for name in signer_slots(module, found)}
    publics = {name: _point(module, _get(found, kind.PUBLIC_KEY, signer_label(name))) for name in signers}
    for key in (*macs.values(), *signers.values()):
        _tight(module, key)
    return TokenKeys(session, roots, macs, signers, publics)


def signer_slots(module: Module, found: Mapping[tuple[Any, str], list[Any]]) -> list[str]:
    """Name the places of the signers that the token holds, and of each first version that it must hold."""
    kind = module.api.ObjectClass.PRIVATE_KEY
    labels = [label.removeprefix(_SIGNER) for at, label in found if at == kind and label.startswith(_SIGNER)]
    there = {name for name in labels if slot(name, {}) == name and base_of(name) in SIGNERS}
    return sorted(there | {name for name in SIGNERS if all(base_of(held) != name for held in there)})


def by_label(module: Module, session: Any) -> dict[tuple[Any, str], list[Any]]:
    """Give what stands in the token under our names, by class and label."""
    attribute = module.api.Attribute
    found: dict[tuple[Any, str], list[Any]] = {}
    for item in _all(session):
        label = str(item[attribute.LABEL])
        if label.startswith("dsr-"):
            found.setdefault((item[attribute.CLASS], label), []).append(item)
    return found


def root_numbers(module: Module, session: Any) -> set[int]:
    """Give the numbers of the roots in the token."""
    kind = module.api.ObjectClass.SECRET_KEY
    named = (_ROOT.fullmatch(label) for at, label in by_label(module, session) if at == kind)
    return {int(name[1]) for name in named if name}


def _all(session: Any) -> Iterable[Any]:
    return list(session.get_objects())


def _get(found: Mapping[tuple[Any, str], list[Any]], kind: Any, label: str) -> Any:
    return _one(label, found.get((kind, label), []))


def _one(label: str, keys: list[Any]) -> Any:
    if not keys:
        raise _missing(label)
    if len(keys) > 1:
        advice = f"the token holds {label} twice, and nobody can tell which is meant; take away the one never used"
        raise WrongUseError("token_key_twice", advice)
    return keys[0]


def _tight(module: Module, key: Any) -> Any:
    attribute = module.api.Attribute
    if key[attribute.EXTRACTABLE] or not key[attribute.SENSITIVE]:
        advice = f"{key.label} can be taken out of the token; make new keys inside it with `dsr keys init`"
        raise WrongUseError("token_key_loose", advice)
    return key


def _point(module: Module, key: Any) -> bytes:
    point = bytes(key[module.api.Attribute.EC_POINT])
    return point.removeprefix(_POINT) if len(point) == len(_POINT) + _POINT_BYTES else point


def _missing(label: str) -> WrongUseError:
    return WrongUseError("token_key_missing", f"the token holds no {label}; make it with `dsr keys init`")


def _pin_still_refused() -> WrongUseError:
    advice = "the token refused the PIN in keys.pkcs11.pin_file; it is not tried again before the file is changed"
    return WrongUseError("token_pin_refused", advice)
