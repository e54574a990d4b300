"""Whatever a stranger sends or an operator forgets: a case or a visible exception; nothing lost, nothing told."""

import io
import logging
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pikepdf
import pytest

from vault.delivery.smtp import send
from vault.desk.sessions import Sessions
from vault.domain.case import Case, Stage
from vault.domain.roles import OfficeName
from vault.errors import OutOfReachError, WrongUseError
from vault.intake.mailbox import Mailbox, MaildirMailbox
from vault.office import key_service, open_office
from vault.settings import Settings
from vault.steps.doors import open_mailbox
from vault.steps.mail_tools import mail_tools
from vault.steps.notices import resend
from vault.steps.parts import Parts
from vault.steps.queue import board
from vault.steps.receive_mail import receive_mail
from vault.steps.receive_post import receive_post
from vault.steps.sealed_object import BESIDE
from vault.storage.database import Database
from vault.storage.objects import Objects
from vault.storage.outgoing import INTENDED, READY, SENT, outgoing_of
from vault.testing.cast import deliverer
from vault.testing.controller import ADDRESS
from vault.testing.installation import Installation, installed
from vault.testing.mails import Letter, plain_mail
from vault.testing.mailtexts import request_text, small_talk
from vault.testing.places import write_private
from vault.testing.ports import free_port

CANARY = "kvzqwxjäöpfgh"  # in every mail and file name; no log line may repeat it
ASKS = request_text("fi", "Tuntematon Kysyjä", None) + f"\n{CANARY}\n"


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with installed() as running:
        yield running


@contextmanager
def office(installation: Installation, name: str, settings: Settings | None = None) -> Iterator[Parts]:
    with open_office(name, settings or installation.settings()) as parts:
        yield parts


def cases(installation: Installation) -> dict[str, Case]:
    with office(installation, "operator") as parts:
        return {row.case.ref: row.case for row in board(parts)}


def fresh(installation: Installation, known: dict[str, Case]) -> list[Case]:
    return [case for ref, case in cases(installation).items() if ref not in known]


def notices(installation: Installation, ref: str) -> dict[str, str]:
    with office(installation, "operator") as parts, parts.database.connect() as connection:
        return {item.kind: item.state for item in outgoing_of(connection, ref)}


def letter(sender: str = f"Kysyjä {CANARY} <asks@requester.example>", text: str = ASKS, **headers: str) -> bytes:
    message = EmailMessage()
    message["Message-ID"] = f"<{os.urandom(6).hex()}@requester.example>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return b"From: " + sender.encode() + b"\n" + message.as_bytes()


def nested(depth: int) -> bytes:
    head = b"From: asks@requester.example\nSubject: nested\nMIME-Version: 1.0\n"
    layers = [b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (at, at) for at in range(depth)]
    return head + b"".join(layers) + b"\ntext " + CANARY.encode()


def with_body(kind: str, body: bytes, encoding: str = "8bit") -> bytes:
    head = (
        f"From: asks@requester.example\nMIME-Version: 1.0\nContent-Type: {kind}\nContent-Transfer-Encoding: {encoding}"
    )
    return head.encode() + b"\n\n" + body


def with_attachment(name: str) -> bytes:
    message = EmailMessage()
    message["From"] = "asks@requester.example"
    message.set_content(ASKS)
    message.add_attachment(b"x", "application", "octet-stream", filename=name)
    return message.as_bytes()


