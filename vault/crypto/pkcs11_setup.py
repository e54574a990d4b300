"""Keys made inside a PKCS#11 token: sensitive, never extractable, each for one purpose; what stands there stays."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vault.crypto.keyfile import read_private_secret
from vault.crypto.keyservice import LABELS, SIGNERS
from vault.crypto.pkcs11 import Pkcs11Holder
from vault.crypto.pkcs11_module import Module, load_module, token_away
from vault.crypto.pkcs11_token import by_label, mac_label, root_label, root_numbers, signer_label
from vault.crypto.signers import slot_of
from vault.domain.private import Private
from vault.errors import OutOfReachError, RefusedError, WrongUseError
from vault.settings_keys import Pkcs11Settings

_BITS = 256
_ED25519: Final = bytes.fromhex("06032b6570")  # the OID 1.3.101.112 in DER (RFC 8410, PKCS#11 v3.0 s. 2.3.10)


@dataclass(frozen=True, slots=True)
class KeyState:
    """What a token says of one secret or private key.

    :param sensitive: its value can't be read.
    :param extractable: it can be wrapped and taken out.
    :param own: the token made it itself, and no copy stands outside.
    """

    label: str
    sensitive: bool
    extractable: bool
    own: bool


def init_token(settings: Pkcs11Settings) -> list[str]:
    """Make what is missing: the primary root, MAC keys and signers in the token, and the boxes' bundle.

    :returns: the names of what was made now.
    :raises OutOfReachError: the token doesn't answer.
    :raises WrongUseError: library, PIN or a file is unfit, or the token holds half of a signer.
    """
    with _signed_in(settings, writing=True) as (module, session):
        maker = _Maker(module, session)
        made = [root_label(settings.primary)] if maker.make_root(settings.primary) else []
        made += [mac_label(label) for label in LABELS if maker.make_mac(label)]
        # a retired first version is not made anew
        lacking = [name for name in SIGNERS if not maker.has_versions(name)]
        made += [signer_label(name) for name in lacking if maker.make_signer(name)]
    if Pkcs11Holder(settings).make_bundle():
        made.append(settings.bundle_file.name)
    return made


def add_root(settings: Pkcs11Settings) -> int:
    """Make the next root in the token, unless one already waits to be promoted; gives its number.

    It unwraps from the next reload on, and wraps once it is made primary.

    :raises OutOfReachError: the token doesn't answer.
    """
    with _signed_in(settings, writing=True) as (module, session):
        newest = max(root_numbers(module, session), default=0)
        if newest > settings.primary:
            return newest
        _Maker(module, session).make_root(newest + 1)
    return newest + 1


def add_signer(settings: Pkcs11Settings, name: str, number: int) -> None:
    """Make a version of a signer in the token; one that stands there stays.

    :raises OutOfReachError: the token doesn't answer.
    :raises WrongUseError: the token holds half of it.
    """
    with _signed_in(settings, writing=True) as (module, session):
        _Maker(module, session).make_signer(slot_of(name, number))


def retire_signer(settings: Pkcs11Settings, name: str, number: int) -> None:
    """Destroy both halves of a version in the token for good; one that is not there is gone already.

    :raises OutOfReachError: the token doesn't answer.
    """
    with _signed_in(settings, writing=True) as (module, session):
        kind, label = module.api.ObjectClass, signer_label(slot_of(name, number))
        found = by_label(module, session)
        for half in (kind.PRIVATE_KEY, kind.PUBLIC_KEY):
            for key in found.get((half, label), []):
                key.destroy()


def remove_root(settings: Pkcs11Settings, number: int) -> None:
    """Destroy a root in the token for good; the caller knows that no wrapped key stands under it.

    :raises RefusedError: it is the primary, it isn't there, or the boxes' bundle stands under it.
    """
    with _signed_in(settings, writing=True) as (module, session):
        if number == settings.primary:
            raise RefusedError("root_is_primary", f"root {number} wraps; promote another root and rewrap first")
        if number not in root_numbers(module, session):
            raise RefusedError("root_unknown", f"the token holds no root {number}; see `dsr keys status`")
        if number in Pkcs11Holder(settings).bundle_roots():
            raise RefusedError("root_in_use", f"the boxes stand under root {number}; run `dsr keys root promote` first")
        for key in by_label(module, session).get((module.api.ObjectClass.SECRET_KEY, root_label(number)), []):
            key.destroy()


def look_at_token(settings: Pkcs11Settings) -> list[KeyState]:
    """Tell of every secret and private key of ours whether it could leave the token.

    :raises OutOfReachError: the token doesn't answer.
    """
    with _signed_in(settings, writing=False) as (module, session):
        kind, attribute = module.api.ObjectClass, module.api.Attribute
        return [
            KeyState(
                label, bool(key[attribute.SENSITIVE]), bool(key[attribute.EXTRACTABLE]), bool(key[attribute.LOCAL])
            )
            for (at, label), keys in sorted(by_label(module, session).items())
            if at in (kind.SECRET_KEY, kind.PRIVATE_KEY)
            for key in keys
        ]


def describe_token(settings: Pkcs11Settings) -> str:
    """Say whose token this is; a token in software says so itself.

    :raises OutOfReachError: the token doesn't answer.
    """
    with _signed_in(settings, writing=False) as (module, session):
        hardware = module.api.SlotFlag.HW_SLOT in session.token.slot.flags
        kind = "hardware" if hardware else "software: whoever copies its files and knows the PIN has the keys"
        return f"{session.token.model} ({kind})"


@contextlib.contextmanager
def _signed_in(settings: Pkcs11Settings, *, writing: bool) -> Iterator[tuple[Module, Any]]:
    module = load_module(settings.module)
    with module.lock:
        session = _opened(module, settings, writing=writing)
        try:
            yield module, session
        except module.failure:
            raise token_away() from None
        finally:
            with contextlib.suppress(module.failure):
                session.close()


def _opened(module: Module, settings: Pkcs11Settings, *, writing: bool) -> Any:
    pin = read_private_secret(settings.pin_file)
    try:
        return module.open(settings.token, pin, writing=writing)
    except OutOfReachError:  # it may have come since the library last looked
        module.begin_anew()
        return module.open(settings.token, pin, writing=writing)


class _Maker(Private):
    """Makes keys in one session."""

    def __init__(self, module: Module, session: Any) -> None:
        self._api = module.api
        self._session = session
        self._there = by_label(module, session)

    def make_root(self, number: int) -> bool:
        api, label = self._api, root_label(number)
        if (api.ObjectClass.SECRET_KEY, label) in self._there:
            return False
        uses = api.MechanismFlag.ENCRYPT | api.MechanismFlag.DECRYPT
        self._session.generate_key(api.KeyType.AES, _BITS, **self._kept(label), capabilities=uses)
        return True

    def make_mac(self, name: str) -> bool:
        api, label = self._api, mac_label(name)
        if (api.ObjectClass.SECRET_KEY, label) in self._there:
            return False
        uses, mechanism = api.MechanismFlag.SIGN, api.Mechanism.GENERIC_SECRET_KEY_GEN
        kept = self._kept(label)
        self._session.generate_key(api.KeyType.GENERIC_SECRET, _BITS, **kept, capabilities=uses, mechanism=mechanism)
        return True

    def has_versions(self, name: str) -> bool:
        later = (signer_label(f"{name}-"), self._api.ObjectClass.PRIVATE_KEY)
        return any(at == later[1] and label.startswith(later[0]) for at, label in self._there)

    def make_signer(self, name: str) -> bool:
        api, label = self._api, signer_label(name)
        halves = [(kind, label) in self._there for kind in (api.ObjectClass.PRIVATE_KEY, api.ObjectClass.PUBLIC_KEY)]
        if any(halves):
            if all(halves):
                return False
            raise WrongUseError("token_key_half", f"the token holds only one half of {label}; take it away, try again")
        self._make_pair(label)
        return True

    def _make_pair(self, label: str) -> None:
        api = self._api
        curve = {api.Attribute.EC_PARAMS: _ED25519}
        domain = self._session.create_domain_parameters(api.KeyType.EC_EDWARDS, curve, local=True)
        uses = api.MechanismFlag.SIGN | api.MechanismFlag.VERIFY
        domain.generate_keypair(
            label=label,
            store=True,
            capabilities=uses,
            mechanism=api.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
            private_template=self._shut(),
        )

    def _kept(self, label: str) -> Mapping[str, Any]:
        return {"label": label, "store": True, "template": self._shut()}

    def _shut(self) -> Mapping[Any, bool]:
        attribute = self._api.Attribute
        return {attribute.SENSITIVE: True, attribute.EXTRACTABLE: False, attribute.MODIFIABLE: False}
