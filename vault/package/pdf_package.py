"""A PDF package: one file to read, encrypted with a passphrase, that carries every file of the answer inside it.

The pages of all documents follow each other for reading on any device; the very bytes that the
manifest lists are attached, so that they can be checked and used. AES-256 (revision 6).
"""

import io
from collections.abc import Mapping

from pikepdf import AttachedFileSpec, Encryption, ObjectStreamMode, Pdf, Permissions

from vault.errors import RefusedError
from vault.package.manifest import media_type
from vault.package.pdf_join import join_pdfs, joined, page_count

__all__ = ["join_pdfs", "make_pdf_package", "page_count"]
_CHARACTERS = 20  # of Crockford's base 32: 100 bits
_EVERYTHING_ALLOWED = Permissions(
    accessibility=True,
    extract=True,
    modify_annotation=True,
    modify_assembly=True,
    modify_form=True,
    modify_other=True,
    print_lowres=True,
    print_highres=True,
)


def make_pdf_package(files: Mapping[str, bytes], passphrase: str, *, title: str, language: str) -> bytes:
    """Make the encrypted PDF.

    It opens with the passphrase as printed, and with the same without its hyphens.

    :param files: name -> bytes in reading order; every ``.pdf`` becomes pages, and every file an attachment.
    :param passphrase: as :func:`vault.domain.codes.passphrase` spells it, at least 100 bits.
    :param title: names the kind and the case only.
    :raises RefusedError: the passphrase is too short.
    :raises UnreadableError: a PDF can't be read, or there is none.
    """
    bare = passphrase.replace("-", "")
    if len(bare) < _CHARACTERS:
        raise RefusedError("passphrase_short", "draw the passphrase with dsr's own speller: at least 100 bits")
    with joined([data for name, data in files.items() if name.endswith(".pdf")], title, language) as pdf:
        _attach(pdf, files)
        target = io.BytesIO()
        lock = Encryption(user=passphrase, owner=bare, R=6, aes=True, metadata=True, allow=_EVERYTHING_ALLOWED)
        pdf.save(target, encryption=lock, object_stream_mode=ObjectStreamMode.generate)
    return target.getvalue()


def _attach(pdf: Pdf, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        pdf.attachments[name] = AttachedFileSpec(
            pdf, data, filename=name, mime_type=media_type(name), description="", creation_date="", mod_date=""
        )