BOUNCE = (
    b"From: MAILER-DAEMON@mx.example\nReturn-Path: <>\nMIME-Version: 1.0\n"
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
    b"--b\nContent-Type: text/plain\n\nundeliverable " + CANARY.encode() + b"\n"
    b"--b\nContent-Type: message/delivery-status\n\nStatus: 5.1.1\n--b--\n"
)
PGP_GARBAGE = b"-----BEGIN PGP MESSAGE-----\n\naGVsbG8gd29ybGQ=\n=abcd\n-----END PGP MESSAGE-----\n"
# name -> bytes and what the board shows; None is a request like any other
MAILS: dict[str, tuple[bytes, str | None]] = {
    "empty": (b"", "mail_refused"),
    "blank lines": (b"\r\n\r\n\r\n", "mail_refused"),
    "noise": (bytes(range(256)) * 200 + CANARY.encode(), "mail_refused"),
    "no headers": (b"\n" + ASKS.encode(), "mail_refused"),
    "headers only": (b"From: asks@requester.example\nSubject: x", "no_request_found"),
    "10,000 nested multiparts": (nested(10_000), "mail_refused"),
    "gigantic header": (b"Subject: " + b"x" * 5_000_000 + b"\n" + letter(), "mail_refused"),
    "nul bytes": (letter().replace(b"Kysyj", b"Ky\0syj"), None),
    "invalid charset": (with_body('text/plain; charset="no-such-charset"', ASKS.encode()), None),
    "charset with a nul": (with_body("text/plain; charset=utf\x00-8", ASKS.encode()), None),
    "undecodable bytes": (with_body("text/plain; charset=utf-8", b"\xff\xfe\xf0" + ASKS.encode()), None),
    "broken base64": (with_body("text/plain", b"!!!!" + b"A" * 33, "base64"), "no_request_found"),
    "attachment up the tree": (with_attachment("../../../../etc/passwd"), None),
    "attachment with an absolute path": (with_attachment("/etc/ssh/authorized_keys"), None),
    "attachment named by a shell": (with_attachment("`rm -rf ~`;$(reboot)|x"), None),
    "smime garbage": (
        with_body("application/pkcs7-mime; smime-type=enveloped-data", b"AAAA", "base64"),
        "no_request_found",
    ),
    "signed smime garbage": (
        with_body("application/pkcs7-mime; smime-type=signed-data", b"AAAA", "base64"),
        "no_request_found",
    ),
    "pgp garbage": (letter(text=PGP_GARBAGE.decode()), "mail_undecryptable"),
    "pgp mime garbage": (
        with_body(
            'multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b',
            b"--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n"
            b"--b\nContent-Type: application/octet-stream\n\n" + PGP_GARBAGE + b"--b--\n",
        ),
        "mail_undecryptable",
    ),
    "bounce": (BOUNCE, "automatic_message"),
    "list mail": (letter(List_Id="<news.lists.example>"), "automatic_message"),
    "out of office": (letter(Auto_Submitted="auto-replied"), "automatic_message"),
    "several senders": (letter("one@requester.example, two@requester.example"), None),
    "sender twice": (b"From: one@requester.example\n" + letter("two@requester.example"), None),
    "sender's name is ours": (letter(f'"{ADDRESS}" <asks@requester.example>'), None),
    "address in the name": (letter("requests@clinic.example <asks@requester.example> <other@evil.example>"), None),
    "no sender": (letter("").partition(b"\n")[2], None),
    "small talk": (letter(text=small_talk("fi", CANARY)), "no_request_found"),
}


def drop_all(folder: Path, mails: dict[str, tuple[bytes, str | None]]) -> Mailbox:
    mark = os.urandom(6).hex()  # a Maildir's names are never used twice
    for name in ("tmp", "new", "cur"):
        (folder / name).mkdir(parents=True)
    for at, (raw, _) in enumerate(mails.values()):
        (folder / "new" / f"{at:03d}.{mark}").write_bytes(raw)
    return MaildirMailbox(folder)


@dataclass(frozen=True)
class Taken:
    """What a batch of bad input became, by the order it lay in."""

    cases: list[Case]
    left: int
    said: str


