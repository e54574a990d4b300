"""Tells without gpg that only strangers signed: whose keys we lack, so that gpg could say no more than their names.

A mail's signature is mostly of that kind, and a run of gpg takes longer than all else that is done with such a mail.
This reader is never the lenient one: it says "unknown key" of what is put together exactly as RFC 9580 section 10.3
asks, by keys that are not in our ring, and gpg would give the same text and name the same key. It never says that a
signature is valid, and never that there is none; whatever else it meets is left to gpg.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Sequence
from itertools import islice

from vault.intake.armour import public_key_armour
from vault.intake.opened import SignedContent
from vault.intake.packets import Packet, UnsureError, walk
from vault.intake.signatures import Signer, one_pass, signature

_SIGNATURE, _ONE_PASS, _COMPRESSED, _LITERAL = 2, 4, 8, 11
_OPEN = frozenset({_COMPRESSED, _LITERAL})
_LARGEST = 1_000_000  # octets of a message, packed or not; of a larger one a run of gpg is the lesser part
_LONGEST_SIGNATURE = 20_000  # octets of one beside its text
_SIGNERS = 8
_WINDOWS = {1: -15, 2: 15}  # ZIP, which is deflate without a head, and ZLIB, as zlib numbers them
_BYTES, _TEXTS = frozenset({ord("b")}), frozenset(b"tu")  # the formats of a literal packet (RFC 9580 section 5.9)
_PACKET = 0x80
_ARMOUR = re.compile(
    rb"-----BEGIN PGP SIGNATURE-----\r?\n"
    rb"(?:(?:Version|Comment): [ -~]{0,100}\r?\n)*\r?\n"
    rb"((?:[A-Za-z0-9+/]{1,76}={0,2}\r?\n)+(?:=[A-Za-z0-9+/]{4}\r?\n)?)"
    rb"-----END PGP SIGNATURE-----[\r\n]*"
)


def only_strangers(signed: SignedContent, ours: frozenset[str]) -> tuple[bytes, str] | None:
    """Return a message's text (none of a detached signature), and the digits of the key that gpg would name first.

    :param ours: the key ids in our ring, subkeys included: 16 digits each.
    :return: None wherever it is not certain that gpg would say so.
    """
    try:
        if signed.content is None:
            text, made = _message(signed.signature)
        else:
            text, made = b"", _detached(signed.signature)
    except (UnsureError, zlib.error, binascii.Error):
        return None
    if any(signer.issuer.hex().upper() in ours for signer, _ in made):
        return None
    return text, made[0][1]


def _message(data: bytes) -> tuple[bytes, list[tuple[Signer, str]]]:
    """Read a one-pass signed message, as it is or packed once."""
    packets = _packets(data, _LARGEST)
    if packets[0].tag == _COMPRESSED:
        if len(packets) > 1:
            raise UnsureError
        packets = _packets(_unpacked(packets[0].pieces), _LARGEST)
    count = len(packets) // 2
    if [one.tag for one in packets] != [_ONE_PASS] * count + [_LITERAL] + [_SIGNATURE] * count:
        raise UnsureError
    announced = [one_pass(one.pieces[0]) for one in packets[:count]]
    made = [signature(one.pieces[0]) for one in packets[count + 1 :]]
    if [last for _, last in announced] != [0] * (count - 1) + [1]:  # all over the same text, none over another's
        raise UnsureError
    if [signer for signer, _ in announced] != [signer for signer, _ in reversed(made)]:
        raise UnsureError
    return _text(packets[count].pieces), made


def _detached(data: bytes) -> list[tuple[Signer, str]]:
    """Read signatures that stand alone; gpg looks at all of them when they are of one kind."""
    packets = _packets(_bare(data), _LONGEST_SIGNATURE)
    if any(one.tag != _SIGNATURE for one in packets):
        raise UnsureError
    made = [signature(one.pieces[0]) for one in packets]
    if len({signer.kind for signer, _ in made}) != 1:
        raise UnsureError
    return made


def _packets(data: bytes, largest: int) -> list[Packet]:
    """Cut into packets what is neither empty nor large and has no more signers than anybody has."""
    most = 2 * _SIGNERS + 1
    if len(data) > largest:
        raise UnsureError
    found = list(islice(walk(data, _OPEN), most + 1))
    if not 0 < len(found) <= most:
        raise UnsureError
    return found


def _unpacked(pieces: Sequence[memoryview]) -> bytes:
    """Decompress what ends exactly where its packet ends (RFC 9580 section 5.6)."""
    window = _WINDOWS.get(pieces[0][0]) if pieces[0] else None
    if window is None:
        raise UnsureError
    opener, found, size = zlib.decompressobj(window), [], 0
    for piece in (pieces[0][1:], *pieces[1:]):
        found.append(opener.decompress(piece, _LARGEST + 1 - size))
        size += len(found[-1])
        if size > _LARGEST or opener.unused_data:
            raise UnsureError
    if not opener.eof:
        raise UnsureError
    return b"".join(found)


def _text(pieces: Sequence[memoryview]) -> bytes:
    """Return what gpg writes of a literal packet: of a text no carriage return."""
    head = pieces[0]
    start = 6 + head[1] if len(head) > 1 else len(head) + 1  # format, length of the name, name, four octets of a date
    if start > len(head) or head[0] not in _BYTES | _TEXTS:
        raise UnsureError
    text = b"".join((head[start:], *pieces[1:]))
    return text if head[0] in _BYTES else text.replace(b"\r", b"")


def _bare(data: bytes) -> bytes:
    """Take the armour off a signature; written again, what stood in it must give the same letters."""
    if len(data) > 2 * _LONGEST_SIGNATURE:
        raise UnsureError
    if data[:1] and data[0] & _PACKET:
        return data
    found = _ARMOUR.fullmatch(data)
    if found is None:
        raise UnsureError
    letters = b"".join(found[1].split())
    packets = base64.b64decode(letters[:-5] if letters[-5:-4] == b"=" else letters, validate=True)
    again = "".join(public_key_armour(packets).splitlines()[2:-1]).encode()
    if letters not in {again, again[:-5]}:  # with the right checksum, or without one
        raise UnsureError
    return packets
