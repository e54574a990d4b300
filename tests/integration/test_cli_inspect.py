"""``dsr inspect``: the contract's fields, exit codes, and no trace left behind."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vault.cli import main
from vault.testing import mails
from vault.testing.mailkeys import PgpHome, make_pgp_home, make_smime_identity
from vault.testing.mails import File, Letter

LETTER = Letter(
    "Aino", "aino@example.fi", "x@clinic.example", "hei\n", files=[File("a.pdf", "application/pdf", b"%PDF")]
)


@pytest.fixture(scope="module")
def home() -> Iterator[PgpHome]:
    base = Path(tempfile.mkdtemp(prefix="dsr-t-", dir="/dev/shm"))
    made = make_pgp_home(base, "Clinic", "aino@example.fi")
    made.close()
    yield made
    made.close()
    shutil.rmtree(base, ignore_errors=True)


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(main, ["inspect", *arguments, "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout else {}


def agent_ends(home: PgpHome) -> bool:
    """Wait until no agent of this home is left."""
    asks = ["gpg-connect-agent", "--homedir", str(home.path), "--no-autostart", "GETINFO pid", "/bye"]
    for _ in range(50):
        if b"OK" not in subprocess.run(asks, capture_output=True, check=False).stdout:
            return True
        time.sleep(0.1)
    return False


def test_a_mail_is_shown_as_the_contract_says(home: PgpHome, tmp_path: Path) -> None:
    file = tmp_path / "mail.eml"
    file.write_bytes(mails.pgp_mime_mail(LETTER, home, home.public_key()))
    home.close()
    assert agent_ends(home)

    code, answer = run("mail", str(file), "--gnupg-home", str(home.path))

    assert code == 0
    assert answer == {
        "outcome": "opened",
        "reason": "",
        "encryption": "pgp-mime",
        "sender_proof": {"kind": "valid", "fingerprint": home.fingerprint, "from_matches": True},
        "text": "hei",
        "attachments": [{"name": "a.pdf", "type": "application/pdf", "size": 4, "sha256": sha256(b"%PDF").hexdigest()}],
    }
    assert agent_ends(home)  # the one that it started itself


def test_smime_keys_find_their_passwords(tmp_path: Path) -> None:
    clinic = make_smime_identity(tmp_path / "c", "Clinic", "x@clinic.example")
    file = tmp_path / "mail.eml"
    file.write_bytes(mails.smime_mail(LETTER, clinic.certificate))

    code, answer = run("mail", str(file), "--smime-key", str(clinic.key), "--smime-password", "unused")

    assert (code, answer["outcome"], answer["encryption"]) == (0, "opened", "smime")
    assert answer["sender_proof"] == {"kind": "none", "fingerprint": None, "from_matches": False}


@pytest.mark.parametrize(
    ("data", "code", "outcome"),
    [
        (b"From: a@b.example\r\n\r\nhei", 0, "plain"),
        (b"From: a@b.example\r\n\r\n-----BEGIN PGP MESSAGE-----\n\nAA\n-----END PGP MESSAGE-----", 1, "undecryptable"),
        (b"", 1, "refused"),
        (bytes(range(256)), 1, "refused"),
    ],
)
def test_exit_codes(tmp_path: Path, data: bytes, code: int, outcome: str) -> None:
    file = tmp_path / "mail.eml"
    file.write_bytes(data)

    assert run("mail", str(file))[0] == code
    assert run("mail", str(file))[1]["outcome"] == outcome


def test_wrong_use_is_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(b"no key")

    assert run("mail", str(tmp_path / "absent"))[0] == 2
    assert run("mail", str(file), "--gnupg-home", str(tmp_path / "absent"))[0] == 2
    code, answer = run("mail", str(file), "--smime-key", str(file))
    assert (code, answer["error"]) == (2, "smime_key")


def test_a_scan_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "scan.pdf"
    file.write_bytes(b"no scan at all")

    code, answer = run("scan", str(file))

    assert (code, answer["outcome"]) == (1, "refused")
    assert set(answer) == {"outcome", "reason", "letters"}
