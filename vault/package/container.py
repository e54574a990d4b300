"""What a package is kept in: a folder, a ZIP archive or a PDF; its files come out within limits, or a clear refusal.

A package may come from anywhere by the time that somebody checks it: names are never used as paths,
sizes are checked before anything is read, and nothing is written.
"""

import io
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pikepdf

from vault.domain.private import Private
from vault.errors import UnreadableError, WrongUseError

LARGEST = 500_000_000  # bytes of a whole package
MOST_FILES = 1000
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_OPENPGP_FIRST = frozenset({0x84, 0x85, 0x8C, 0xC1, 0x2D})  # an encrypted session key, or armour's first dash


@dataclass(frozen=True, slots=True)
class Opened(Private):
    """A package's files.

    :param files: name -> bytes, as found.
    :param twice: names that stand more than once.
    :param pages: for a PDF, the SHA-256 of each page's content, in order; else None.
    """

    files: Mapping[str, bytes]
    twice: Sequence[str] = ()
    pages: Sequence[bytes] | None = None


def open_container(path: Path, passphrase: str | None = None) -> Opened:
    """Read all files of a package.

    :param path: a folder, or a file that is a ZIP archive or PDF.
    :param passphrase: of an encrypted PDF.
    :raises WrongUseError: there is no such file, or the PDF wants a passphrase.
    :raises UnreadableError: it is none of them, or beyond the limits.
    """
    if path.is_dir():
        return Opened(_folder(path))
    data = _read(path)
    if data.startswith(b"%PDF-"):
        return _pdf(data, passphrase)
    if data.startswith(b"PK"):
        return _archive(data)
    if data[:1] and data[0] in _OPENPGP_FIRST:
        raise UnreadableError("package_encrypted", "decrypt it first: gpg --decrypt FILE > package.zip")
    raise UnreadableError("package_unknown", "give a folder, a ZIP archive or a PDF that holds a package")


def page_digests(pdf: pikepdf.Pdf) -> list[bytes]:
    """Give the SHA-256 of each page's content."""
    return [sha256(_content(page)).digest() for page in pdf.pages]


def _content(page: pikepdf.Page) -> bytes:
    contents = page.obj.get(pikepdf.Name.Contents)
    if contents is None:
        return b""
    parts = contents if isinstance(contents, pikepdf.Array) else [contents]
    return b"\n".join(part.read_bytes() for part in parts)


def _read(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            raise UnreadableError("package_too_large", "this is no ordinary file of at most 500 MB")
        return path.read_bytes()
    except OSError:
        raise WrongUseError("package_missing", "there is no such file, or it can't be read; correct the path") from None


def _folder(path: Path) -> dict[str, bytes]:
    try:
        entries = sorted(path.iterdir())
    except OSError:
        raise WrongUseError("package_missing", "the folder can't be read; correct the path") from None
    if len(entries) > MOST_FILES:
        raise UnreadableError("package_too_large", f"the folder holds more than {MOST_FILES} files")
    if any(entry.is_symlink() or not entry.is_file() for entry in entries):
        raise UnreadableError("package_strange", "the folder holds something that is no file; unpack it anew")
    return {entry.name: _read(entry) for entry in entries}


def _archive(data: bytes) -> Opened:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if any(entry.compress_type not in _METHODS for entry in entries):
                raise UnreadableError("archive_strange", "the archive is packed in an unusual way; unpack it first")
            if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > LARGEST:
                raise UnreadableError("package_too_large", "the archive holds more than a package may")
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError, OSError):  # RuntimeError: encrypted
        raise UnreadableError("archive_damaged", "the archive is damaged; fetch the package again") from None
    counted = Counter(entry.filename for entry in entries)
    return Opened(files, sorted(name for name, times in counted.items() if times > 1))


def _pdf(data: bytes, passphrase: str | None) -> Opened:
    try:
        with pikepdf.open(io.BytesIO(data), password=passphrase or "") as pdf:
            names = list(pdf.attachments)
            if len(names) > MOST_FILES:
                raise UnreadableError("package_too_large", f"the PDF holds more than {MOST_FILES} files")
            files = {name: pdf.attachments[name].get_file().read_bytes() for name in names}
            return Opened(files, pages=page_digests(pdf))
    except pikepdf.PasswordError:
        raise WrongUseError("passphrase_wrong", "the PDF opens with its passphrase; see --passphrase-file") from None
    except (pikepdf.PdfError, ValueError, KeyError, AttributeError, TypeError):
        raise UnreadableError("pdf_damaged", "the PDF is damaged; fetch the package again") from None
