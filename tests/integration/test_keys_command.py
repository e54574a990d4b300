"""`dsr keys`: makes, serves and asks; refuses to start with anything unfit, in one sentence."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from vault.cli.keys import keys
from vault.crypto.keydir import KeyDirectory, init
from vault.domain.roles import OfficeName
from vault.testing.keyservice import ORIGIN, start_key_service

DSR = [sys.executable, "-c", "from vault.cli import main; main()", "keys"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    init(directory, ORIGIN)
    return directory


@pytest.fixture
def files(made: Path, tmp_path: Path) -> KeyDirectory:
    shutil.copytree(made, tmp_path / "k")
    return KeyDirectory(tmp_path / "k")


def dsr(*words: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [*DSR, *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **(env or {})}
    )


def test_init_makes_once(tmp_path: Path) -> None:
    place = str(tmp_path / "new")
    first = CliRunner().invoke(keys, ["init", place, "--origin", ORIGIN, "--json"])
    second = CliRunner().invoke(keys, ["init", place, "--json"])

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert len(json.loads(first.output)["made"]) == 6 + len(OfficeName)
    assert json.loads(second.output)["made"] == []
    assert (tmp_path / "new" / "log.vkey").read_text(encoding="utf-8").startswith(f"{ORIGIN}+")


def test_init_says_no_secret(tmp_path: Path) -> None:
    files = KeyDirectory(tmp_path / "new")

    output = CliRunner().invoke(keys, ["init", str(files.path)]).output

    secrets = [path.read_text().strip() for path in (files.passphrase_file, *files.token_files.values())]
    assert "made keys.sealed" in output
    assert not any(secret in output for secret in secrets)


def test_status_of_a_running_and_a_stopped_service(tmp_path: Path) -> None:
    with start_key_service(tmp_path) as daemon:
        token = daemon.files.token_files["audit"]
        running = dsr("status", "--socket", daemon.socket, "--token-file", token, "--json")
    stopped = dsr("status", "--socket", daemon.socket, "--token-file", token, "--json")

    assert running.returncode == 0
    assert json.loads(running.stdout)["office"] == "audit"
    assert stopped.returncode == 3
    assert json.loads(stopped.stdout)["error"] == "key_service_away"


SETTINGS = """
[controller]
name = "c"
address = []
email = "e"
data_protection_officer = "d"
[database]
host = "h"
user = "u"
password_file = "p"
[objects]
endpoint = "e"
access_key_file = "a"
secret_key_file = "s"
[mailbox]
kind = "maildir"
address = "a"
[scans]
folder = "f"
[smtp]
host = "h"
port = 25
sender = "s"
[openpgp]
home = "h"
fingerprint = "f"
passphrase_file = "p"
[smime]
key_file = "k"
certificate_file = "c"
passphrase_file = "p"
[desk]
url = "u"
assertion_public_key_file = "a"
session_secret_file = "s"
decision_public_key_file = "d"
airflow_url = "u"
[log]
public_key_file = "l"
[keys]
socket = "{socket}"
key_file = "{files.key_file}"
passphrase_file = "{files.passphrase_file}"
audit_file = "{files.audit_file}"
[keys.token_files]
operator = "{files.token_files[operator]}"
"""


def test_settings_say_where(files: KeyDirectory, tmp_path: Path) -> None:
    config = tmp_path / "dsr.toml"
    with start_key_service(files.path) as daemon:
        config.write_text(SETTINGS.format(files=files, socket=daemon.socket))
        status = dsr("status", "--json", env={"DSR_CONFIG": str(config)})
        second = dsr("serve", "--json", env={"DSR_CONFIG": str(config)})

    assert json.loads(status.stdout)["office"] == "operator"
    assert (second.returncode, json.loads(second.stdout)["error"]) == (2, "audit_in_use")


def too_open(files: KeyDirectory) -> None:
    files.key_file.chmod(0o644)


def group_readable(files: KeyDirectory) -> None:
    files.passphrase_file.chmod(0o640)


def empty_passphrase(files: KeyDirectory) -> None:
    files.passphrase_file.write_text("")


def default_passphrase(files: KeyDirectory) -> None:
    files.passphrase_file.write_text("secretsecret")


def other_passphrase(files: KeyDirectory) -> None:
    files.passphrase_file.write_text("another passphrase")


def no_key_file(files: KeyDirectory) -> None:
    files.key_file.unlink()


def empty_token(files: KeyDirectory) -> None:
    files.token_files["desk"].write_text("")


def open_token(files: KeyDirectory) -> None:
    files.token_files["desk"].chmod(0o604)


def equal_tokens(files: KeyDirectory) -> None:
    shutil.copy(files.token_files["desk"], files.token_files["audit"])


def audit_is_a_directory(files: KeyDirectory) -> None:
    files.audit_file.mkdir()


def open_audit(files: KeyDirectory) -> None:
    files.audit_file.touch()
    files.audit_file.chmod(0o644)


def socket_is_a_file(files: KeyDirectory) -> None:
    files.socket.touch()


UNFIT: list[tuple[Callable[[KeyDirectory], None], str]] = [
    (too_open, "key_file_readable"),
    (group_readable, "key_file_readable"),
    (empty_passphrase, "secret_empty"),
    (default_passphrase, "secret_default"),
    (other_passphrase, "key_file_tampered"),
    (no_key_file, "key_file_missing"),
    (empty_token, "secret_empty"),
    (open_token, "key_file_readable"),
    (equal_tokens, "key_tokens_equal"),
    (audit_is_a_directory, "audit_missing"),
    (open_audit, "audit_readable"),
    (socket_is_a_file, "socket_taken"),
]


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("spoil", "code"), UNFIT, ids=lambda case: getattr(case, "__name__", case))
def test_start_is_refused(
    files: KeyDirectory, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[KeyDirectory], None], code: str
) -> None:
    monkeypatch.setattr("vault.crypto.daemon.harden", lambda: None)  # not for the tests' own process
    spoil(files)

    done = CliRunner().invoke(keys, ["serve", "--directory", str(files.path)])

    assert done.exit_code == 2
    assert done.stderr.startswith(f"{code}: ")
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--socket", "x" * 120], "socket_path_too_long"),
        (["--socket", "/nowhere/at/all"], "socket_unusable"),
        (["--rate", "desk"], "rate_malformed"),
        (["--token", "desk"], "token_malformed"),
        (["--token", "baker=tokens/desk"], "office_unknown"),
    ],
)
def test_wrong_options_are_refused(
    files: KeyDirectory, monkeypatch: pytest.MonkeyPatch, words: list[str], code: str
) -> None:
    monkeypatch.setattr("vault.crypto.daemon.harden", lambda: None)  # not for the tests' own process

    done = CliRunner().invoke(keys, ["serve", "--directory", str(files.path), *words])

    assert (done.exit_code, done.stderr.split(":")[0]) == (2, code)


def test_second_daemon_on_the_socket_is_refused(files: KeyDirectory, tmp_path: Path) -> None:
    with start_key_service(files.path) as daemon:
        other = tmp_path / "other-audit"
        done = dsr("serve", "--directory", files.path, "--socket", daemon.socket, "--audit-file", other)

        assert (done.returncode, done.stderr.split(":")[0]) == (2, "socket_in_use")
        assert daemon.client("operator").public("case")


def test_the_log_s_signer_of_a_directory_is_exchanged_and_its_list_kept(tmp_path: Path) -> None:
    dsr("init", tmp_path, "--json")
    listed, directory = tmp_path / "log.vkey", ("--directory", tmp_path, "--json")
    first = listed.read_text()

    added = json.loads(dsr("signer", "add", "log", *directory).stdout)
    listed.write_text(first)
    unlisted = dsr("signer", "promote", "log", "2", *directory)
    again = json.loads(dsr("signer", "add", "log", *directory).stdout)
    promoted = dsr("signer", "promote", "log", "2", *directory)
    retired = json.loads(dsr("signer", "retire", "log", "1", *directory).stdout)

    assert (unlisted.returncode, json.loads(unlisted.stdout)["error"]) == (1, "signer_unlisted")
    assert (added["vkey"], added["held"]) == (again["vkey"], [1, 2])
    assert promoted.returncode == 0, promoted.stdout
    assert (retired["primary"], retired["held"]) == (2, [2])
    assert listed.read_text() == f"{added['vkey']}\n{first}"


def test_only_the_log_s_signer_has_versions(tmp_path: Path) -> None:
    dsr("init", tmp_path, "--json")

    assert dsr("signer", "add", "desk", "--directory", tmp_path).returncode == 2
    assert dsr("signer", "promote", "log", "2", "--directory", tmp_path).returncode == 2
