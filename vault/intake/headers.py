"""Header values of a stranger's mail, read strictly and in linear time; what can't be read is absent, never an error.

The standard library's header parser is not used here: its lenient address parser takes one mailbox
for another, and some parameters make it raise.
"""

import base64
import binascii
import codecs
import quopri
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_to_bytes

_LONGEST_VALUE = 4096  # characters of one structured header value that are looked at
_LONGEST_ADDRESS = 254  # RFC 5321
_LONGEST_NAME = 200  # characters of an attachment's name

# Codecs that map bytes to text in linear time; a stranger may name no other.
_CHARSETS = frozenset(
    [
        *("ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "koi8-r", "koi8-u", "mac-roman"),
        *(f"iso8859-{n}" for n in range(1, 17) if n != 12),  # noqa: PLR2004 - ISO 8859-12 was never made
        *(f"cp{n}" for n in (437, 850, 865, *range(1250, 1259))),
        *("gb18030", "gbk", "gb2312", "big5", "euc_jp", "shift_jis", "iso2022_jp", "euc_kr"),
    ]
)
_PARAMETER = re.compile(r';\s*([^\s=;*]+)(\*\d{1,2})?(\*)?\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_ENCODED_WORD = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,20})?\?([bBqQ])\?([^?\s]*)\?=")
_BETWEEN_WORDS = re.compile(r"(?<=\?=)\s+(?==\?)")
_ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?"
_MAILBOX = re.compile(rf'(?:(?:"(?:[^"\\]|\\.)*" ?|[^"<>@]*)< ?({_ADDRESS}) ?>|({_ADDRESS})) ?(?:\([^()]*\))?')
_BLANKS = re.compile(r"[ \t]+")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_MOST_REFERENCES = 20
_PIECE = 1 << 16  # characters cleaned at once: a substitution lists all that it keeps, at 50 times the size


def decode_text(data: bytes, charset: str | None) -> str:
    """Decode text in its declared charset, else UTF-8, else Windows-1252; undecodable bytes become U+FFFD."""
    name = _known_charset(charset)
    if name is not None:
        return data.decode(name, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def clean(text: str) -> str:
    """End lines with a bare line feed; drop control characters and bidirectional overrides, which fool readers."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
    return "".join(_CONTROL.sub("", piece) for piece in pieces)


def parameters(value: str) -> tuple[str, Mapping[str, str]]:
    """Split a structured value into its lower-case token and its parameters (RFC 2045, RFC 2231).

    Of two parameters with one name the first counts.
    """
    value = value[:_LONGEST_VALUE]
    token, _, _ = value.partition(";")
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[bool, str]]] = {}
    for name, number, extended, raw in _PARAMETER.findall(value):
        quoted = raw.startswith('"') and raw.endswith('"') and len(raw) > 1
        text = re.sub(r"\\(.)", r"\1", raw[1:-1]) if quoted else raw.strip()
        if number or extended:
            pieces.setdefault(name.lower(), {}).setdefault(int(number[1:] or 0), (bool(extended), text))
        else:
            plain.setdefault(name.lower(), text)
    return token.strip().lower(), plain | {name: _join(parts) for name, parts in pieces.items()}


def decode_words(value: str) -> str:
    """Decode the encoded words of an unstructured value (RFC 2047) and make it one clean line."""
    value = _BETWEEN_WORDS.sub("", value[: _LONGEST_VALUE * 2])
    decoded = _ENCODED_WORD.sub(_decode_word, _as_utf8(value))
    return " ".join(clean(decoded).split())


def mailbox(value: str | None) -> str | None:
    """Return the one address of a From header; None for a group, a list of several, or anything odd."""
    if value is None or len(value) > _LONGEST_VALUE // 4:
        return None
    found = _MAILBOX.fullmatch(_BLANKS.sub(" ", value).strip(" "))  # runs of blanks would cost their cube
    address = (found[1] or found[2]) if found else None
    if address is None or len(address) > _LONGEST_ADDRESS or ".." in address or "=?" in address:
        return None
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def message_ids(value: str | None) -> tuple[str, ...]:
    """Return the message ids of a Message-ID, In-Reply-To or References header, at most twenty."""
    return tuple(_MESSAGE_ID.findall((value or "")[: _LONGEST_VALUE * 2])[-_MOST_REFERENCES:])


def date(value: str | None) -> datetime | None:
    """Return a Date header as an instant in UTC; None when it is absent or no date."""
    try:
        found = parsedate_to_datetime((value or "")[:100])
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None


def file_name(value: str) -> str:
    """Make a stranger's file name a bare, printable, short one; empty when nothing is left."""
    bare = re.split(r"[/\\]", decode_words(value))[-1].strip(". ")
    return bare if len(bare) <= _LONGEST_NAME else bare[: _LONGEST_NAME - 20] + bare[-20:]


def _known_charset(charset: str | None) -> str | None:
    try:
        name = codecs.lookup((charset or "").strip()[:40]).name
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return None
    return "cp1252" if name in {"ascii", "iso8859-1"} else name if name in _CHARSETS else None


def _as_utf8(value: str) -> str:
    try:
        return decode_text(value.encode("latin-1"), None)  # raw bytes of 8-bit headers (RFC 6532)
    except UnicodeEncodeError:
        return value


def _decode_word(word: re.Match[str]) -> str:
    charset, kind, text = word.groups()
    if _known_charset(charset) is None:
        return word[0]
    try:
        raw = text.encode("ascii")
        if kind in "qQ":
            return decode_text(quopri.decodestring(raw, header=True), charset)
        return decode_text(base64.b64decode(raw + b"=" * (-len(raw) % 4)), charset)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return word[0]


def _join(parts: Mapping[int, tuple[bool, str]]) -> str:
    charset = None
    joined = b""
    for number, (extended, text) in sorted(parts.items()):
        piece = text
        if extended and number == 0 and piece.count("'") >= 2:  # noqa: PLR2004 - charset'language'value
            charset, _, piece = piece.split("'", 2)
        raw = piece.encode("utf-8", "replace")
        joined += unquote_to_bytes(raw) if extended else raw
    return decode_text(joined, charset)
