"""Keys in a real SoftHSM token: they can't be taken out, and whatever happens to the token has a name and an end."""

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from vault.crypto import pkcs11_setup
from vault.crypto.boxes import seal_key
from vault.crypto.holder import Roots
from vault.crypto.holder_bundle import MAGIC
from vault.crypto.holder_wrapping import Place
from vault.crypto.keyservice import LABELS, SIGNERS
from vault.crypto.pkcs11 import Pkcs11Holder
from vault.crypto.pkcs11_module import Module, load_module
from vault.crypto.pkcs11_setup import add_root, init_token, look_at_token, remove_root
from vault.crypto.pkcs11_token import TokenKeys
from vault.errors import OutOfReachError, RefusedError, TamperedError, UnknownFormatError, VaultError, WrongUseError
from vault.settings_keys import Pkcs11Settings
from vault.testing.softhsm import LABEL, SoftHsm, softhsm

KEY = bytes(range(32))
SECRET_LABELS = {"dsr-root-1", *(f"dsr-mac-{label}" for label in LABELS), *(f"dsr-signer-{name}" for name in SIGNERS)}


@pytest.fixture
def hsm() -> Iterator[SoftHsm]:
    with softhsm() as token:
        init_token(token.settings)
        yield token


@pytest.fixture
def holder(hsm: SoftHsm) -> Pkcs11Holder:
    return Pkcs11Holder(hsm.settings)


def session(hsm: SoftHsm) -> Any:
    module = load_module(hsm.module)
    return module.open(LABEL, hsm.settings.pin_file.read_text(), writing=True)


def secret_keys(opened: Any) -> list[Any]:
    return [
        key
        for kind in (ObjectClass.SECRET_KEY, ObjectClass.PRIVATE_KEY)
        for key in opened.get_objects({Attribute.CLASS: kind})
    ]


# --- nothing comes out


def test_no_value_can_be_read(hsm: SoftHsm) -> None:
    keys = secret_keys(session(hsm))

    assert {key.label for key in keys} == SECRET_LABELS
    for key in keys:
        with pytest.raises(pkcs11.AttributeSensitive):
            _ = key[Attribute.VALUE]


def test_no_key_can_be_wrapped_out(hsm: SoftHsm) -> None:
    opened = session(hsm)
    thief = opened.generate_key(KeyType.AES, 256, capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP)
    bait = opened.generate_key(KeyType.AES, 256, template={Attribute.EXTRACTABLE: True})

    assert thief.wrap_key(bait, mechanism=Mechanism.AES_KEY_WRAP)  # the thief's key does wrap what may leave
    for key in secret_keys(opened):
        if key.label in SECRET_LABELS:
            with pytest.raises((pkcs11.KeyUnextractable, pkcs11.KeyNotWrappable)):
                thief.wrap_key(key, mechanism=Mechanism.AES_KEY_WRAP)


@pytest.mark.parametrize("loosened", [{Attribute.EXTRACTABLE: True}, {Attribute.SENSITIVE: False}])
def test_no_key_and_no_copy_of_one_can_be_loosened(hsm: SoftHsm, loosened: dict[Attribute, bool]) -> None:
    ((attribute, value),) = loosened.items()
    for key in secret_keys(session(hsm)):
        with pytest.raises(pkcs11.PKCS11Error):
            key[attribute] = value
        with pytest.raises(pkcs11.PKCS11Error):
            key.copy(loosened)


def test_a_root_neither_wraps_other_keys_nor_signs(hsm: SoftHsm) -> None:
    opened = session(hsm)
    (root,) = opened.get_objects({Attribute.LABEL: "dsr-root-1"})
    uses = (Attribute.WRAP, Attribute.UNWRAP, Attribute.SIGN, Attribute.VERIFY, Attribute.DERIVE)

    assert not any(root[use] for use in uses)


def test_the_token_says_that_it_made_every_key_itself(hsm: SoftHsm) -> None:
    states = look_at_token(hsm.settings)

    assert {state.label for state in states} == SECRET_LABELS
    assert all(state.sensitive and state.own and not state.extractable for state in states)


# --- making and rotating


def test_what_stands_stays_and_what_is_missing_is_made(hsm: SoftHsm) -> None:
    before = Pkcs11Holder(hsm.settings)
    public, mac = before.public("log"), before.mac("arrival", b"x")
    (key,) = session(hsm).get_objects({Attribute.LABEL: "dsr-mac-subject"})
    key.destroy()

    assert init_token(hsm.settings) == ["dsr-mac-subject"]
    assert init_token(hsm.settings) == []
    after = Pkcs11Holder(hsm.settings)
    assert (after.public("log"), after.mac("arrival", b"x")) == (public, mac)


