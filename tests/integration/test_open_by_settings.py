"""What the settings name opens mail: the current S/MIME key, the older ones, and nothing when one of them is spoilt."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vault.errors import WrongUseError
from vault.intake.mail import open_mail
from vault.intake.opened import Outcome
from vault.settings import Limits, OpenPgpSettings, Settings, SmimeKeySettings, SmimeSettings
from vault.steps.mail_tools import mail_tools
from vault.testing import mails
from vault.testing.controller import make_openpgp_home, make_smime
from vault.testing.mailkeys import PgpHome
from vault.testing.mailworld import LETTER, TEXT, short_directory


@pytest.fixture(scope="module")
def openpgp() -> Iterator[OpenPgpSettings]:
    with short_directory() as base:
        yield make_openpgp_home(base / "c")
        PgpHome(base / "c", "").close()


NAMES = ("new", "old", "oldest")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("keys")
    for name in NAMES:
        make_smime(base / name)
    return base


@pytest.fixture
def keys(made: Path, tmp_path: Path) -> list[SmimeKeySettings]:
    shutil.copytree(made, tmp_path / "keys")
    return [make_smime(tmp_path / "keys" / name) for name in NAMES]  # finds what is there


def settings(openpgp: OpenPgpSettings, keys: list[SmimeKeySettings]) -> Settings:
    """Give the part of the settings that opening mail reads."""
    first, *older = (SmimeKeySettings(**{n: getattr(k, n) for n in SmimeKeySettings.model_fields}) for k in keys)
    smime = SmimeSettings(**dict(first), older=older)
    parts: dict[str, Any] = {"openpgp": openpgp, "smime": smime, "limits": Limits()}
    return Settings.model_construct(**parts)


def test_mail_to_each_key_of_the_settings_is_opened(openpgp: OpenPgpSettings, keys: list[SmimeKeySettings]) -> None:
    with mail_tools(settings(openpgp, keys)) as tools:
        opened = [open_mail(mails.smime_mail(LETTER, key.certificate_file), tools) for key in keys]

    assert [(one.outcome, one.text, one.reason) for one in opened] == [(Outcome.OPENED, TEXT.strip(), "")] * 3


def test_a_key_that_the_settings_do_not_name_opens_nothing(
    openpgp: OpenPgpSettings, keys: list[SmimeKeySettings]
) -> None:
    with mail_tools(settings(openpgp, keys[:2])) as tools:
        opened = open_mail(mails.smime_mail(LETTER, keys[2].certificate_file), tools)

    assert (opened.outcome, opened.reason) == (Outcome.UNDECRYPTABLE, "smime_no_key")


def test_a_certificate_of_another_key_is_our_fault(openpgp: OpenPgpSettings, keys: list[SmimeKeySettings]) -> None:
    keys[1].certificate_file.write_bytes(keys[0].certificate_file.read_bytes())

    with pytest.raises(WrongUseError, match="smime_key"), mail_tools(settings(openpgp, keys)):
        pytest.fail("it must not begin")


def test_the_certificate_is_found_in_a_chain(openpgp: OpenPgpSettings, keys: list[SmimeKeySettings]) -> None:
    chain = keys[1].certificate_file.read_bytes() + keys[0].certificate_file.read_bytes()
    keys[0].certificate_file.write_bytes(chain)

    with mail_tools(settings(openpgp, keys[:1])) as tools:
        opened = open_mail(mails.smime_mail(LETTER, sole(chain, 1, keys[0])), tools)

    assert opened.text == TEXT.strip()


def sole(chain: bytes, number: int, key: SmimeKeySettings) -> Path:
    """Write one certificate of a chain into a file of its own."""
    begin = b"-----BEGIN CERTIFICATE-----"
    file = key.key_file.with_name("sole.pem")
    file.write_bytes(begin + chain.split(begin)[number + 1])
    return file


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("passphrase_file", "not its passphrase", "smime_passphrase"),
        ("key_file", "no key", "smime_key"),
        ("certificate_file", None, "smime_key"),
    ],
)
def test_a_spoilt_older_key_is_our_fault(
    openpgp: OpenPgpSettings, keys: list[SmimeKeySettings], name: str, content: str | None, code: str
) -> None:
    file: Path = getattr(keys[1], name)
    if content is None:
        file.unlink()
    else:
        file.write_text(content, encoding="utf-8")

    with pytest.raises(WrongUseError, match=code), mail_tools(settings(openpgp, keys)):
        pytest.fail("it must not begin")