class Listener(logging.Handler):
    """Keeps every log record as text, with its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def heard() -> Iterator[Listener]:
    listener, root = Listener(), logging.getLogger()
    level = root.level
    root.addHandler(listener)
    root.setLevel(logging.INFO)
    try:
        yield listener
    finally:
        root.removeHandler(listener)
        root.setLevel(level)


@pytest.fixture(scope="module")
def taken_mails(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    mailbox = drop_all(tmp_path_factory.mktemp("mail") / "box", MAILS)
    with heard() as listener, office(installation, "intake") as parts:
        refs = receive_mail(parts, mailbox)
    known = cases(installation)
    return Taken([known[ref] for ref in refs], mailbox.count(), "\n".join(listener.lines))


@pytest.mark.parametrize("name", MAILS)
def test_mail_becomes_a_case_or_a_visible_exception(taken_mails: Taken, name: str) -> None:
    case = taken_mails.cases[list(MAILS).index(name)]
    assert (case.stage, case.exception) == (Stage.RECEIVED, MAILS[name][1])


def test_batch_of_bad_mail_ends_and_says_nothing_personal(installation: Installation, taken_mails: Taken) -> None:
    assert taken_mails.left == 0
    assert len({case.ref for case in taken_mails.cases}) == len(MAILS)
    assert CANARY not in taken_mails.said
    automatic = [case for case in taken_mails.cases if case.exception == "automatic_message"]
    assert [notices(installation, case.ref) for case in automatic] == [{}, {}, {}]  # no machine answers a machine


@pytest.mark.parametrize("name", ["several senders", "sender twice", "address in the name", "no sender"])
def test_nobody_is_answered_whose_address_is_in_doubt(
    installation: Installation, taken_mails: Taken, name: str
) -> None:
    case = taken_mails.cases[list(MAILS).index(name)]
    assert notices(installation, case.ref) == {}


@pytest.mark.parametrize("year", [1970, 1993, 2127, 2200, None])
def test_doors_wrong_clock_breaks_no_date(installation: Installation, tmp_path: Path, year: int | None) -> None:
    before = cases(installation)
    mailbox = drop_all(tmp_path / "box", {"one": (letter(), None)})
    stamp = 9_000_000_000_000 if year is None else (year - 1970) * 31_556_952
    (mail,) = (tmp_path / "box" / "new").iterdir()
    os.utime(mail, (stamp, stamp))
    sheet = installation.settings().scans.folder / "clock.pdf"
    sheet.write_bytes(os.urandom(20))
    os.utime(sheet, (stamp, stamp))
    with office(installation, "intake") as parts:
        receive_mail(parts, mailbox)
        receive_post(parts)
        now = parts.now()
    made = fresh(installation, before)
    assert len(made) == 2
    assert all(case.received_at.date() == now.date() for case in made)
    assert not sheet.exists()


def pdf(pages: int = 1, password: str | None = None) -> bytes:
    target = io.BytesIO()
    with pikepdf.new() as made:
        for _ in range(pages):
            made.add_blank_page()
        encryption = pikepdf.Encryption(owner=password, user=password) if password else False
        made.save(target, encryption=encryption)
    return target.getvalue()


def tiff(pages: int) -> bytes:
    """Write many pages that share one strip of pixels (TIFF 6.0, section 2); Pillow takes minutes for so many."""
    tags = ((256, 3, 8), (257, 3, 8), (258, 3, 1), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 3, 8), (279, 4, 8))
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    size = 2 + len(entries) + 4
    starts = [16 + at * size for at in range(pages)] + [0]
    directories = (struct.pack("<H", len(tags)) + entries + struct.pack("<I", after) for after in starts[1:])
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + b"".join(directories)


def bomb() -> bytes:
    """Say that 40,000 by 40,000 pixels follow."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(bytes(5_000_000))
    chunks = (header, pixels, b"IEND")
    framed = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10_000_000_000)


def write(data: bytes) -> Callable[[Path], object]:
    return lambda path: (path.write_bytes(data) and None) or None


# file name -> how it comes to lie there, and what the board shows
SHEETS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.pdf": (write(b""), "scan_empty"),
    "noise.pdf": (write(bytes(range(256)) * 64), "scan_unknown_type"),
    "text.pdf": (write(b"Dear Sir or Madam"), "scan_unknown_type"),
    "link.pdf": (lambda path: path.symlink_to("/etc/passwd"), "scan_not_a_file"),
    "dangling.pdf": (lambda path: path.symlink_to("/no/such/file"), "scan_not_a_file"),
    "folder-link": (lambda path: path.symlink_to("/etc"), "scan_not_a_file"),
    "pipe.pdf": (os.mkfifo, "scan_not_a_file"),
    "two\nlines.pdf": (write(b"\0\1"), "scan_unknown_type"),
    "🦊.pdf": (write(b"\0\2"), "scan_unknown_type"),
    ";rm -rf $HOME`id`.pdf": (write(b"\0\3"), "scan_unknown_type"),
    "\udcff\udcfe.pdf": (write(b"\0\4"), "scan_unknown_type"),
    f"{CANARY}.pdf": (write(b"\0\5"), "scan_unknown_type"),
    "truncated.pdf": (write(pdf(3)[:200]), "scan_broken"),
    "encrypted.pdf": (write(pdf(1, "secret words")), "scan_encrypted"),
    "bomb.png": (write(bomb()), "scan_too_many_pixels"),
    "pages.tif": (write(tiff(10_000)), "scan_too_many_pages"),
    "pages.pdf": (write(pdf(201)), "scan_too_many_pages"),
}