def test_a_root_is_added_made_primary_and_taken_away(hsm: SoftHsm, holder: Pkcs11Holder) -> None:
    wrapped, public = holder.wrap("record", "S-1", KEY), holder.public("case")

    assert (add_root(hsm.settings), add_root(hsm.settings)) == (2, 2)  # the one that waits is enough
    second = hsm.settings.model_copy(update={"primary": 2})
    with pytest.raises(RefusedError, match="root_in_use"):  # the boxes still stand under it
        remove_root(second, 1)
    after = Pkcs11Holder(second)
    moved = after.rotate("record", "S-1", wrapped)
    assert (after.rewrap_bundle(), after.rewrap_bundle()) == (True, False)
    remove_root(second, 1)

    fresh = Pkcs11Holder(second)
    assert fresh.roots() == Roots(2, (2,))
    assert fresh.unwrap("record", "S-1", moved) == KEY
    assert fresh.public("case") == public
    with pytest.raises(TamperedError):
        fresh.unwrap("record", "S-1", wrapped)
    with pytest.raises(TamperedError):
        after.unwrap("record", "S-1", wrapped)  # it had seen the root while it stood


class KilledError(BaseException):
    """Stands for a kill: nothing in the product catches it."""


@pytest.mark.parametrize("count", range(7))
def test_a_set_up_that_was_killed_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    left = iter(range(count))
    kept = pkcs11_setup._Maker._kept
    made_pair = pkcs11_setup._Maker._make_pair

    def step() -> None:
        if next(left, None) is None:
            raise KilledError

    def before_key(self: pkcs11_setup._Maker, label: str) -> Mapping[str, Any]:
        step()
        return kept(self, label)

    def before_pair(self: pkcs11_setup._Maker, label: str) -> None:
        step()
        made_pair(self, label)

    with softhsm() as token:
        with monkeypatch.context() as killing:
            killing.setattr(pkcs11_setup._Maker, "_kept", before_key)
            killing.setattr(pkcs11_setup._Maker, "_make_pair", before_pair)
            with suppress(KilledError):
                init_token(token.settings)
        there = {state.label for state in look_at_token(token.settings)}
        made = init_token(token.settings)

        assert len(there) == min(count, len(SECRET_LABELS))
        assert there | {name for name in made if name != "bundle"} == SECRET_LABELS
        assert Pkcs11Holder(token.settings).public("case")


@pytest.mark.parametrize(("number", "code"), [(1, "root_is_primary"), (7, "root_unknown")])
def test_a_root_that_wraps_or_is_none_is_not_removed(hsm: SoftHsm, number: int, code: str) -> None:
    with pytest.raises(RefusedError, match=code):
        remove_root(hsm.settings, number)


# --- the token goes and comes

VERBS: dict[str, Callable[[Pkcs11Holder, bytes, bytes], object]] = {
    "wrap": lambda holder, _wrapped, _sealed: holder.wrap("record", "S-1", KEY),
    "unwrap": lambda holder, wrapped, _sealed: holder.unwrap("record", "S-1", wrapped),
    "rotate": lambda holder, wrapped, _sealed: holder.rotate("record", "S-1", wrapped),
    "unseal": lambda holder, _wrapped, sealed: holder.unseal("case", "DSR-1", sealed),
    "mac": lambda holder, _wrapped, _sealed: holder.mac("subject", b"x"),
    "sign": lambda holder, _wrapped, _sealed: holder.sign("log", b"x"),
}


@pytest.fixture
def given(holder: Pkcs11Holder) -> tuple[Pkcs11Holder, bytes, bytes]:
    return holder, holder.wrap("record", "S-1", KEY), seal_key(holder.public("case"), "DSR-1", KEY)


def test_while_the_token_is_away_nothing_works_and_then_everything_does(
    hsm: SoftHsm, given: tuple[Pkcs11Holder, bytes, bytes]
) -> None:
    hsm.take_away()
    for verb in (*VERBS, *VERBS):
        with pytest.raises(OutOfReachError, match="token_away"):
            VERBS[verb](*given)

    hsm.bring_back()

    for act in VERBS.values():
        assert act(*given)


def logged_out(hsm: SoftHsm, holder: Pkcs11Holder) -> None:
    holder.mac("subject", b"x")
    load_module(hsm.module)._signed_in[LABEL].close()  # signs the whole process out


def begun_anew(hsm: SoftHsm, _holder: Pkcs11Holder) -> None:
    load_module(hsm.module).begin_anew()


def finished(hsm: SoftHsm, _holder: Pkcs11Holder) -> None:
    load_module(hsm.module).leave()


