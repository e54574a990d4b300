"""Attacks on the reader: limits, names, boundaries, and bytes that no mail should hold."""

from vault.intake.opened import Outcome
from vault.testing.mailattacks import (
    BAIT,
    MALLORY,
    VICTIM,
    Prey,
    attack,
    entity,
    from_mallory,
    multipart,
    signed_entity,
    words,
)

_OPENED, _PLAIN, _REFUSED, _SHUT = Outcome.OPENED, Outcome.PLAIN, Outcome.REFUSED, Outcome.UNDECRYPTABLE
_MIXED = "multipart/mixed; boundary=X"
_OPEN, _CLOSE = "-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----"


@attack("limits", _REFUSED, reason="mail_too_many_parts")
def parts_without_end(_prey: Prey) -> bytes:
    """Make a hundred thousand parts."""
    return from_mallory(entity(_MIXED, b"--X\r\n\r\n" * 100_000), MALLORY)


@attack("limits", _REFUSED, reason="mail_too_deep")
def nesting_without_end(_prey: Prey) -> bytes:
    """Fifty thousand multiparts in each other."""
    levels = (f"Content-Type: multipart/mixed; boundary={n}\r\n\r\n--{n}\r\n".encode() for n in range(50_000))
    return from_mallory(b"".join(levels), MALLORY)


@attack("limits", _REFUSED, reason="mail_headers_too_large")
def headers_without_end(_prey: Prey) -> bytes:
    """Two hundred parts of eighty thousand header fields each: 50 MB that would need 3 GB."""
    return from_mallory(entity(_MIXED, (b"--X\r\n" + b"a:\n" * 80_000) * 190), MALLORY)


@attack("limits", _REFUSED, reason="mail_headers_too_large")
def one_header_without_end(_prey: Prey) -> bytes:
    """One line of ten megabytes."""
    return from_mallory(words(), MALLORY, "X: " + "y" * 10_000_000)


@attack("limits", _REFUSED, reason="mail_several_encrypted_parts")
def armour_without_end(_prey: Prey) -> bytes:
    """Two hundred thousand armoured blocks in one text."""
    return from_mallory(words(f"{_OPEN}\r\nx\r\n{_CLOSE}\r\n" * 200_000), MALLORY)


@attack("limits", _PLAIN)
def armour_that_is_never_closed(_prey: Prey) -> bytes:
    """Half a million BEGIN lines."""
    return from_mallory(words(f"{_OPEN}\r\n" * 500_000), MALLORY)


@attack("limits", _PLAIN)
def keys_without_end(_prey: Prey) -> bytes:
    """Fifty thousand key blocks that are none."""
    block = "-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n\r\n{}\r\n-----END PGP PUBLIC KEY BLOCK-----\r\n"
    text = "".join(block.format(number) for number in range(50_000))
    return from_mallory(words(text), MALLORY)


@attack("limits", _PLAIN)
def blanks_without_end(_prey: Prey) -> bytes:
    """Header values of blanks and of what patterns try again and again."""
    blanks = " " * 1_000
    fields = (
        f"Sender: {blanks}<",
        f"Date:{blanks}",
        "References: " + "<" * 8_000,
        f'Content-Disposition: ;a="{blanks}',
    )
    return from_mallory(words(), f"x{blanks}y", "Subject: " + "=?" * 4_000, *fields)


@attack("limits", _PLAIN)
def every_second_letter_is_none(_prey: Prey) -> bytes:
    """Base64 and text whose every third character is to be dropped: what is kept must not be listed."""
    body = entity("application/octet-stream; name=x.bin", b"AA\0" * 5_000_000, "Content-Transfer-Encoding: base64")
    return from_mallory(multipart("mixed", words("aa\x01" * 2_000_000), body), MALLORY)


@attack("RFC 2231", _PLAIN)
def names_that_lead_elsewhere(_prey: Prey) -> bytes:
    """File names with folders, NUL, percent signs, pieces out of order, and a hundred pieces."""
    names = (
        *(
            'filename="../../etc/cron.d/x"',
            "filename*=utf-8''..%2F..%2Fetc%2Fpasswd",
            "filename*=utf-8''a%00b%0d%0aX:y",
        ),
        *("filename*1=b; filename*0=a; filename*0=c", "filename*=utf-7''+AC8-x", 'filename="con.txt"; filename*=x'),
        *(
            "; ".join(f"filename*{n}*=%2F{n}" for n in range(100)),
            'filename="=?utf-8?B?Li4vLi4veA==?="',
            "filename*99*=x",
        ),
    )
    parts = (entity("application/pdf", "x", f"Content-Disposition: attachment; {name}") for name in names)
    return from_mallory(multipart("mixed", *parts), MALLORY)


