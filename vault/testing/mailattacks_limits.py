"""Attacks on the reader: bombs, limits, names, and bytes that no mail should hold."""

import bz2
import io
import subprocess
import zipfile
import zlib

from vault.intake.opened import Outcome
from vault.intake.openpgp import fingerprint_of
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
from vault.testing.mailpackets import der, packet

_OPENED, _PLAIN, _REFUSED, _SHUT = Outcome.OPENED, Outcome.PLAIN, Outcome.REFUSED, Outcome.UNDECRYPTABLE
_BOMB = 80_000_000  # bytes; more than a tool of the prey may write
_MIXED = "multipart/mixed; boundary=X"
_OPEN, _CLOSE = "-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----"


def _zeros(size: int, compressor: "zlib._Compress | bz2.BZ2Compressor") -> bytes:
    piece = bytes(1 << 20)
    return b"".join(compressor.compress(piece) for _ in range(size >> 20)) + compressor.flush()


def _literal(size: int) -> bytes:
    """Return the head of a literal packet that ``size`` zero bytes follow."""
    return b"\xcb\xff" + (6 + size).to_bytes(4, "big") + b"b\0" + bytes(4)


def _pgp_bomb() -> bytes:
    packer = zlib.compressobj(9)
    head = packer.compress(_literal(_BOMB & ~0xFFFFF))
    return packet(8, b"\x02" + head + _zeros(_BOMB, packer))


@attack("bomb", _REFUSED, reason="tool_output")
def zeros_in_ciphertext(prey: Prey) -> bytes:
    """Encrypt zeros: a small mail that becomes 80 MB."""
    home, key = prey.world.mallory, prey.world.key
    home.learn(key)
    command = [
        "gpg",
        "--homedir",
        str(home.path),
        "--batch",
        "--quiet",
        "--trust-model",
        "always",
        "--compress-level",
        "9",
    ]
    recipient = ["--recipient", fingerprint_of(key) or "", "--armor", "--encrypt"]
    with subprocess.Popen(["head", "-c", str(_BOMB), "/dev/zero"], stdout=subprocess.PIPE) as zeros:
        sealing = subprocess.run([*command, *recipient], stdin=zeros.stdout, check=True, capture_output=True)
    return from_mallory(sealed(sealing.stdout), MALLORY)


@attack("bomb", _SHUT, _REFUSED)
def compressed_packets_in_each_other(_prey: Prey) -> bytes:
    """Put a bomb into a bomb, not encrypted at all, as a file that claims to be."""
    bomb = _pgp_bomb()
    for _ in range(3):
        bomb = packet(8, b"\x02" + zlib.compress(bomb, 9))
    return from_mallory(entity("application/octet-stream; name=kuva.png.gpg", bomb), MALLORY)


@attack("bomb", _SHUT, _REFUSED)
def a_slow_compression(_prey: Prey) -> bytes:
    """Take the slowest of the compressions (bzip2)."""
    bomb = packet(8, b"\x03" + _zeros(40 << 20, bz2.BZ2Compressor(9)))
    return from_mallory(entity("application/octet-stream; name=kuva.png.gpg", bomb), MALLORY)


@attack("bomb", _SHUT, _REFUSED)
def packets_nested_deeply(_prey: Prey) -> bytes:
    """Five hundred compressed packets in each other."""
    inside = packet(11, b"b\0" + bytes(4) + b"x")
    for _ in range(500):
        inside = packet(8, b"\x00" + inside)
    return from_mallory(entity("application/octet-stream; name=x.pgp", inside), MALLORY)


def _compressed(data: bytes) -> bytes:
    """Write CompressedData (RFC 3274)."""
    kind = der(0x06, bytes.fromhex("2a864886f70d010701"))
    algorithm = der(0x30, der(0x06, bytes.fromhex("2a864886f70d0109100308")))
    inside = der(0x02, b"\0") + algorithm + der(0x30, kind + der(0xA0, der(0x04, data)))
    return der(0x30, der(0x06, bytes.fromhex("2a864886f70d0109100109")) + der(0xA0, der(0x30, inside)))


@attack("bomb", _PLAIN, _REFUSED)
def compressed_cms(_prey: Prey) -> bytes:
    """Zeros in CompressedData."""
    bomb = _compressed(_zeros(_BOMB, zlib.compressobj(9)))
    return from_mallory(entity("application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z", bomb), MALLORY)


@attack("bomb", _PLAIN, _REFUSED)
def compressed_cms_in_each_other(_prey: Prey) -> bytes:
    """CompressedData in CompressedData, deeper than anybody packs."""
    kind = "application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z"
    inside = words()
    for _ in range(20):
        inside = entity(kind, _compressed(zlib.compress(inside)))
    return from_mallory(inside, MALLORY)


@attack("bomb", _PLAIN)
def an_archive_as_a_file(_prey: Prey) -> bytes:
    """Attach a ZIP bomb: it stays a file."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", bytes(50 << 20))
    return from_mallory(multipart("mixed", words(), entity("application/zip; name=x.zip", target.getvalue())), MALLORY)


@attack("bomb", _PLAIN)
def html_that_costs_its_square(_prey: Prey) -> bytes:
    """Markup that is never closed: comments, tags, attributes, references."""
    page = "".join(piece * 50_000 for piece in ("<a href='", "<!--", "</", "&#", "<![CDATA["))
    return from_mallory(html(page), MALLORY)


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