@pytest.fixture(scope="module")
def taken_sheets(installation: Installation, taken_mails: Taken) -> Iterator[tuple[Taken, list[str]]]:
    assert taken_mails.left == 0
    folder = installation.settings().scans.folder
    names = sorted(SHEETS)
    for name in names:
        SHEETS[name][0](folder / name)
    (folder / "a folder").mkdir()
    with heard() as listener, office(installation, "intake") as parts:
        refs = receive_post(parts)
    left = [path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()]
    known = cases(installation)
    yield Taken([known[ref] for ref in refs], len(left), "\n".join(listener.lines)), names
    (folder / "a folder").rmdir()


@pytest.mark.parametrize("name", SHEETS, ids=ascii)
def test_sheet_becomes_a_visible_exception(taken_sheets: tuple[Taken, list[str]], name: str) -> None:
    taken, names = taken_sheets
    case = taken.cases[names.index(name)]
    assert (case.stage, case.exception) == (Stage.RECEIVED, SHEETS[name][1])


def test_batch_of_bad_sheets_ends_and_says_nothing_personal(taken_sheets: tuple[Taken, list[str]]) -> None:
    taken, names = taken_sheets
    assert taken.left == 0
    assert len({case.ref for case in taken.cases}) == len(names)
    assert CANARY not in taken.said
    assert Path("/etc/passwd").exists()


def test_huge_sheet_is_shown_once_and_stays(installation: Installation) -> None:
    before = cases(installation)
    path = installation.settings().scans.folder / "huge.pdf"
    sparse(path)
    with office(installation, "intake") as parts:
        receive_post(parts)
        receive_post(parts)
    assert [case.exception for case in fresh(installation, before)] == ["scan_too_large"]
    assert path.stat().st_size == 10_000_000_000
    path.unlink()


def _send(settings: Settings) -> object:
    message = EmailMessage()
    message["From"] = message["To"] = ADDRESS
    return send(message, settings.smtp)


def _tools(settings: Settings) -> None:
    with mail_tools(settings):
        pass


def _desk(settings: Settings) -> None:
    with open_office("desk", settings) as parts:
        Sessions(parts)


# part, setting, and what starts with it
SECRETS: list[tuple[str, str, Callable[[Settings], object]]] = [
    ("database", "password_file", lambda settings: Database(settings.database)),
    ("objects", "access_key_file", lambda settings: Objects(settings.objects)),
    ("objects", "secret_key_file", lambda settings: Objects(settings.objects)),
    ("mailbox", "password_file", lambda settings: open_mailbox(settings.mailbox)),
    ("smtp", "password_file", _send),
    ("openpgp", "passphrase_file", _tools),
    ("smime", "passphrase_file", _tools),
    ("desk", "session_secret_file", _desk),
]
FAULTS: dict[str, str | None] = {
    "secret_missing": None,
    "secret_empty": "",
    "secret_default": "changeme",
    "secret_short": "abc-9",
}
_SENTENCE = re.compile(r"[^\n.]*(?:\.\w[^\n.]*)*")


def spoiled(fault: str, folder: Path) -> Path:
    path, value = folder / "secret", FAULTS[fault]
    return path if value is None else write_private(path, value)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("secret", SECRETS, ids=[f"{part}.{name}" for part, name, _ in SECRETS])
