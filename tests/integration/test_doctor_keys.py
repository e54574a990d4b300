"""`dsr doctor` on each key service: what is fit is named, what is unfit too, and a stand-in is called one."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from click.testing import CliRunner
from pkcs11 import Attribute, KeyType, ObjectClass

from vault.cli import main
from vault.cli.probes import custody
from vault.crypto import kms_setup
from vault.crypto.keydir import init, render_vkey
from vault.crypto.kms import KmsHolder
from vault.crypto.kms_line import KmsLine
from vault.crypto.pkcs11_module import load_module
from vault.errors import VaultError
from vault.settings import read_secret
from vault.settings_keys import KmsSettings
from vault.testing.held_keys import HeldKeys, held_keys
from vault.testing.moto_kms import moto_kms
from vault.testing.places import write_private
from vault.testing.softhsm import LABEL, SoftHsm, softhsm

ORIGIN = "log.example/dsr-test"
COMMON = [
    "answers an office",
    "refuses a stranger's token",
    "refuses a wrong context",
    "refuses a verb that is not the office's",
    "its custody is the settings'",
]
SHUT = "the token's keys are sensitive and can't be extracted"
AWS = "KMS is AWS itself"
ENABLED = "KMS's roots are enabled and not about to be deleted"


def examined(place: HeldKeys) -> dict[str, tuple[bool, str]]:
    done = CliRunner(env={"DSR_CONFIG": str(place.config)}).invoke(main, ["doctor", "--part", "keys", "--json"])
    parts = json.loads(done.output)["parts"]
    assert done.exit_code == (0 if all(part["fit"] for part in parts) else 1)
    return {part["check"]: (part["fit"], part["why"]) for part in parts}


def unfit(place: HeldKeys) -> dict[str, str]:
    return {check: why for check, (fit, why) in examined(place).items() if not fit}


def made(place: HeldKeys, kind: str) -> None:
    words = ["keys", "init", str(place.files.path), "--custody", kind]
    assert CliRunner(env={"DSR_CONFIG": str(place.config)}).invoke(main, words).exit_code == 0


@pytest.fixture(scope="module")
def serving_local() -> Iterator[HeldKeys]:
    with held_keys() as place:
        files = place.files
        place.write({"key_file": str(files.key_file), "passphrase_file": str(files.passphrase_file)})
        init(files.path, ORIGIN)
        with place.serving():
            yield place


@pytest.fixture
def local(serving_local: HeldKeys) -> Iterator[HeldKeys]:
    with as_it_was(serving_local):
        yield serving_local


@contextmanager
def as_it_was(place: HeldKeys) -> Iterator[None]:
    """Put the settings file back, whatever a test wrote into it."""
    before = place.config.read_text()
    try:
        yield
    finally:
        write_private(place.config, before)


@pytest.fixture(scope="module")
def on_token() -> Iterator[tuple[HeldKeys, SoftHsm]]:
    with held_keys() as place, softhsm() as hsm:
        place.write({"custody": "pkcs11", "pkcs11": hsm.settings.model_dump(mode="json")})
        made(place, "pkcs11")
        with place.serving():
            yield place, hsm


@pytest.fixture(scope="module")
def on_kms() -> Iterator[tuple[HeldKeys, KmsSettings]]:
    with held_keys() as place, moto_kms() as named:
        place.write({"custody": "aws-kms", "kms": named.model_dump(mode="json")})
        made(place, "aws-kms")
        with place.serving():
            yield place, named


def test_a_key_file_is_fit_and_says_its_roots(local: HeldKeys) -> None:
    found = examined(local)

    assert list(found) == COMMON
    assert all(fit for fit, _why in found.values())
    assert found["answers an office"][1].endswith("custody local, root 1 wraps, held: 1")


def test_a_service_that_does_not_run_as_the_settings_say_is_unfit(local: HeldKeys) -> None:
    with softhsm() as hsm:
        local.write({"custody": "pkcs11", "pkcs11": hsm.settings.model_dump(mode="json")})
        found = unfit(local)

    assert found["its custody is the settings'"].startswith("the service runs with custody local")


def test_an_office_without_the_holders_settings_tries_the_service_alone(local: HeldKeys) -> None:
    local.write({})

    assert list(examined(local)) == COMMON[:-1]


# --- a token


def signed_in(hsm: SoftHsm) -> Any:
    load_module(hsm.module).begin_anew()
    return load_module(hsm.module).open(LABEL, hsm.settings.pin_file.read_text(), writing=True)


@contextmanager
def root_nine(hsm: SoftHsm, template: dict[Attribute, Any]) -> Iterator[None]:
    """Put one more root into the token, which the key service does not know yet."""
    session = signed_in(hsm)
    what = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.AES, Attribute.TOKEN: True}
    if Attribute.VALUE in template:
        session.create_object({**what, Attribute.LABEL: "dsr-root-9", **template})
    else:
        session.generate_key(KeyType.AES, 256, label="dsr-root-9", store=True, template=template)
    try:
        yield
    finally:
        for key in signed_in(hsm).get_objects({Attribute.LABEL: "dsr-root-9"}):
            key.destroy()


def test_a_token_is_fit_and_a_token_in_software_is_called_so(on_token: tuple[HeldKeys, SoftHsm]) -> None:
    place, hsm = on_token

    found = examined(place)

    assert list(found) == [*COMMON, SHUT]
    assert all(fit for fit, _why in found.values())
    assert "custody pkcs11, root 1 wraps, held: 1" in found["answers an office"][1]
    assert found[SHUT][1].startswith("6 keys in SoftHSM")
    assert "software: whoever copies its files and knows the PIN has the keys" in found[SHUT][1]
    assert hsm.settings.pin_file.read_text() not in json.dumps(found)


ROOTS: dict[str, tuple[dict[Attribute, Any], str]] = {
    "extractable": ({Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: True}, "dsr-root-9 can be taken out"),
    "readable": ({Attribute.EXTRACTABLE: False, Attribute.SENSITIVE: False}, "dsr-root-9 can be taken out"),
    "brought-in": (
        {Attribute.EXTRACTABLE: False, Attribute.SENSITIVE: True, Attribute.VALUE: bytes(32)},
        "dsr-root-9 came from outside",
    ),
}


@pytest.mark.parametrize("way", ROOTS)
def test_a_root_that_can_leave_or_came_from_outside_is_unfit(on_token: tuple[HeldKeys, SoftHsm], way: str) -> None:
    place, hsm = on_token
    template, why = ROOTS[way]

    with root_nine(hsm, template):
        assert unfit(place)[SHUT].startswith(why)
    assert unfit(place) == {}


def test_a_token_that_is_away_is_unfit_and_no_crash(on_token: tuple[HeldKeys, SoftHsm]) -> None:
    place, hsm = on_token

    hsm.take_away()
    try:
        found = unfit(place)
    finally:
        hsm.bring_back()

    assert unfit(place) == {}
    assert "token doesn't answer" in found[SHUT]
    assert "refuses a wrong context" in found


# --- KMS


def test_moto_is_called_unfit_and_it_is_said_why(on_kms: tuple[HeldKeys, KmsSettings]) -> None:
    place, named = on_kms

    found = examined(place)

    assert {check for check, (fit, _why) in found.items() if not fit} == {AWS}
    assert found[AWS][1].startswith(
        "http://127.0.0.1 is not AWS: a stand-in such as moto still decrypts with disabled and deleted keys"
    )
    assert "custody aws-kms, root 1 wraps, held: 1, 2" in found["answers an office"][1]
    assert found["KMS refuses a wrong encryption context"][1] == "refused: wrapped_key_tampered"
    assert found["KMS refuses made-up credentials"][1].startswith("refused")
    assert found[ENABLED][1].startswith("root 1 enabled, yearly rotation off; root 2 enabled")
    assert named.secret_key_file
    assert read_secret(named.secret_key_file) not in json.dumps(found)


def raw(settings: KmsSettings) -> Any:
    assert settings.access_key_file
    assert settings.secret_key_file
    return boto3.client(
        "kms",
        endpoint_url=settings.endpoint,
        region_name=settings.region,
        aws_access_key_id=read_secret(settings.access_key_file),
        aws_secret_access_key=read_secret(settings.secret_key_file),
    )


def a_third_root(named: KmsSettings) -> tuple[KmsSettings, str]:
    told = raw(named).create_key()["KeyMetadata"]
    return named.model_copy(update={"roots": {**named.roots, 3: told["Arn"]}}), told["KeyId"]


def test_what_the_doctor_says_of_moto_is_true(on_kms: tuple[HeldKeys, KmsSettings]) -> None:
    named, key = a_third_root(on_kms[1])
    holder = KmsHolder(named.model_copy(update={"primary": 3}))
    wrapped = holder.wrap("record", "S-1", bytes(32))

    raw(named).disable_key(KeyId=key)
    assert holder.unwrap("record", "S-1", wrapped) == bytes(32)
    raw(named).schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert holder.unwrap("record", "S-1", wrapped) == bytes(32)


@pytest.mark.parametrize(
    ("act", "words", "state"),
    [("disable_key", {}, "Disabled"), ("schedule_key_deletion", {"PendingWindowInDays": 7}, "PendingDeletion")],
    ids=["disabled", "deleted"],
)
def test_a_root_that_is_not_enabled_is_unfit(
    on_kms: tuple[HeldKeys, KmsSettings], act: str, words: dict[str, int], state: str
) -> None:
    place, (named, key) = on_kms[0], a_third_root(on_kms[1])
    getattr(raw(named), act)(KeyId=key, **words)

    with as_it_was(place):
        place.write({"custody": "aws-kms", "kms": named.model_dump(mode="json")})
        assert unfit(place)[ENABLED].startswith(f"root 3 is {state}")


def test_a_primary_that_the_service_has_not_heard_of_is_unfit(on_kms: tuple[HeldKeys, KmsSettings]) -> None:
    place, named = on_kms

    with as_it_was(place):
        place.write({"custody": "aws-kms", "kms": {**named.model_dump(mode="json"), "primary": 2}})
        found = unfit(place)["its custody is the settings'"]

    assert found == "the service wraps under root 1, not 2; send it SIGHUP"


def test_a_kms_that_is_away_is_unfit_and_no_crash(on_kms: tuple[HeldKeys, KmsSettings]) -> None:
    place, named = on_kms

    with as_it_was(place):
        away = {**named.model_dump(mode="json"), "endpoint": "http://127.0.0.1:1"}
        place.write({"custody": "aws-kms", "kms": away})
        found = unfit(place)

    assert found["KMS refuses a wrong encryption context"].startswith("AWS KMS doesn't answer")
    assert found[ENABLED].startswith("AWS KMS doesn't answer")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> KmsSettings:
    bundle = tmp_path_factory.mktemp("bundle") / "bundle"
    return KmsSettings(region="eu-north-1", roots={1: "k"}, primary=1, macs={}, bundle_file=bundle)


@pytest.mark.parametrize(
    ("endpoint", "fit"),
    [
        (None, True),
        ("https://vpce-0a1b.kms.eu-north-1.vpce.amazonaws.com", True),
        ("https://kms.cn-north-1.amazonaws.com.cn", True),
        ("http://kms.eu-north-1.amazonaws.com", False),
        ("https://kms.amazonaws.com.attacker.example", False),
        ("https://xamazonaws.com", False),
        ("http://localhost:4566", False),
    ],
)
def test_only_aws_is_aws(settings: KmsSettings, endpoint: str | None, fit: bool) -> None:
    named = settings.model_copy(update={"endpoint": endpoint})

    if fit:
        assert custody._is_aws(named)
    else:
        with pytest.raises(VaultError, match="is not AWS"):
            custody._is_aws(named)


def test_a_lax_kms_is_unfit(settings: KmsSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KmsLine, "ask", lambda *_words, **_more: {})
    monkeypatch.setattr(kms_setup, "opens_in_another_place", lambda _settings: True)
    told = dict(custody._kms_trials(settings))

    for check in ("KMS refuses made-up credentials", "KMS refuses a wrong encryption context"):
        with pytest.raises(VaultError, match="do not use it"):
            told[check]()


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"KeyState": "Enabled", "KeySpec": "RSA_2048"}, "root 1 is RSA_2048"),
        ({"KeyState": "Enabled", "KeySpec": "SYMMETRIC_DEFAULT", "Origin": "EXTERNAL"}, "root 1 was brought into KMS"),
    ],
    ids=["kind", "imported"],
)
def test_a_root_of_another_kind_or_origin_is_unfit(
    settings: KmsSettings, monkeypatch: pytest.MonkeyPatch, metadata: dict[str, str], why: str
) -> None:
    answer = {"KeyMetadata": metadata, "KeyRotationEnabled": True}
    monkeypatch.setattr(KmsLine, "ask", lambda *_words, **_more: answer)

    with pytest.raises(VaultError, match=why):
        custody._roots_stand(settings)


def test_the_holders_secret_files_are_looked_at(on_token: tuple[HeldKeys, SoftHsm]) -> None:
    place, hsm = on_token
    words = ["doctor", "--part", "secrets", "--json"]
    runner = CliRunner(env={"DSR_CONFIG": str(place.config)})

    hsm.settings.pin_file.chmod(0o604)
    try:
        parts = json.loads(runner.invoke(main, words).output)["parts"]
    finally:
        hsm.settings.pin_file.chmod(0o600)

    found = {part["check"]: part["fit"] for part in parts if part["check"].startswith("keys.pkcs11")}
    assert found == {"keys.pkcs11.pin_file is private": False, "keys.pkcs11.bundle_file is private": True}


def test_a_signer_of_the_log_that_nobody_is_told_of_is_named(local: HeldKeys) -> None:
    check = "whoever checks the log knows who signs it"
    listed = local.files.public("log")
    keys = {"key_file": str(local.files.key_file), "passphrase_file": str(local.files.passphrase_file)}
    local.write(keys, log={"public_key_file": str(listed)})
    whole = listed.read_text()

    assert examined(local)[check] == (True, "log-1 of 1 listed")
    listed.write_text(render_vkey(ORIGIN, bytes(32)) + "\n")
    fit, why = examined(local)[check]
    listed.write_text(whole)

    assert not fit
    assert "log-1 is not listed in log.vkey" in why
