"""Pictures of identity documents are told by their file's name, by the words around them and by their shape.

They are flagged for early deletion (EDPB Guidelines 01/2022, para 79: note that the document was checked, and
delete the copy). The type is read from the bytes, because a sender's own word for it is a guess.
"""

import re
from collections.abc import Sequence

from vault.intake.opened import Attachment

_NAMES = re.compile(
    r"\bpassi(?!iv)|passport|\bpass\b|henkil[oö](?:llisyys)?(?:kortti|todistus)|henkkari|ajokortti|kuvallinen.?kortti"
    r"|id.?kort|identitets(?:kort|handling|bevis)|leg(?:itimation)?(?:\b|shandling)|k[oö]rkort"
    r"|\bid(?:entity|entification)?.?(?:card|document|doc|proof|copy|scan|photo|kuva|foto)\b"
    r"|driv(?:ing|er'?s?).?licen[cs]e|uppeh[aå]llstillst[aå]nd|oleskelulupa|residence.?permit",
    re.IGNORECASE,
)
_WORDS = re.compile(
    r"\bpassi(?:ni|n|sta|stani|kuva\w*|kopio\w*)?\b|henkil[oö]kort|henkil[oö]llisyystodistu|henkkari|ajokort"
    r"|\b(?:mitt|kopia (?:av|på)|bild på) pass\b|\bpasset\b|id-?kort|identitetshandling|legitimation|k[oö]rkort"
    r"|\bpassport|\bidentity (?:card|document)|\bid card|driv(?:ing|er'?s?) licen[cs]e|\bphoto id\b",
    re.IGNORECASE,
)
_HINTS = re.compile(r"henkil[oö]llisyy|identi(?:fi|te)|legitimer|who i am|vem jag är|kuka olen", re.IGNORECASE)
_OTHERS = re.compile(
    r"lomake|blankett|form\b|valtakirja|fullmakt|authori[sz]ation|lasku|faktura|invoice", re.IGNORECASE
)
_PICTURES = ((b"\xff\xd8\xff", "jpeg"), (b"\x89PNG\r\n\x1a\n", "png"), (b"II*\0", "tiff"), (b"MM\0*", "tiff"))
_HEIF_BRANDS = frozenset([b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif"])  # ISO/IEC 23008-12
_CARD, _PAGE = 85.60 / 53.98, 125 / 88  # ISO/IEC 7810 ID-1, and the page of a passport (ID-3)
_NEAR = 0.03  # of the ratio
_LARGEST_MARKERS = 200  # segments of a JPEG that are walked


def identity_copies(attachments: Sequence[Attachment], words: str) -> tuple[bool, ...]:
    """Tell for each attachment whether it looks like a picture of an identity document.

    :param words: the mail's own text and subject.
    """
    return tuple(_looks_like_one(file, words) for file in attachments)


def _looks_like_one(file: Attachment, words: str) -> bool:
    kind = picture_kind(file.data)
    if kind is None:
        return False
    name = re.sub(r"[_\s.]+", " ", file.name)
    if _NAMES.search(name):
        return True
    if _OTHERS.search(name):
        return False
    return bool(_WORDS.search(words)) or (bool(_HINTS.search(words)) and _is_card(size_of(file.data)))


def picture_kind(data: bytes) -> str | None:
    """Return ``jpeg``, ``png``, ``tiff``, ``heif`` or ``pdf``, from the first bytes; None for anything else."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "heif"
    if b"%PDF-" in data[:1024]:
        return "pdf"
    return next((kind for magic, kind in _PICTURES if data.startswith(magic)), None)


def size_of(data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels of a PNG or JPEG, from its headers; nothing is decoded."""
    if data.startswith(b"\x89PNG") and len(data) >= 24:  # noqa: PLR2004 - PNG (RFC 2083) 11.2.2: IHDR stands first
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    return _jpeg_size(data) if data.startswith(b"\xff\xd8") else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Walk the segments (ITU-T T.81 B.1.1) to the frame header."""
    place = 2
    for _ in range(_LARGEST_MARKERS):
        head = data[place : place + 9]
        if len(head) < 9 or head[0] != 0xFF:  # noqa: PLR2004 - a marker, its length, precision, height, width
            return None
        if head[1] in range(0xC0, 0xD0) and head[1] not in {0xC4, 0xC8, 0xCC}:
            return int.from_bytes(head[7:9], "big"), int.from_bytes(head[5:7], "big")
        place += 2 + int.from_bytes(head[2:4], "big")
    return None


def _is_card(size: tuple[int, int] | None) -> bool:
    if size is None or 0 in size:
        return False
    ratio = max(size) / min(size)
    return any(abs(ratio - shape) <= _NEAR * shape for shape in (_CARD, _PAGE))
