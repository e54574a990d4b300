"""A thousand mails as they come: OpenPGP in its forms, S/MIME, plain words, and what somebody sends to do harm."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle, islice

from vault.testing.controller import ADDRESS, export_public
from vault.testing.installation import Installation
from vault.testing.mailkeys import PgpHome, SmimeIdentity, make_pgp_home, make_smime_identity
from vault.testing.mails import Letter, pgp_inline_mail, pgp_mime_mail, plain_mail, smime_mail
from vault.testing.mailtexts import request_text

_WRITERS = 2
# of twenty mails
KINDS = (
    *("pgp-mime", "pgp-mime with key", "smime", "plain", "pgp-inline", "pgp-mime", "smime signed", "plain"),
    *("pgp-mime with key", "smime", "pgp-inline", "pgp-mime", "nested", "smime signed", "pgp-mime", "plain"),
    *("pgp-inline", "smime", "garbage", "pgp-mime with key"),
)
_GARBAGE = "-----BEGIN PGP MESSAGE-----\n\naGVsbG8gd29ybGQ=\n=abcd\n-----END PGP MESSAGE-----\n"


@dataclass(frozen=True, slots=True, repr=False)
class Mail:
    """One mail of the mix."""

    kind: str
    raw: bytes


@dataclass(frozen=True, slots=True, repr=False)
class _Pens:
    """What the requesters write with."""

    home: PgpHome
    signer: SmimeIdentity
    key: str
    installation: Installation

    def write(self, kind: str, letter: Letter) -> bytes:
        certificate = self.installation.settings().smime.certificate_file
        ways: dict[str, Callable[[], bytes]] = {
            "pgp-mime": lambda: pgp_mime_mail(letter, self.home, self.key),
            "pgp-mime with key": lambda: pgp_mime_mail(replace(letter, attach_key=True), self.home, self.key),
            "pgp-inline": lambda: pgp_inline_mail(letter, self.home, self.key),
            "smime": lambda: smime_mail(letter, certificate),
            "smime signed": lambda: smime_mail(letter, certificate, self.signer, cipher="-aes-256-gcm"),
            "plain": lambda: plain_mail(letter),
            "nested": lambda: _nested(letter),
            "garbage": lambda: plain_mail(replace(letter, text=_GARBAGE)),
        }
        return ways[kind]()


@contextmanager
def pens(installation: Installation) -> Iterator[_Pens]:
    """Make the requesters' keys; their agent ends with the block."""
    home = make_pgp_home(installation.nest / "w", "Aino", "aino@requester.example")
    signer = make_smime_identity(installation.nest / "ws", "Aino", "aino@requester.example")
    try:
        yield _Pens(home, signer, export_public(installation.settings().openpgp), installation)
    finally:
        home.close()


def mixed_mails(tools: _Pens, count: int, first: int = 0) -> list[Mail]:
    """Write so many mails, each from an address of its own.

    :param first: number of the first address.
    """
    kinds = list(islice(cycle(KINDS), count))
    tools.write("pgp-mime with key", _letter(0))  # two writers must not make gpg's trust database at once
    with ThreadPoolExecutor(_WRITERS) as pool:
        raws = list(pool.map(tools.write, kinds, map(_letter, range(first, first + count))))
    return [Mail(kind, raw) for kind, raw in zip(kinds, raws, strict=True)]


def plain_mails(count: int, first: int) -> Sequence[bytes]:
    """Write so many mails that nobody encrypted."""
    return [plain_mail(_letter(first + number)) for number in range(count)]


def _letter(number: int) -> Letter:
    return Letter("Aino", f"asks{number}@requester.example", ADDRESS, request_text("fi", "Aino", None))


def _nested(letter: Letter) -> bytes:
    layers = [b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (at, at) for at in range(300)]
    head = letter.headers().as_bytes().rstrip(b"\r\n") + b"\r\nMIME-Version: 1.0\r\n"
    return head + b"".join(layers) + b"\r\ntext"