def test_bad_secret_refuses_to_start(
    installation: Installation,
    tmp_path: Path,
    secret: tuple[str, str, Callable[[Settings], object]],
    fault: str,
) -> None:
    part, name, start = secret
    settings = installation.settings()
    changed = getattr(settings, part).model_copy(update={name: spoiled(fault, tmp_path)})
    with pytest.raises(WrongUseError) as refused:
        start(settings.model_copy(update={part: changed}))
    assert refused.value.code == fault
    assert _SENTENCE.fullmatch(refused.value.advice)
    assert not FAULTS[fault] or str(FAULTS[fault]) not in refused.value.advice


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_token_refuses_to_start(installation: Installation, tmp_path: Path, fault: str) -> None:
    settings = installation.settings()
    tokens = {**settings.keys.token_files, "intake": spoiled(fault, tmp_path)}
    keys = settings.keys.model_copy(update={"token_files": tokens})
    with pytest.raises(WrongUseError, match=fault), open_office("intake", settings.model_copy(update={"keys": keys})):
        pass
    with pytest.raises(WrongUseError, match="no_token"):
        key_service(
            settings.model_copy(update={"keys": keys.model_copy(update={"token_files": {}})}), OfficeName.INTAKE
        )


def away(settings: Settings, part: str) -> Settings:
    """Point one part at a place where nobody answers."""
    port = free_port()
    update: dict[str, object] = {
        "database": {"port": port},
        "objects": {"endpoint": f"http://127.0.0.1:{port}"},
        "keys": {"socket": settings.keys.socket.with_name("nobody")},
        "mailbox": {"port": port},
        "smtp": {"port": port},
    }
    changed = getattr(settings, part).model_copy(update=update[part])
    return settings.model_copy(update={part: changed})


@pytest.mark.parametrize("part", ["database", "objects", "keys", "mailbox"])
def test_part_away_loses_nothing(installation: Installation, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.storage.database._CONNECT_SECONDS", 1.0)
    before, settings = cases(installation), installation.settings()
    mailbox = open_mailbox(settings.mailbox)
    words = ASKS + "x " * BESIDE  # too large for a row beside its case
    deliverer(installation)(plain_mail(Letter("Kysyjä", "asks@requester.example", ADDRESS, words)))

    with pytest.raises(OutOfReachError) as told, office(installation, "intake", away(settings, part)) as parts:
        receive_mail(parts)

    assert "\n" not in told.value.advice
    assert mailbox.count() == 1
    assert fresh(installation, before) == []
    with office(installation, "intake") as parts:
        receive_mail(parts)
    assert len(fresh(installation, before)) == 1
    assert mailbox.count() == 0


def test_mail_server_away_delays_the_notice_only(installation: Installation) -> None:
    """Her own address: nobody gets more than twenty answers in a day, and the other tests' sender may have had them."""
    before, settings = cases(installation), installation.settings()
    deliverer(installation)(plain_mail(Letter("Kysyjä", "delayed@requester.example", ADDRESS, ASKS)))

    with office(installation, "intake", away(settings, "smtp")) as parts:
        receive_mail(parts)
    (case,) = fresh(installation, before)
    assert notices(installation, case.ref) == {"acknowledgement": INTENDED}

    with office(installation, "collector") as parts:
        resend(parts)
    assert notices(installation, case.ref) == {"acknowledgement": SENT}


def test_unsendable_notice_stops_no_other(installation: Installation) -> None:
    """An address that no mail can carry stands on the board; the notice behind it goes out."""
    before, settings = cases(installation), installation.settings()
    strange = letter("asks@requester.example").replace(b"asks@", b"a{}|~s@")
    with office(installation, "intake", away(settings, "smtp")) as parts:
        for raw in (strange, letter()):
            deliverer(installation)(raw)
        receive_mail(parts)
    with office(installation, "collector") as parts:
        resend(parts)
    states = [notices(installation, case.ref).get("acknowledgement") for case in fresh(installation, before)]
    assert states.count(SENT) >= 1
    assert READY not in states


def test_scan_folder_away_is_said(installation: Installation) -> None:
    settings = installation.settings()
    folder = settings.scans.folder
    folder.rename(folder.with_name("elsewhere"))
    try:
        with pytest.raises(OutOfReachError, match="scan_folder_away"), office(installation, "intake") as parts:
            receive_post(parts)
    finally:
        with suppress(FileNotFoundError):
            folder.with_name("elsewhere").rename(folder)
