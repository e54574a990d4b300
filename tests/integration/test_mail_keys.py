"""`dsr keys mail`: keys are made once, rotated without losing a mail, given out whole, and say when they end."""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from vault.cli.keys import keys
from vault.errors import OutOfReachError, WrongUseError
from vault.intake.mailkeystore import in_settings, make_mail_keys
from vault.intake.ownkeys import KeyState, complaints
from vault.intake.wkd import wkd_hash
from vault.steps.mail_tools import mail_tools
from vault.testing.mailkeyhouse import (
    ADDRESS,
    NAME,
    MailKeyHouse,
    make,
    make_aged,
    open_smime,
    rotate,
    seal_smime,
)
from vault.testing.mailworld import short_directory

CLIENT = "/usr/lib/gnupg/gpg-wks-client"
TEXT = "Pyydän tietoni. Äinö\n".encode()


def dsr(*words: str | Path) -> Result:
    return CliRunner().invoke(keys, ["mail", *map(str, words), "--json"])


def who() -> list[str]:
    return ["--name", NAME, "--address", ADDRESS]


@pytest.fixture
def house() -> Iterator[MailKeyHouse]:
    with short_directory() as folder:
        yield MailKeyHouse(folder)


@pytest.fixture(scope="module")
def made() -> Iterator[MailKeyHouse]:
    """Keys that no test changes."""
    with short_directory() as folder:
        make(folder / "k")
        yield MailKeyHouse(folder)


# --- making


def test_init_makes_once_and_says_no_secret(house: MailKeyHouse) -> None:
    first = dsr("init", house.directory, *who())
    second = dsr("init", house.directory, *who())

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert json.loads(first.output)["made"] == ["openpgp", "smime-1.key", "smime-1.csr"]
    assert json.loads(second.output) == {**json.loads(first.output), "made": []}
    assert (house.directory / "passphrase").read_text().strip() not in first.output


def test_two_at_once_make_one_key(house: MailKeyHouse) -> None:
    with ThreadPoolExecutor(2) as pool:
        made = [done.result() for done in [pool.submit(make, house.directory) for _ in range(2)]]

    everything = house.keys.pgp.keys(house.keys.fingerprint or "", datetime.now(UTC))
    assert sum(one.count("smime-1.key") for one in made) == 1
    assert len(everything) == 2
    assert len(list((house.directory / "gnupg/private-keys-v1.d").glob("*.key"))) == 2
    assert [path.name for path in house.directory.glob("smime-*.key")] == ["smime-1.key"]


def test_only_the_owner_may_look(made: MailKeyHouse) -> None:
    public = {".crt", ".csr"}
    open_to_others = [
        path.name
        for path in (made.directory, *made.directory.rglob("*"))
        if path.suffix not in public
        and not path.is_socket()
        and path.parent == made.directory
        and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]

    assert open_to_others == []
    assert stat.S_IMODE((made.directory / "gnupg").stat().st_mode) == 0o700


def test_the_key_is_elliptic_with_a_subkey_for_mail_and_lives_two_years(made: MailKeyHouse) -> None:
    now = datetime.now(UTC)
    primary, subkey = made.keys.pgp.keys(made.keys.fingerprint or "", now)
    listing = subprocess.run(
        ["gpg", "--with-colons", "--show-keys"],
        input=made.keys.pgp.public_key(made.keys.fingerprint or ""),
        capture_output=True,
        check=True,
    ).stdout.decode()

    assert (sorted(primary.uses), sorted(subkey.uses)) == (["certify", "sign"], ["encrypt"])
    assert ":ed25519:" in listing
    assert ":cv25519:" in listing
    for key in (primary, subkey):
        assert key.expires is not None
        assert timedelta(days=729) < key.expires - now < timedelta(days=731)


