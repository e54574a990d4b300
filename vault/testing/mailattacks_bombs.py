"""Bombs: small mails that become large, deep or slow when somebody opens them."""

import bz2
import io
import subprocess
import zipfile
import zlib

from vault.intake.opened import Outcome
from vault.intake.openpgp import fingerprint_of
from vault.testing.mailattacks import MALLORY, Prey, attack, entity, from_mallory, html, multipart, sealed, words
from vault.testing.mailpackets import der, packet

_PLAIN, _REFUSED, _SHUT = Outcome.PLAIN, Outcome.REFUSED, Outcome.UNDECRYPTABLE
_BOMB = 80_000_000  # bytes; more than a tool of the prey may write


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
