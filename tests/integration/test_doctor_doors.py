"""`dsr doctor` looks at the doors: mailbox, scan folder, mail server, and at the files with secrets."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vault.cli.doctor import examine
from vault.cli.probes.finding import Finding
from vault.cli.probes.secretfiles import secret_files
from vault.settings import Settings, SmtpSettings, load
from vault.settings_mailbox import MailboxSettings
from vault.testing import dovecot, smtp_sink
from vault.testing.installation import Installation, installed
from vault.testing.token_server import CLIENT, SECRET, token_server


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with installed() as found:
        yield found


@pytest.fixture
def settings(installation: Installation) -> Settings:
    return installation.settings()


def unfit(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.why for finding in findings if not finding.fit}


def with_mailbox(settings: Settings, mailbox: MailboxSettings) -> Settings:
    return settings.model_copy(update={"mailbox": mailbox})


def with_smtp(settings: Settings, smtp: SmtpSettings) -> Settings:
    return settings.model_copy(update={"smtp": smtp})


# --- doors


def test_a_mailbox_with_another_authority_or_password_is_out_of_reach(settings: Settings) -> None:
    with dovecot.dovecot() as server:
        other = server.settings(settings.mailbox.address)
        assert unfit(examine(with_mailbox(settings, other), ("mailbox",))) == {}

        for broken in ({"ca_file": settings.mailbox.ca_file}, {"password_file": settings.mailbox.password_file}):
            found = unfit(examine(with_mailbox(settings, other.model_copy(update=broken)), ("mailbox",)))
            assert list(found) == ["answers over TLS with the password"]


def test_each_mailbox_is_tried_under_its_name(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "oulu"
    folder.mkdir(mode=0o700)
    further = MailboxSettings(kind="maildir", name="oulu", path=folder, address=settings.mailbox.address)
    with token_server() as tokens, dovecot.dovecot(extra=tokens.configuration()) as server:
        values = server.settings(settings.mailbox.address).model_dump() | {
            "name": "cloud",
            "password_file": None,
            "auth": "xoauth2",
            "token_url": tokens.url,
            "client_id": CLIENT,
            "client_secret_file": tmp_path / "secret",
            "token_ca_file": tokens.home / "tls" / "ca.pem",
        }
        (tmp_path / "secret").write_text(SECRET)
        (tmp_path / "secret").chmod(0o600)
        first = server.settings(settings.mailbox.address)
        mailboxes = [MailboxSettings.model_validate(values), further]
        all_of_them = settings.model_copy(update={"mailbox": first, "mailboxes": mailboxes})

        findings = examine(all_of_them, ("mailbox",))
        tokens.answer = (401, b"")
        refused = examine(all_of_them, ("mailbox",))

    assert [finding.check for finding in findings if finding.fit] == [
        "answers over TLS with the password",
        "refuses a wrong password",
        "cloud answers over TLS with a token",
        "cloud refuses a wrong password",
        "oulu is a folder that others can't look into",
    ]
    assert list(unfit(refused)) == ["cloud answers over TLS with a token"]


@pytest.mark.parametrize(("mode", "fit"), [(0o700, True), (0o750, True), (0o755, False), (0o701, False)])
def test_folders_are_private(settings: Settings, tmp_path: Path, mode: int, *, fit: bool) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    mailbox = MailboxSettings(kind="maildir", path=folder, address=settings.mailbox.address)
    scans = settings.scans.model_copy(update={"folder": folder})

    findings = examine(settings.model_copy(update={"mailbox": mailbox, "scans": scans}), ("mailbox", "scans"))

    assert [finding.fit for finding in findings] == [fit, fit]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"security": "none"}, "open line"),
        ({"ca_file": None}, "vouches"),
        ({"user": "somebody"}, "refuses user or password"),
        ({"port": 1}, "does not answer"),
        ({"security": "tls"}, "vouches"),
    ],
)
def test_a_mail_server_that_can_not_be_trusted_is_unfit(settings: Settings, change: dict[str, Any], words: str) -> None:
    with smtp_sink.smtp_sink() as sink:
        smtp = sink.settings()
        assert unfit(examine(with_smtp(settings, smtp), ("smtp",))) == {}

        found = unfit(examine(with_smtp(settings, smtp.model_copy(update=change)), ("smtp",)))

    assert words in found["answers over TLS and lets us sign in"]


# --- secret files


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file: file.chmod(0o604), "chmod o-rwx"),
        (lambda file: file.write_text(""), "is empty"),
        (lambda file: file.write_text("changeme"), "well-known default"),
        (lambda file: file.write_text("short"), "fewer than"),
    ],
)
@pytest.mark.parametrize("name", ["database.password_file", "keys.token_files.intake", "desk.session_secret_file"])
def test_a_spoilt_secret_is_named_by_its_setting(
    installation: Installation, tmp_path: Path, name: str, spoil: Callable[[Path], object], words: str
) -> None:
    text = installation.config.read_text()
    file = dict(secret_files(installation.settings()))[name]
    copy = Path(shutil.copy2(file, tmp_path / "secret"))
    spoil(copy)
    (tmp_path / "dsr.toml").write_text(text.replace(f'"{file}"', f'"{copy}"'))

    found = unfit(examine(load(tmp_path / "dsr.toml"), ("secrets",)))

    assert list(found) == [f"{name} is private"]
    assert words in found[f"{name} is private"]
