"""A reply is sealed to the key of its address and to no other; it can be opened by the stock gpg and openssl."""

import base64
import datetime as dt
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vault.delivery.compose import notice_mail
from vault.errors import OutOfReachError, WrongUseError
from vault.intake.gpg import Gpg
from vault.intake.opened import MailHeaders, OpenedMail, Outcome, ProofKind, SenderProof
from vault.intake.replykeys import ReplyKey, choose_reply_key
from vault.intake.tool import ToolRun
from vault.package.notices import notice
from vault.settings import Controller, OpenPgpSettings, ReplySettings, Settings, SmtpSettings
from vault.settings_mailbox import MailboxSettings
from vault.steps.replying import reply_particulars
from vault.steps.sealed_reply import our_keys, reply_key, sealed_reply
from vault.testing.answers import CASE, CONTROLLER
from vault.testing.controller import make_openpgp_home, make_smime
from vault.testing.mailkeys import PgpHome, SmimeIdentity, make_pgp_home, make_smime_identity
from vault.testing.mailworld import short_directory

AINO = "aino@example.fi"
WORDS = notice(
    "acknowledgement",
    "fi",
    case_ref=CASE,
    due=dt.date(2026, 12, 21),
    controller=CONTROLLER,
    fingerprint="AB" * 20,
)


@dataclass(frozen=True)
class House:
    """The clinic's settings, and Aino's keys."""

    settings: Settings
    aino: PgpHome
    smime: SmimeIdentity
    base: Path


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with short_directory() as base:
        openpgp, smime = make_openpgp_home(base / "c"), make_smime(base / "s")
        aino = make_pgp_home(base / "a", "Äinö Virtanen", AINO)
        parts: dict[str, Any] = {
            "controller": Controller(
                name="Päijänteen Terapia, Oy", address=["Katu 1"], email="info@x.example", data_protection_officer="x"
            ),
            "smtp": SmtpSettings(host="127.0.0.1", port=25, sender="answers@clinic.example"),
            "mailbox": MailboxSettings(kind="maildir", path=base, address="requests@clinic.example"),
            "openpgp": openpgp,
            "smime": smime,
            "replies": ReplySettings(),
        }
        yield House(
            Settings.model_construct(**parts), aino, make_smime_identity(base / "as", "Äinö Virtanen", AINO), base
        )
        for home in (openpgp.home, aino.path):
            PgpHome(home, "").close()


def particulars(*keys: bytes, **changes: Any) -> dict[str, Any]:
    known = {"reply_to": AINO, "message_id": "<1@example.fi>", "keys": [base64.b64encode(key).decode() for key in keys]}
    return {**known, **changes}


def reply(house: House, known: dict[str, Any], settings: Settings | None = None) -> EmailMessage:
    plain = notice_mail(house.settings, f"{CASE}-acknowledgement", WORDS, known)
    return sealed_reply(settings or house.settings, plain, known)


def arrived(message: EmailMessage) -> EmailMessage:
    return message_from_bytes(message.as_bytes(), policy=policy.default)


def key_of(home: PgpHome) -> bytes:
    return home.public_key().encode()


def signed_by(smime: SmimeIdentity, *, matches: bool = True, kind: str = "valid") -> dict[str, Any]:
    proof = {"kind": kind, "fingerprint": "00" * 32, "from_matches": matches}
    return particulars(sender_proof=proof, certificate=smime.certificate.read_text("ascii"))


def test_openpgp_reply_opens_with_gpg_and_shows_our_signature(house: House) -> None:
    sent = arrived(reply(house, particulars(key_of(house.aino))))
    house.aino.learn(str(our_keys(house.settings)[0].data.decode()))

    _, sealed = sent.iter_parts()
    status = house.base / "status"
    payload = house.aino.gpg("--status-file", str(status), "--decrypt", data=sealed.get_content())

    assert sent.get_content_type() == "multipart/encrypted"
    assert (
        f"VALIDSIG {house.settings.openpgp.fingerprint}" in status.read_text()
        or house.settings.openpgp.fingerprint in (status.read_text())
    )
    assert "DECRYPTION_OKAY" in status.read_text("utf-8")
    assert_payload(sent, payload)