@pytest.mark.parametrize("lose", [begun_anew, finished, logged_out], ids=lambda act: act.__name__)
def test_a_lost_session_is_opened_again(
    hsm: SoftHsm, given: tuple[Pkcs11Holder, bytes, bytes], lose: Callable[[SoftHsm, Pkcs11Holder], None]
) -> None:
    for act in VERBS.values():
        lose(hsm, given[0])
        assert act(*given)


class Counted:
    """A session that tells how often one was closed."""

    closed = 0

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def close(self) -> None:
        Counted.closed += 1
        self._session.close()


def test_a_reload_gives_its_session_back(hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Module.open
    monkeypatch.setattr(Module, "open", lambda self, label, pin: Counted(real(self, label, pin)))
    monkeypatch.setattr(Counted, "closed", 0)
    holder = Pkcs11Holder(hsm.settings)
    wrapped = holder.wrap("record", "S-1", KEY)

    for number in range(1, 6):
        holder = Pkcs11Holder(hsm.settings)
        assert Counted.closed == number
        assert holder.unwrap("record", "S-1", wrapped) == KEY


def seen_in_order(hsm: SoftHsm, *labels: str) -> None:
    """Begin anew, so that the token gives its handles out in this order."""
    load_module(hsm.module).begin_anew()
    opened = session(hsm)
    for label in labels:
        assert len(list(opened.get_objects({Attribute.LABEL: label}))) == 1


def test_handles_from_before_a_new_beginning_are_never_used(hsm: SoftHsm) -> None:
    add_root(hsm.settings)
    seen_in_order(hsm, "dsr-root-1", "dsr-root-2")
    holder = Pkcs11Holder(hsm.settings)
    seen_in_order(hsm, "dsr-root-2", "dsr-root-1")
    session(hsm)  # now the holder's old handles are good again, and those of the roots have changed places

    wrapped = holder.wrap("record", "S-1", KEY)

    load_module(hsm.module).begin_anew()
    assert Pkcs11Holder(hsm.settings).unwrap("record", "S-1", wrapped) == KEY


def test_changed_bytes_do_not_end_the_session(hsm: SoftHsm, holder: Pkcs11Holder) -> None:
    wrapped = holder.wrap("record", "S-1", KEY)
    generation = load_module(hsm.module).generation

    for _ in range(20):
        with pytest.raises(TamperedError):
            holder.unwrap("record", "S-2", wrapped)

    assert load_module(hsm.module).generation == generation


def test_rubbish_uses_up_no_ivs(holder: Pkcs11Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped = holder.wrap("record", "S-1", KEY)
    sealed: list[int] = []
    real = Pkcs11Holder._encrypt

    def counted(self: Pkcs11Holder, keys: TokenKeys, place: Place, key: bytes) -> bytes:
        sealed.append(place.root)
        return real(self, keys, place, key)

    monkeypatch.setattr(Pkcs11Holder, "_encrypt", counted)
    for _ in range(20):
        with pytest.raises(TamperedError):
            holder.unwrap("record", "S-2", wrapped)

    assert sealed == [1]


def test_threads_share_a_holder(holder: Pkcs11Holder) -> None:
    def there_and_back(number: int) -> bytes:
        return holder.unwrap("record", f"S-{number}", holder.wrap("record", f"S-{number}", bytes([number]) * 32))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(there_and_back, range(64))) == [bytes([number]) * 32 for number in range(64)]


# --- what is unfit


def test_a_refused_pin_is_not_tried_again_until_its_file_changes(hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = hsm.settings.pin_file.read_text()
    holder = Pkcs11Holder(hsm.settings)
    load_module(hsm.module).begin_anew()
    hsm.settings.pin_file.write_text("another-pin-of-ours")
    tries: list[str] = []
    real = Module.open

    def counted(self: Module, label: str, given: str) -> Any:
        tries.append(given)
        return real(self, label, given)

    monkeypatch.setattr(Module, "open", counted)

    for _ in range(5):
        with pytest.raises(WrongUseError, match="token_pin_refused") as refused:
            holder.mac("subject", b"x")
        assert "another" not in str(refused.value)
    assert tries == ["another-pin-of-ours"]

    hsm.settings.pin_file.write_text(pin)
    assert holder.mac("subject", b"x")


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_pin_that_others_may_read_is_refused(hsm: SoftHsm, mode: int) -> None:
    hsm.settings.pin_file.chmod(mode)

    with pytest.raises(WrongUseError, match="key_file_readable"):
        Pkcs11Holder(hsm.settings)


def changed(settings: Pkcs11Settings, **update: object) -> Pkcs11Settings:
    return settings.model_copy(update=update)


def test_no_such_token(hsm: SoftHsm) -> None:
    with pytest.raises(OutOfReachError, match="token_away"):
        Pkcs11Holder(changed(hsm.settings, token="another"))


@pytest.mark.parametrize("content", [None, b"", b"no library"])
def test_no_such_library(hsm: SoftHsm, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "lib.so").write_bytes(content)

    with pytest.raises(WrongUseError, match="pkcs11_module"):
        Pkcs11Holder(changed(hsm.settings, module=tmp_path / "lib.so"))


def test_without_the_extra_it_is_said_what_to_install(hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_name: str) -> None:
        raise ModuleNotFoundError

    monkeypatch.setattr(importlib, "import_module", absent)

    with pytest.raises(WrongUseError, match=r"pkcs11_missing.*dsr-vault\[pkcs11\]"):
        Module(hsm.module)


def test_a_missing_key_has_a_name(hsm: SoftHsm) -> None:
    with pytest.raises(WrongUseError, match=r"token_key_missing.*dsr-root-5"):
        Pkcs11Holder(changed(hsm.settings, primary=5))
    for label in ("dsr-mac-subject", "dsr-signer-log"):
        opened = session(hsm)
        for key in opened.get_objects({Attribute.LABEL: label}):
            key.destroy()
        with pytest.raises(WrongUseError, match=f"token_key_missing.*{label}"):
            Pkcs11Holder(hsm.settings)
        init_token(hsm.settings)


def test_a_loose_root_is_refused(hsm: SoftHsm) -> None:
    loose = {Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: False}
    session(hsm).generate_key(KeyType.AES, 256, label="dsr-root-2", store=True, template=loose)

    with pytest.raises(WrongUseError, match="token_key_loose"):
        Pkcs11Holder(hsm.settings)
    assert [state.label for state in look_at_token(hsm.settings) if state.extractable] == ["dsr-root-2"]


def test_two_roots_of_one_number_are_refused(hsm: SoftHsm) -> None:
    shut = {Attribute.EXTRACTABLE: False, Attribute.SENSITIVE: True}
    session(hsm).generate_key(KeyType.AES, 256, label="dsr-root-1", store=True, template=shut)

    with pytest.raises(WrongUseError, match="token_key_twice"):
        Pkcs11Holder(hsm.settings)


def test_half_a_signer_is_refused(hsm: SoftHsm) -> None:
    wanted = {Attribute.LABEL: "dsr-signer-log", Attribute.CLASS: ObjectClass.PUBLIC_KEY}
    for half in session(hsm).get_objects(wanted):
        half.destroy()

    with pytest.raises(WrongUseError, match="token_key_half"):
        init_token(hsm.settings)


# --- the bundle


def spoiled(content: bytes) -> dict[str, bytes]:
    body = json.loads(content.removeprefix(MAGIC))
    swapped = {"box": {"case": body["box"]["print"], "print": body["box"]["case"]}}
    return {
        "swapped": MAGIC + json.dumps(swapped, sort_keys=True).encode(),
        "empty": b"",
        "magic": content.replace(b"bundle 1", b"bundle 2"),
        "spelling": content.replace(b": ", b":"),
        "extra": MAGIC + json.dumps({**body, "signer": {}}, sort_keys=True).encode(),
        "missing": MAGIC + b"{}",
        "short": content[:-1],
        "list": MAGIC + b"[]",
        "hex": content.replace(b'"03', b'"0x', 1),
    }


@pytest.mark.parametrize("way", ["swapped", "empty", "magic", "spelling", "extra", "missing", "short", "list", "hex"])
def test_a_spoiled_bundle_is_refused(hsm: SoftHsm, way: str) -> None:
    bundle = hsm.settings.bundle_file
    bundle.write_bytes(spoiled(bundle.read_bytes())[way])

    error: type[VaultError] = TamperedError if way == "swapped" else UnknownFormatError
    with pytest.raises(error):
        Pkcs11Holder(hsm.settings).public("case")


def test_a_bundle_of_another_token_is_refused(hsm: SoftHsm) -> None:
    content = hsm.settings.bundle_file.read_bytes()
    with softhsm() as other:
        init_token(other.settings)
        other.settings.bundle_file.write_bytes(content)

        with pytest.raises(TamperedError):
            Pkcs11Holder(other.settings).public("case")


def test_a_bundle_that_others_may_open_or_that_is_gone_is_refused(hsm: SoftHsm) -> None:
    hsm.settings.bundle_file.chmod(0o640)
    with pytest.raises(WrongUseError, match="key_file_readable"):
        Pkcs11Holder(hsm.settings).public("case")
    hsm.settings.bundle_file.unlink()
    with pytest.raises(WrongUseError, match="key_file_missing"):
        Pkcs11Holder(hsm.settings).public("case")