def test_gpg_takes_the_configuration(made: MailKeyHouse) -> None:
    command = ["gpg", "--homedir", str(made.directory / "gnupg"), "--batch", "--list-config"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    agent = ["gpg-agent", "--homedir", str(made.directory / "gnupg"), "--gpgconf-test"]

    assert done.returncode == 0
    assert "option" not in done.stderr
    assert subprocess.run(agent, capture_output=True, check=False).returncode == 0


def test_the_request_asks_for_what_mail_needs(made: MailKeyHouse) -> None:
    request = x509.load_pem_x509_csr((made.directory / "smime-1.csr").read_bytes())

    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usage = request.extensions.get_extension_for_class(x509.KeyUsage).value
    assert request.is_signature_valid
    assert names.get_values_for_type(x509.RFC822Name) == [ADDRESS]
    assert usage.digital_signature
    assert usage.key_encipherment
    assert list(request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.EMAIL_PROTECTION
    ]


def test_a_long_path_is_no_hindrance(house: MailKeyHouse) -> None:
    far = house.folder / ("x" * 90)

    assert make(far)[0] == "openpgp"
    assert make(far) == []


@pytest.mark.parametrize("name", ["", " ", "Clinic <x@evil.example>", "a\nb"])
def test_a_name_that_is_none_is_refused(house: MailKeyHouse, name: str) -> None:
    with pytest.raises(WrongUseError, match="mail_key_name"):
        make_mail_keys(house.directory, None, name, ADDRESS, datetime.now(UTC), self_signed=False)


def test_a_key_without_its_passphrase_gets_no_other(house: MailKeyHouse) -> None:
    make(house.directory)
    (house.directory / "passphrase").unlink()

    assert json.loads(dsr("init", house.directory, *who()).output)["error"] == "mail_passphrase_missing"
    assert not (house.directory / "passphrase").exists()


def test_a_wrong_passphrase_is_said(house: MailKeyHouse) -> None:
    make_aged(house.directory, 400)
    (house.directory / "passphrase").write_text("this is another one\n")

    with pytest.raises(OutOfReachError, match="passphrase"):
        rotate(house.directory)


def test_a_directory_that_is_a_file_is_said(house: MailKeyHouse) -> None:
    house.directory.write_text("")

    assert json.loads(dsr("init", house.directory, *who()).output)["error"] == "mail_key_directory"


# --- rotating


def test_mail_to_keys_of_before_a_rotation_is_opened_after_it(house: MailKeyHouse) -> None:
    make_aged(house.directory, 400)
    before, old = house.keys, house.smime
    pgp_mail = house.encrypt(before.pgp.public_key(before.fingerprint or ""), TEXT)
    smime_mail = seal_smime(old, TEXT)

    first, second = rotate(house.directory), rotate(house.directory)

    assert first == ["openpgp", "smime-2.key", "smime-2.csr", "smime-2.crt"]
    assert second == []
    assert house.keys.fingerprint == before.fingerprint
    assert house.decrypt(pgp_mail) == TEXT
    assert open_smime(old, smime_mail) == TEXT
    assert house.smime.key_file.name == "smime-2.key"


def test_others_encrypt_to_the_new_subkey(house: MailKeyHouse) -> None:
    make_aged(house.directory, 400)
    rotate(house.directory)
    keys, now = house.keys, datetime.now(UTC)
    primary, current = [key for key in keys.keys(now) if key.kind == "openpgp" and key.state is KeyState.CURRENT]

    message = house.encrypt(keys.pgp.public_key(keys.fingerprint or "", ADDRESS), TEXT)

    packets = subprocess.run(
        ["gpg", "--homedir", str(house.folder / "q"), "--list-packets"], input=message, capture_output=True, check=False
    ).stdout.decode()
    assert f"keyid {current.name[-16:]}" in packets
    for key in (primary, current):
        assert key.expires is not None
        assert key.expires - now > timedelta(days=700)
    assert house.decrypt(message) == TEXT


def test_an_expired_key_is_revived_and_opened_late_mail_meanwhile(house: MailKeyHouse) -> None:
    make_aged(house.directory, 700)
    mail = house.encrypt(house.keys.pgp.public_key(house.keys.fingerprint or ""), TEXT)
    later = datetime.now(UTC) + timedelta(days=60)
    states = {(key.kind, key.state) for key in house.keys.keys(later)}

    made = house.keys.rotate(NAME, ADDRESS, later, timedelta(days=30), self_signed=True)

    assert states == {("openpgp", KeyState.EXPIRED), ("smime", KeyState.EXPIRED)}
    assert made[0] == "openpgp"
    assert house.decrypt(mail) == TEXT


def test_a_key_that_waits_for_its_certificate_is_not_doubled(house: MailKeyHouse) -> None:
    dsr("init", house.directory, *who())
    again = [json.loads(dsr("rotate", "--directory", house.directory, *who()).output)["made"] for _ in range(2)]
    completed = dsr("rotate", "--directory", house.directory, *who(), "--self-signed")

    assert again == [[], []]
    assert json.loads(completed.output)["made"] == ["smime-1.crt"]


def test_nothing_to_rotate_is_said(house: MailKeyHouse) -> None:
    assert json.loads(dsr("rotate", "--directory", house.directory, *who()).output)["error"] == "mail_key_missing"


@pytest.mark.parametrize(("days", "made"), [(0, []), (400, ["openpgp", "smime-1.key", "smime-1.csr", "smime-1.crt"])])
def test_keys_that_the_settings_name_elsewhere_are_rotated_beside_them(
    house: MailKeyHouse, days: int, made: list[str]
) -> None:
    make_aged(house.directory, days)
    for ending, own in ((".key", "own.key"), (".crt", "own.pem"), (".csr", "own.csr")):
        (house.directory / f"smime-1{ending}").rename(house.directory / own)
    pair = {"key_file": house.directory / "own.key", "certificate_file": house.directory / "own.pem"}
    keys = in_settings(house.settings(smime={**pair, "passphrase_file": house.directory / "passphrase"}))

    now = datetime.now(UTC)
    first, second = (keys.rotate(NAME, ADDRESS, now, timedelta(days=30), self_signed=True) for _ in range(2))

    smime = {key.name: key.state.value for key in keys.keys(now) if key.kind == "smime"}
    assert first == made
    assert second == []
    assert smime == {"own.key": "current"} | ({"smime-1.key": "unnamed"} if made else {})
    assert keys.current_smime(now) == keys.named[0]


@pytest.mark.parametrize("act", [rotate, make])
def test_a_key_ring_that_a_dying_gpg_left_aside_is_put_back(
    house: MailKeyHouse, act: Callable[[Path], list[str]]
) -> None:
    make_aged(house.directory, 400)
    mail = house.encrypt(house.keys.pgp.public_key(house.keys.fingerprint or ""), TEXT)
    ring = house.directory / "gnupg/pubring.kbx"
    ring.rename(ring.with_name("pubring.kbx~"))  # what gpg leaves when it is killed between its two renames

    act(house.directory)

    assert act(house.directory) == []
    assert house.decrypt(mail) == TEXT


def test_no_mail_is_judged_without_our_key(house: MailKeyHouse) -> None:
    make(house.directory)
    settings = house.settings()
    ring = house.directory / "gnupg/pubring.kbx"

    ring.rename(ring.with_name("pubring.kbx~"))
    with mail_tools(settings):
        assert ring.exists()
    shutil.rmtree(house.directory / "gnupg/private-keys-v1.d")
    with pytest.raises(WrongUseError, match="openpgp_key_missing"), mail_tools(settings):
        pass


# --- status


def test_status_of_fresh_keys_is_good(made: MailKeyHouse) -> None:
    answer = dsr("status", "--directory", made.directory, "--address", ADDRESS)

    told = json.loads(answer.output)
    assert answer.exit_code == 0
    assert [(key["kind"], key["state"], key["opens"]) for key in told["keys"]] == [
        ("openpgp", "current", False),
        ("openpgp", "current", True),
        ("smime", "current", True),
    ]


def test_status_warns_sixty_days_before(house: MailKeyHouse) -> None:
    make_aged(house.directory, 680)

    answer = dsr("status", "--directory", house.directory, "--address", ADDRESS)

    assert answer.exit_code == 1
    assert len(json.loads(answer.output)["to_do"]) == 3


def test_a_certificate_of_another_key_is_noticed(house: MailKeyHouse) -> None:
    make_aged(house.directory, 400)
    rotate(house.directory)
    (house.directory / "smime-1.crt").write_bytes((house.directory / "smime-2.crt").read_bytes())

    said = complaints(house.keys.keys(datetime.now(UTC)), datetime.now(UTC))

    assert said == ["smime smime-1.key: its private half is not here; mail to it can't be opened"]


def test_no_key_at_all_is_a_negative_answer(house: MailKeyHouse) -> None:
    answer = dsr("status", "--directory", house.directory, "--address", ADDRESS)

    assert answer.exit_code == 1
    assert len(json.loads(answer.output)["to_do"]) == 2


# --- giving out


def test_what_is_given_out_holds_no_secret_and_gnupg_lays_it_out_alike(made: MailKeyHouse) -> None:
    out = made.folder / "out"
    answers = [dsr("export", out, "--directory", made.directory, "--address", ADDRESS) for _ in range(2)]
    home, theirs = made.folder / "w", made.folder / "wks"
    home.mkdir(mode=0o700)
    (theirs / "clinic.example").mkdir(parents=True)
    key = out / "wkd/clinic.example/.well-known/openpgpkey/hu" / wkd_hash("requests")
    subprocess.run(
        [CLIENT, "-C", str(theirs), "--install-key", str(key), ADDRESS],
        env={**os.environ, "GNUPGHOME": str(home)},
        capture_output=True,
        check=True,
    )
    written = {path.relative_to(out) for path in out.rglob("*") if path.is_file()}
    installed = theirs / "clinic.example/hu" / wkd_hash("requests")

    assert [answer.exit_code for answer in answers] == [0, 0]
    assert {str(path) for path in written} == set(json.loads(answers[0].output)["files"])
    assert installed.read_bytes() == key.read_bytes()
    assert b"PRIVATE" not in b"".join((out / path).read_bytes() for path in written)
    assert all(stat.S_IMODE((out / path).stat().st_mode) == 0o644 for path in written)
    assert made.decrypt(made.encrypt((out / "openpgp.asc").read_bytes(), TEXT)) == TEXT


def test_an_address_that_the_key_lacks_is_not_given_out(made: MailKeyHouse) -> None:
    answer = dsr("export", made.folder / "o2", "--directory", made.directory, "--address", "other@clinic.example")

    assert json.loads(answer.output)["error"] == "mail_key_missing"
    assert not (made.folder / "o2").exists()