@attack("RFC 2231", _PLAIN, _REFUSED)
def a_boundary_in_pieces(prey: Prey) -> bytes:
    """One program joins the pieces of the boundary, the next one takes the other boundary."""
    signed = signed_entity(words("Hei."), prey.world.aino)
    kind = "multipart/mixed; boundary*0=A; boundary*1=B; boundary=Z"
    return from_mallory(entity(kind, b"--Z\r\n" + words() + b"\r\n--Z--\r\n--AB\r\n" + signed + b"\r\n--AB--"))


def _enter_boundaries() -> None:
    texts = {
        "empty": 'boundary=""',
        "missing": "boundary",
        "of_blanks": 'boundary="   "',
        "very_long": "boundary=" + "b" * 3_000,
        "with_quotes": 'boundary="a\\"b"',
        "in_latin_1": "boundary=\xe4",
        "of_dashes": "boundary=--",
        "twice": "boundary=X; boundary=Y",
        "encoded": "boundary==?utf-8?Q?X?=",
    }
    for name, text in texts.items():

        def make(prey: Prey, text: str = text) -> bytes:
            signed = signed_entity(words("Hei."), prey.world.aino)
            body = b"--X\r\n" + words() + b"\r\n--Y\r\n" + signed + b"\r\n--X--\r\n----\r\n\r\n------\r\n"
            return from_mallory(entity(f"multipart/mixed; {text}", body))

        make.__name__ = f"boundary_{name}"
        attack("boundary", _PLAIN, _REFUSED)(make)


@attack("boundary", _PLAIN, _REFUSED)
def one_boundary_on_two_levels(prey: Prey) -> bytes:
    """Give an inner multipart the outer one's boundary, so that a signed part ends elsewhere."""
    inner = multipart("mixed", words("Hei."), words(), boundary="X")
    return from_mallory(multipart("mixed", signed_entity(inner, prey.world.aino), words(), boundary="X"))


@attack("boundary", _PLAIN, _REFUSED)
def bare_line_ends(prey: Prey) -> bytes:
    """Bare carriage returns and line feeds where a line may end or not."""
    signed = signed_entity(words("Hei."), prey.world.aino)
    return from_mallory(signed, f"Aino <{VICTIM}>\rX: y\r\r\nZ: z\n\r\nContent-Type: text/plain\r\n\r\n{BAIT}\r\n\r\n")


@attack("odd bytes", _PLAIN, _REFUSED)
def odd_bytes_everywhere(_prey: Prey) -> bytes:
    """NUL, 8-bit bytes and overlong UTF-8 in names of fields, values, boundaries and texts."""
    odd = b"\0\x80\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80"
    head = b"X" + odd + b": y\r\nSubject: " + odd + b"\r\nContent-Type: multipart/mixed; boundary=" + odd
    return b"From: " + odd + b"\r\n" + head + b"\r\n\r\n--" + odd + b"\r\n\r\n" + odd + b"\r\n--" + odd + b"--"


@attack("odd bytes", _PLAIN)
def charsets_that_are_none(_prey: Prey) -> bytes:
    """Codecs that are no charsets, or slow, or that smuggle."""
    names = (
        "utf-7",
        "punycode",
        "idna",
        "unicode_escape",
        "zlib",
        "hex",
        "rot13",
        "uu",
        "base64",
        "mbcs",
        "\0",
        "x" * 900,
    )
    parts = (entity(f'text/plain; charset="{name}"', "+ADw-script+AD4- \\u0041 xn--" + "a" * 9_000) for name in names)
    return from_mallory(
        multipart("mixed", *parts, entity("text/plain; charset=iso-2022-jp", b"\x1b$B" * 9_000)), MALLORY
    )


@attack("odd bytes", _PLAIN)
def headers_that_stand_twice(_prey: Prey) -> bytes:
    """Every header that counts, twice."""
    fields = [f"{name}: {value}" for name in ("Message-ID", "Subject", "Date", "To", "MIME-Version") for value in "ab"]
    return from_mallory(words(), MALLORY, *fields, "Content-Transfer-Encoding: base64", "Content-Type: text/html")


_enter_boundaries()
