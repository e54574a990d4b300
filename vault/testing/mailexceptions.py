"""Mails that end as exceptions, one for each code that the way from the mailbox to the register can raise."""

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from vault.domain.hetu import spell
from vault.domain.request import RequestKind
from vault.testing.controller import ADDRESS, export_public
from vault.testing.installation import Installation
from vault.testing.mailkeys import make_pgp_home
from vault.testing.mails import File, Letter, encrypt, pgp_mime_mail, plain_mail
from vault.testing.mailtexts import request_text, small_talk
from vault.testing.patients import Patient
from vault.testing.scans import as_pdf, fill_form, print_sheet

LARGEST = 600_000  # bytes of a mail, in an installation for these
FATAL = "these words end the reader"
_DPI = 200
_ID = re.compile(rb"^Message-ID:\s*(<[^>]+>)", re.IGNORECASE | re.MULTILINE)


def exceptional_mails(installation: Installation, folder: Path) -> Mapping[str, bytes]:
    """Write one mail for each code; nobody of them is on the register.

    :param folder: short, for a requester's gpg home.
    """
    ours = export_public(installation.settings().openpgp)
    home = make_pgp_home(folder / "q", "Requester", "requester@requester.example")
    stranger = make_pgp_home(folder / "s", "Stranger", "stranger@requester.example")
    text = request_text("fi", "Äinö Virtanen", spell(datetime(1952, 10, 13, tzinfo=UTC).date(), 990))
    two = encrypt(home, text.encode(), ours, sign=False) + b"\n\n" + encrypt(home, b"two", ours, sign=False)
    try:
        return {
            "mail_undecryptable": pgp_mime_mail(_letter(text), home, stranger.public_key(), sign=False),
            "mail_refused": plain_mail(_letter(two.decode())),
            "mail_too_large": plain_mail(_letter(text, files=(File("scan.pdf", "application/pdf", b"x" * LARGEST),))),
            "no_request_found": plain_mail(_letter(small_talk("fi", "Utelias Asiakas"), subject="Kysymys")),
            "other_right_asked": plain_mail(_letter(request_text("sv", "Ä Ö", None, (RequestKind.ERASURE,)))),
            "form_unclear": plain_mail(_letter("Lomake liitteenä.", files=(_unsure_form(),))),
            "mail_reading_failed": plain_mail(_letter(FATAL)),
            "automatic_message": _automatic(),
            "subject_unknown": pgp_mime_mail(_letter(text), home, ours),
        }
    finally:
        home.close()
        stranger.close()


def doubtful_mails(patients: Sequence[Patient]) -> Mapping[str, bytes]:
    """Write one mail for each code that needs somebody on the register.

    :param patients: two of them.
    """
    one, other = patients
    return {
        "representative": plain_mail(_letter(f"Pyydän isäni potilastiedot.\n{_named(one.name, one.code)}")),
        "name_differs": plain_mail(_letter(request_text("fi", "Joku Muu", other.code))),
    }


def _named(name: str, code: str) -> str:
    return f"Nimi: {name}\nHenkilötunnus: {code}\n"


def _unsure_form() -> File:
    """Print a form that lacks the identity code, and lay it on a scanner."""
    sheet = print_sheet(fill_form({"name": "Äinö Virtanen", "kinds": ("inspection",)}), _DPI)
    return File("lomake.pdf", "application/pdf", as_pdf([sheet], _DPI))


def returned(sent: bytes) -> bytes:
    """Write the report of a server that could not deliver a mail of ours (RFC 3464)."""
    named = _ID.search(sent)
    boundary = secrets.token_hex(12)
    status = "Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\n"
    original = f"Message-ID: {named[1].decode() if named else ''}\nSubject: x\n"
    kinds = (("text/plain", "It could not be delivered.\n"), ("message/delivery-status", status))
    parts = [*kinds, ("text/rfc822-headers", original)]
    body = "".join(f"--{boundary}\nContent-Type: {kind}\n\n{content}\n" for kind, content in parts)
    kind = f'multipart/report; report-type=delivery-status; boundary="{boundary}"'
    return _machine("Undelivered Mail Returned to Sender", kind, f"{body}--{boundary}--\n")


def _letter(text: str, **more: object) -> Letter:
    sender = f"r{secrets.token_hex(4)}@requester.example"  # each its own: nobody gets too many answers
    return Letter("Äinö Virtanen", sender, ADDRESS, text, **more)  # type: ignore[arg-type]  # fields of Letter


def _automatic() -> bytes:
    return _machine("Poissa", "text/plain", "I am away until Monday.\n", "Auto-Submitted: auto-replied\n")


def _machine(subject: str, kind: str, body: str, more: str = "") -> bytes:
    head = f"From: MAILER-DAEMON@mx.example\nTo: {ADDRESS}\nSubject: {subject}\n{more}MIME-Version: 1.0\n"
    head += f"Date: {format_datetime(datetime.now(UTC))}\nMessage-ID: <{secrets.token_hex(12)}@mx.example>\n"
    return f"{head}Content-Type: {kind}\n\n{body}".replace("\n", "\r\n").encode()
