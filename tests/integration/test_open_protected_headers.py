"""Protected headers (RFC 9788, and the drafts before it) are used, and what repeats them is taken away."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from vault.delivery.protected import pgp_mime
from vault.intake.mail import open_mail
from vault.intake.opened import OpenedMail, Outcome, ProofKind
from vault.testing import mails
from vault.testing.mailworld import LETTER, MailWorld, mail_world

SUBJECT = "DSR-2026-7K3QXM"
HP_OUTER = "HP-Outer: Subject: [...]\r\nHP-Outer: From: Aino <aino@example.fi>\r\n"
OWN = f"Subject: {SUBJECT}\r\nFrom: Aino <aino@example.fi>\r\n"


@pytest.fixture(scope="module")
def world() -> Iterator[MailWorld]:
    with mail_world() as made:
        yield made


def opened(world: MailWorld, entity: str, *, sign: bool = False) -> OpenedMail:
    sealed = mails.encrypt(world.aino, entity.encode(), world.key, sign=sign)
    tools = replace(world.tools, known_keys=(world.aino.public_key().encode(),))
    return open_mail(pgp_mime(replace(LETTER, subject="[...]").headers(), sealed).as_bytes(), tools)


PLAIN = "Subject: DSR-2026-7K3QXM\r\n\r\nhei\r\n\r\nkaikki tiedot\r\n"
HTML = (
    '<html><body>\r\n<div class="header-protection-legacy-display">\r\n'
    "<pre>Subject: DSR-2026-7K3QXM</pre>\r\n</div>\r\n"
    "<p>hei</p>\r\n<p>kaikki tiedot</p></body></html>"
)
ENTITIES = {
    "RFC 9788": f'{OWN}{HP_OUTER}Content-Type: text/plain; hp="cipher"\r\n\r\nhei\r\n\r\nkaikki tiedot\r\n',
    "RFC 9788 with a legacy display": (
        f'{OWN}{HP_OUTER}Content-Type: text/plain; hp="cipher"; hp-legacy-display="1"\r\n\r\n{PLAIN}'
    ),
    "RFC 9788 with a legacy display in HTML": (
        f'{OWN}{HP_OUTER}Content-Type: text/html; hp="cipher"; hp-legacy-display="1"\r\n\r\n{HTML}'
    ),
    "RFC 9788 with alternatives": (
        f'{OWN}{HP_OUTER}Content-Type: multipart/alternative; boundary=A; hp="cipher"\r\n\r\n--A\r\n'
        f'Content-Type: text/plain; hp-legacy-display="1"\r\n\r\n{PLAIN}\r\n--A\r\n'
        f'Content-Type: text/html; hp-legacy-display="1"\r\n\r\n{HTML}\r\n--A--\r\n'
    ),
    "memory hole": f'{OWN}Content-Type: text/plain; protected-headers="v1"\r\n\r\nhei\r\n\r\nkaikki tiedot\r\n',
    "memory hole with a legacy part": (
        f'{OWN}Content-Type: multipart/mixed; boundary=A; protected-headers="v1"\r\n\r\n--A\r\n'
        f'Content-Type: text/plain; protected-headers="v1"\r\nContent-Disposition: inline\r\n\r\nSubject: {SUBJECT}\r\n'
        "\r\n--A\r\nContent-Type: text/plain\r\n\r\nhei\r\n\r\nkaikki tiedot\r\n--A--\r\n"
    ),
    "memory hole with header text": (
        f'{OWN}Content-Type: multipart/mixed; boundary=A; protected-headers="v1"\r\n\r\n--A\r\n'
        f'Content-Type: text/rfc822-headers; protected-headers="v1"\r\n\r\nSubject: {SUBJECT}\r\n'
        "\r\n--A\r\nContent-Type: text/plain\r\n\r\nhei\r\n\r\nkaikki tiedot\r\n--A--\r\n"
    ),
    "a wrapped mail": (
        f"Content-Type: message/rfc822; forwarded=no\r\n\r\n{OWN}Content-Type: text/plain\r\n\r\n"
        "hei\r\n\r\nkaikki tiedot\r\n"
    ),
}


@pytest.mark.parametrize("how", list(ENTITIES))
def test_the_subject_inside_counts_and_stands_once(world: MailWorld, how: str) -> None:
    found = opened(world, ENTITIES[how], sign=True)

    assert (found.outcome, found.reason, found.remarks) == (Outcome.OPENED, "", ())
    assert found.headers.subject == SUBJECT
    assert found.headers.from_address == "aino@example.fi"
    assert " ".join(found.text.split()) == "hei kaikki tiedot"
    assert found.attachments == ()
    assert found.sender_proof.kind is ProofKind.VALID


def test_without_the_mark_nothing_is_cut(world: MailWorld) -> None:
    text = opened(world, f"Content-Type: text/plain\r\n\r\n{PLAIN}").text
    html = opened(world, f"Content-Type: text/html\r\n\r\n{HTML}").text

    assert text.startswith("Subject: DSR-2026-7K3QXM")
    assert html.startswith("Subject: DSR-2026-7K3QXM")


@pytest.mark.parametrize(
    "body",
    ['<div class="header-protection-legacy-display">hei', "<div>hei</div>", '<DIV CLASS="x">hei</DIV>'],
)
def test_html_with_the_mark_alone_loses_no_words(world: MailWorld, body: str) -> None:
    assert opened(world, f'Content-Type: text/html; hp-legacy-display="1"\r\n\r\n{body}').text == "hei"


@pytest.mark.parametrize(
    "inside",
    [
        "From: Mallory <mallory@evil.example>\r\n",
        "From: aino@example.fi\r\nFrom: aino@example.fi\r\n",
        "From: no one\r\n",
    ],
    ids=["another", "two", "none"],
)
def test_another_sender_inside_is_told(world: MailWorld, inside: str) -> None:
    found = opened(world, f'{inside}Content-Type: text/plain; hp="cipher"\r\n\r\nhei', sign=True)

    assert found.remarks == ("from_differs",)
    assert found.headers.from_address == "aino@example.fi"
    assert not found.sender_proof.from_matches


def test_a_wrapped_mail_that_is_signed_inside_is_opened_to_its_words(world: MailWorld) -> None:
    signed = mails.pgp_signed_mail(replace(LETTER, subject=SUBJECT, attach_key=True), world.aino)
    entity = b"Content-Type: message/rfc822; forwarded=no\r\n\r\n" + signed

    found = opened(world, entity.decode())

    assert (found.headers.subject, found.sender_proof.kind) == (SUBJECT, ProofKind.VALID)
    assert found.text == LETTER.text.strip()


def test_a_mail_that_is_sent_along_stays_a_file(world: MailWorld) -> None:
    entity = (
        "Content-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\nContent-Type: text/plain\r\n\r\nhei\r\n--A\r\n"
        f"Content-Type: message/rfc822\r\n\r\n{OWN}\r\nsomebody else's words\r\n--A--\r\n"
    )

    found = opened(world, entity)

    assert found.text == "hei"
    assert [a.type for a in found.attachments] == ["message/rfc822"]