def assert_payload(sent: EmailMessage, payload: bytes) -> None:
    """Outside nothing but the way; inside the true subject, the same headers and the words."""
    inner = message_from_bytes(payload, policy=policy.default)
    assert sent["Subject"] == "[...]"
    assert CASE not in sent.as_string().replace(f"<{CASE}-acknowledgement@", "")
    assert inner["Subject"] == WORDS.subject
    assert inner["Content-Type"].params["hp"] == "cipher"
    assert inner["Content-Type"].params["protected-headers"] == "v1"
    assert "Subject: [...]" in inner.get_all("HP-Outer", [])
    for name in ("From", "To", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted"):
        assert sent[name] == inner[name] is not None
    assert inner.get_content().replace("\r\n", "\n") == WORDS.text


@pytest.mark.parametrize("elliptic", [False, True], ids=["rsa", "p256"])
def test_smime_reply_opens_with_openssl_and_shows_our_signature(house: House, elliptic: bool, tmp_path: Path) -> None:
    hers = make_smime_identity(tmp_path, "Äinö", AINO, elliptic=elliptic)
    raw = reply(house, signed_by(hers)).as_bytes()

    keys = ["-inkey", str(hers.key), "-recip", str(hers.certificate)]
    signed = subprocess.run(["openssl", "cms", "-decrypt", *keys], input=raw, check=True, capture_output=True).stdout
    ours = ["-noverify", "-certfile", str(house.settings.smime.certificate_file), "-signer", str(tmp_path / "signer")]
    payload = subprocess.run(["openssl", "cms", "-verify", *ours], input=signed, check=True, capture_output=True).stdout

    sent = message_from_bytes(raw, policy=policy.default)
    assert (sent.get_content_type(), sent.get_param("smime-type")) == ("application/pkcs7-mime", "enveloped-data")
    assert sent.get_filename() == "smime.p7m"
    signer = x509.load_pem_x509_certificate((tmp_path / "signer").read_bytes())
    assert signer == x509.load_pem_x509_certificate(house.settings.smime.certificate_file.read_bytes())
    assert_payload(sent, payload)


def test_openpgp_goes_before_smime(house: House) -> None:
    known = {**signed_by(house.smime), "autocrypt": base64.b64encode(key_of(house.aino)).decode()}
    assert reply(house, known).get_content_type() == "multipart/encrypted"


@pytest.mark.parametrize("change", [{"matches": False}, {"kind": "invalid"}, {"kind": "unknown-key"}], ids=str)
def test_a_certificate_without_a_good_signature_of_its_sender_is_not_used(house: House, change: Any) -> None:
    assert reply(house, signed_by(house.smime, **change)).get_content_type() == "text/plain"


def certificate(
    *, email: str = AINO, bits: int = 2048, days: tuple[int, int] = (-1, 300), uses: x509.ExtensionType | None = None
) -> bytes:
    """Make a certificate of one sort."""
    key = rsa.generate_private_key(65537, bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now + dt.timedelta(days[0]))
    builder = builder.not_valid_after(now + dt.timedelta(days[1]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(email)]), critical=False)
    if uses is not None:
        builder = builder.add_extension(uses, critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def usage(*, encrypts: bool) -> x509.KeyUsage:
    """Allow signing, and encrypting or not."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=encrypts,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


WEB = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
MAIL = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
CERTIFICATES: dict[str, tuple[dict[str, Any], bool]] = {
    "good": ({}, True),
    "encrypts": ({"uses": usage(encrypts=True)}, True),
    "for mail": ({"uses": MAIL}, True),
    "signs only": ({"uses": usage(encrypts=False)}, False),
    "for the web": ({"uses": WEB}, False),
    "other address": ({"email": "mallory@evil.example"}, False),
    "expired": ({"days": (-300, -1)}, False),
    "not yet": ({"days": (1, 300)}, False),
    "weak": ({"bits": 1024}, False),
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_certificate_is_alive_strong_for_mail_and_her_own(name: str) -> None:
    change, usable = CERTIFICATES[name]
    pem = certificate(**change)
    assert choose_reply_key(AINO, [], pem) == (ReplyKey("smime", pem) if usable else None)


def test_what_is_no_certificate_is_none() -> None:
    assert choose_reply_key(AINO, [], b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n") is None


@pytest.fixture(scope="module")
def keyring(house: House) -> dict[str, tuple[bytes, bool]]:
    """OpenPGP keys of every sort, and whether a reply may be encrypted to each."""
    made: dict[str, tuple[bytes, bool]] = {"hers": (key_of(house.aino), True)}

    def home(
        name: str, email: str = AINO, algorithm: str = "future-default", life: str = "never", year: int = 0
    ) -> PgpHome:
        path = house.base / f"k{len(made)}{name[:1]}"
        path.mkdir(mode=0o700)
        one = PgpHome(path, "")
        past = ["--faked-system-time", f"{year}0101T000000!"] if year else []
        one.gpg(*past, "--passphrase", "", "--quick-generate-key", f"A <{email}>", algorithm, "default", life)
        rows = one.gpg(*past, "--with-colons", "--list-secret-keys").decode().splitlines()
        return PgpHome(path, next(row.split(":")[9] for row in rows if row.startswith("fpr:")))

    def add(name: str, one: PgpHome, *, usable: bool = False, armoured: bool = True) -> None:
        made[name] = (key_of(one) if armoured else one.gpg("--export"), usable)
        one.close()

    add("binary", home("binary", year=2024), usable=True, armoured=False)
    add("upper case", home("upper", AINO.upper(), year=2023), usable=True)
    add("other address", home("other", "mallory@evil.example"))
    add("address in the name", home("name", f"{AINO}> <mallory@evil.example"))
    add("expired", home("expired", life="1d", year=2020))
    add("signs only", home("signs", algorithm="ed25519"))
    weak = home("weak", algorithm="rsa2048")
    weak.gpg("--passphrase", "", "--quick-add-key", weak.fingerprint, "rsa1024", "encr", "never")
    add("weak subkey", weak)
    revoked = home("revoked")
    certificate_of = revoked.path / "openpgp-revocs.d" / f"{revoked.fingerprint}.rev"
    revoked.gpg("--import", data=certificate_of.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))
    add("revoked", revoked)
    renamed = home("user")
    renamed.gpg("--passphrase", "", "--quick-add-uid", renamed.fingerprint, "A <other@example.fi>")
    renamed.gpg("--quick-revoke-uid", renamed.fingerprint, f"A <{AINO}>")
    add("revoked user id", renamed)
    return made


KEYS = [
    *("hers", "binary", "upper case", "other address", "address in the name", "expired"),
    *("signs only", "weak subkey", "revoked", "revoked user id"),
]


@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_alive_strong_and_her_own(keyring: dict[str, tuple[bytes, bool]], name: str) -> None:
    data, usable = keyring[name]
    assert (choose_reply_key(AINO, [data]) is not None) is usable


def test_of_all_keys_the_signers_is_taken_and_else_the_newest(
    house: House, keyring: dict[str, tuple[bytes, bool]]
) -> None:
    assert set(keyring) == set(KEYS)
    everything = [data for data, _ in keyring.values()]
    newest, older = (choose_reply_key(AINO, [keyring[name][0]]) for name in ("hers", "binary"))
    assert newest is not None
    assert older is not None
    listing = house.aino.gpg("--with-colons", "--show-keys", data=older.key).decode()
    fingerprint = next(row.split(":")[9] for row in listing.splitlines() if row.startswith("fpr:"))
    assert choose_reply_key(AINO, everything) == newest
    assert choose_reply_key(AINO, everything, signer=fingerprint) == older


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What gpg is told to do, of each of its runs."""
    told: list[str] = []
    real = Gpg.run

    def counted(gpg: Gpg, arguments: list[str], *more: Any, **named: Any) -> ToolRun:
        told.append(next(one for one in reversed(arguments) if one.startswith("--")))
        return real(gpg, arguments, *more, **named)

    monkeypatch.setattr(Gpg, "run", counted)
    return told


def test_keys_are_read_in_one_run_and_not_at_all_where_none_names_the_address(
    keyring: dict[str, tuple[bytes, bool]], runs: list[str]
) -> None:
    others = [keyring[name][0] for name in ("other address", "binary")]
    assert choose_reply_key(AINO, others) is not None
    assert runs == ["--import"]
    assert choose_reply_key("nobody@example.fi", others) is None
    assert runs == ["--import"]


def test_copies_of_a_key_are_joined_so_that_a_revoked_one_is_revoked(
    house: House, keyring: dict[str, tuple[bytes, bool]]
) -> None:
    revoked = keyring["revoked"][0]
    before = PgpHome(house.base / "before", "")
    before.path.mkdir(mode=0o700)
    before.gpg("--import", data=revoked)
    (row,) = [line for line in before.gpg("--with-colons", "--list-keys").decode().splitlines() if line[:4] == "pub:"]
    live = without_revocation(revoked)
    assert row.split(":")[1] == "r"
    assert choose_reply_key(AINO, [live]) is not None
    assert choose_reply_key(AINO, [live, live]) is not None
    assert choose_reply_key(AINO, [live, revoked]) is None
    assert choose_reply_key(AINO, [revoked, live]) is None


def without_revocation(key: bytes) -> bytes:
    """Take the signature away that stands before the first user id (RFC 9580 section 10.1)."""
    data = base64.b64decode(b"".join(key.split(b"\n\n", 1)[1].split(b"\n=")[0].split(b"\n")))
    packets = []
    while data:
        width = {0: 1, 1: 2}[data[0] & 3]
        size = 1 + width + int.from_bytes(data[1 : 1 + width], "big")
        packets.append(data[:size])
        data = data[size:]
    tags = [packet[0] >> 2 & 0xF for packet in packets]
    assert tags[:3] == [6, 2, 13]
    return b"".join([packets[0], *packets[2:]])


def test_a_secret_key_is_no_key_to_reply_to(house: House) -> None:
    secret = house.aino.gpg("--pinentry-mode", "loopback", "--passphrase", "", "--export-secret-keys")
    assert choose_reply_key(AINO, [secret]) is None


def test_a_reply_is_signed_though_the_agent_ended_meanwhile(house: House) -> None:
    reply(house, particulars(key_of(house.aino)))
    subprocess.run(["gpgconf", "--homedir", str(house.settings.openpgp.home), "--kill", "gpg-agent"], check=True)
    assert reply(house, particulars(key_of(house.aino))).get_content_type() == "multipart/encrypted"


def test_our_key_is_exported_once_until_it_changes(house: House, runs: list[str]) -> None:
    openpgp = make_openpgp_home(house.base / "c3")
    settings = house.settings.model_copy(update={"openpgp": openpgp})
    first = our_keys(settings)[0].data
    assert our_keys(settings)[0].data == first
    assert runs == ["--export"]
    PgpHome(openpgp.home, "").gpg(
        *("--pinentry-mode", "loopback", "--passphrase-file", str(openpgp.passphrase_file)),
        *("--quick-add-uid", openpgp.fingerprint, "Another <another@clinic.example>"),
    )
    again = our_keys(settings)[0].data
    PgpHome(openpgp.home, "").close()
    assert again != first
    assert runs == ["--export", "--export"]


@pytest.mark.parametrize(
    "key",
    [b"", b"garbage", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n", bytes(300_001)],
    ids=["empty", "garbage", "broken", "gigantic"],
)
def test_what_is_no_key_is_none(key: bytes) -> None:
    assert choose_reply_key(AINO, [key]) is None


def test_rubbish_beside_a_key_does_it_no_harm(house: House) -> None:
    rubbish = [b"garbage", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n", bytes(100)]
    hers = choose_reply_key(AINO, [key_of(house.aino)])
    assert hers is not None
    assert choose_reply_key(AINO, [*rubbish, key_of(house.aino)]) == hers


def test_a_setting_turns_encryption_off(house: House) -> None:
    off = house.settings.model_copy(update={"replies": ReplySettings(encrypt=False)})
    assert reply(house, particulars(key_of(house.aino)), off).get_content_type() == "text/plain"


def test_a_strangers_mail_brings_what_a_reply_needs(house: House) -> None:
    opened = OpenedMail(
        Outcome.PLAIN,
        sender_proof=SenderProof(ProofKind.VALID, house.aino.fingerprint, from_matches=True),
        headers=MailHeaders(
            AINO, message_id="<2@x.fi>", in_reply_to=("<1@x.fi>",), autocrypt=house.aino.gpg("--export")
        ),
    )
    known = {**reply_particulars(opened), "reply_to": AINO}
    assert (known["message_id"], known["references"]) == ("<2@x.fi>", ["<1@x.fi>"])
    assert reply_key(known) is not None
    assert reply_key({**known, "reply_to": "other@example.fi"}) is None
    assert reply_key({**known, "autocrypt": "%%"}) is None
    assert reply_key({}) is None


def test_two_answered_messages_are_no_thread() -> None:
    opened = OpenedMail(Outcome.PLAIN, headers=MailHeaders(AINO, in_reply_to=("<1@x.fi>", "<2@x.fi>")))
    assert reply_particulars(opened)["references"] == []


def test_our_own_fault_is_told_and_nothing_goes_out_plain(house: House, tmp_path: Path) -> None:
    wrong = tmp_path / "passphrase"
    wrong.write_text("another passphrase altogether")
    wrong.chmod(0o600)
    ours = house.settings.openpgp
    (house.base / "c2").mkdir(mode=0o700, exist_ok=True)
    empty = OpenPgpSettings(home=house.base / "c2", fingerprint=ours.fingerprint, passphrase_file=wrong)
    with pytest.raises(OutOfReachError, match="reply_not_signed"):
        reply(house, particulars(key_of(house.aino)), house.settings.model_copy(update={"openpgp": empty}))
    with pytest.raises(OutOfReachError, match="openpgp_key_missing"):
        our_keys(house.settings.model_copy(update={"openpgp": empty}))
    PgpHome(empty.home, "").close()
    smime = house.settings.smime.model_copy(update={"passphrase_file": wrong})
    with pytest.raises(WrongUseError, match="smime_passphrase"):
        reply(house, signed_by(house.smime), house.settings.model_copy(update={"smime": smime}))
    smime = house.settings.smime.model_copy(update={"certificate_file": house.smime.certificate})
    with pytest.raises(WrongUseError, match="smime_key"):
        reply(house, signed_by(house.smime), house.settings.model_copy(update={"smime": smime}))


@pytest.mark.parametrize("kind", ["openpgp", "smime"])
def test_an_office_without_our_mail_keys_encrypts_and_does_not_sign(house: House, kind: str) -> None:
    away = house.base / "nothing"
    settings = house.settings.model_copy(
        update={
            "openpgp": OpenPgpSettings(home=away, fingerprint="AB" * 20, passphrase_file=away),
            "smime": house.settings.smime.model_copy(update={"key_file": away, "passphrase_file": away}),
        }
    )
    known = particulars(key_of(house.aino)) if kind == "openpgp" else signed_by(house.smime)
    sent = arrived(reply(house, known, settings))
    if kind == "openpgp":
        _, sealed = sent.iter_parts()
        status = house.base / "unsigned"
        payload = house.aino.gpg("--status-file", str(status), "--decrypt", data=sealed.get_content())
        assert "SIG" not in status.read_text("utf-8")
    else:
        keys = ["-inkey", str(house.smime.key), "-recip", str(house.smime.certificate)]
        payload = subprocess.run(
            ["openssl", "cms", "-decrypt", *keys], input=sent.as_bytes(), check=True, capture_output=True
        ).stdout
    assert_payload(sent, payload)
    assert our_keys(settings) == ()


def test_our_keys_are_our_keys(house: House) -> None:
    key, pem = our_keys(house.settings)
    listing = house.aino.gpg("--with-colons", "--show-keys", data=key.data).decode()
    assert house.settings.openpgp.fingerprint in listing
    assert b"PRIVATE" not in key.data
    assert x509.load_der_x509_certificate(pem.data) == x509.load_pem_x509_certificate(
        house.settings.smime.certificate_file.read_bytes()
    )
