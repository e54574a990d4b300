"""Settings of the key service: one custody, whole and alone; what contradicts itself is refused with advice."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from vault.crypto.custody import Custody
from vault.crypto.holders import open_holder
from vault.crypto.keydir import KeyDirectory, init
from vault.errors import WrongUseError
from vault.settings import load
from vault.settings_keys import KeySettings
from vault.testing.held_keys import held_keys
from vault.testing.keyservice import ORIGIN

BASE: dict[str, Any] = {"socket": "s", "token_files": {}}
ARN = "arn:aws:kms:eu-north-1:123456789012:key/"
KMS: dict[str, Any] = {
    "region": "eu-north-1",
    "roots": {"1": f"{ARN}1111", "2": "mrk-2222"},
    "primary": 1,
    "macs": {"subject": "a", "arrival": "b", "log-tag": "c"},
    "bundle_file": "b",
}
TOKEN: dict[str, Any] = {"module": "m", "token": "t", "pin_file": "p", "bundle_file": "b"}
FILE = {"key_file": "k", "passphrase_file": "p"}


def test_the_default_is_the_key_file() -> None:
    settings = KeySettings.model_validate({**BASE, **FILE})

    assert (settings.custody, settings.kms, settings.pkcs11) == ("local", None, None)


def test_an_office_needs_no_custody() -> None:
    assert KeySettings.model_validate(BASE).custody == "local"


def test_whole_tables_are_read() -> None:
    kms = KeySettings.model_validate({**BASE, "custody": "aws-kms", "kms": KMS}).kms
    token = KeySettings.model_validate({**BASE, "custody": "pkcs11", "pkcs11": TOKEN}).pkcs11

    assert kms
    assert kms.roots == {1: f"{ARN}1111", 2: "mrk-2222"}
    assert token
    assert token.primary == 1


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "kms-without-table": ({"custody": "aws-kms"}, r"custody_incomplete: .*\[keys.kms\]"),
    "pkcs11-without-table": ({"custody": "pkcs11"}, r"custody_incomplete: .*\[keys.pkcs11\]"),
    "table-of-another": ({"custody": "pkcs11", "pkcs11": TOKEN, "kms": KMS}, r"custody_mixed: .*\[keys.kms\]"),
    "table-without-custody": ({"kms": KMS}, r"custody_mixed: keys.custody is local"),
    "key-file-besides": ({"custody": "aws-kms", "kms": KMS, **FILE}, "custody_mixed: .*key_file"),
    "passphrase-besides": (
        {"custody": "pkcs11", "pkcs11": TOKEN, "passphrase_file": "p"},
        "custody_mixed: .*passphrase_file",
    ),
    "primary-unknown": ({"custody": "aws-kms", "kms": {**KMS, "primary": 3}}, "custody_primary"),
    "one-key-for-two": ({"custody": "aws-kms", "kms": {**KMS, "roots": {"1": "a"}}}, "custody_key_twice"),
    "half-the-credentials": (
        {"custody": "aws-kms", "kms": {**KMS, "access_key_file": "a"}},
        "custody_credentials",
    ),
}


@pytest.mark.parametrize("way", WRONG)
def test_what_contradicts_itself_is_refused_with_advice(way: str) -> None:
    update, message = WRONG[way]

    with pytest.raises(WrongUseError, match=message):
        KeySettings.model_validate({**BASE, **update})


MALFORMED: dict[str, dict[str, Any]] = {
    "alias": {"custody": "aws-kms", "kms": {**KMS, "roots": {"1": "alias/dsr"}}},
    "alias-arn": {"custody": "aws-kms", "kms": {**KMS, "roots": {"1": ARN.replace("key/", "alias/dsr")}}},
    "root-zero": {"custody": "aws-kms", "kms": {**KMS, "roots": {"0": "a1"}, "primary": 0}},
    "root-too-large": {"custody": "pkcs11", "pkcs11": {**TOKEN, "primary": 2**32}},
    "no-roots": {"custody": "aws-kms", "kms": {**KMS, "roots": {}}},
    "no-token": {"custody": "pkcs11", "pkcs11": {**TOKEN, "token": ""}},
    "custody": {"custody": "vault"},
    "pin-itself": {"custody": "pkcs11", "pkcs11": {**TOKEN, "pin": "12345678"}},
}


@pytest.mark.parametrize("way", MALFORMED)
def test_malformed_settings_are_named_and_never_shown(way: str) -> None:
    with held_keys() as place:
        place.write(MALFORMED[way])
        with pytest.raises(WrongUseError, match=r"settings_invalid: correct these settings: keys\.") as refused:
            load(place.config)

    assert "12345678" not in str(refused.value)
    assert "alias/dsr" not in str(refused.value)


def test_the_settings_file_tells_the_advice_too() -> None:
    with held_keys() as place:
        place.write({"custody": "pkcs11"})

        with pytest.raises(WrongUseError, match="custody_incomplete"):
            load(place.config)


def test_the_key_file_is_opened(tmp_path: Path) -> None:
    init(tmp_path, ORIGIN)
    files = KeyDirectory(tmp_path)
    named = {"key_file": files.key_file, "passphrase_file": files.passphrase_file}

    assert isinstance(open_holder(KeySettings.model_validate({**BASE, **named})), Custody)


def test_a_machine_without_custody_opens_nothing() -> None:
    with pytest.raises(WrongUseError, match="key_setting_missing"):
        open_holder(KeySettings.model_validate(BASE))


def test_a_missing_library_is_missed_only_by_who_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    token = {**TOKEN, "module": str(tmp_path / "no-library.so")}

    for name in ("holders", "holder_setup", "pkcs11", "pkcs11_setup", "pkcs11_token"):
        assert importlib.import_module(f"vault.crypto.{name}")
    with pytest.raises(WrongUseError, match=r"pkcs11_missing.*dsr-vault\[pkcs11\]"):
        open_holder(KeySettings.model_validate({**BASE, "custody": "pkcs11", "pkcs11": token}))
