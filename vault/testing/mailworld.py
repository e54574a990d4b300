"""A clinic with an OpenPGP key of its own and two people who write to it, for tests of mail."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vault.domain.private import Private
from vault.intake.mail import MailTools, open_mail
from vault.intake.opened import OpenedMail
from vault.intake.openpgp import OpenPgp
from vault.testing.controller import export_public, make_openpgp_home
from vault.testing.mailkeys import PgpHome, make_pgp_home
from vault.testing.mails import Letter
from vault.testing.mailtexts import request_text

TEXT = request_text("fi", "Äinö Virtanen", "131052-308T")
LETTER = Letter("Äinö Virtanen", "aino@example.fi", "requests@clinic.example", TEXT)


@dataclass(frozen=True, slots=True)
class MailWorld(Private):
    """The clinic's keys and the homes of Aino, who asks, and Mallory, who would like to be her.

    :param key: the clinic's public key, armoured.
    """

    clinic: OpenPgp
    clinic_home: Path
    key: str
    aino: PgpHome
    mallory: PgpHome

    @property
    def tools(self) -> MailTools:
        """What the clinic opens mail with."""
        return MailTools(self.clinic)

    def open(self, mail: bytes) -> OpenedMail:
        """Open a mail as the clinic does."""
        return open_mail(mail, self.tools)


@contextmanager
def mail_world() -> Iterator[MailWorld]:
    """Make it in memory, and leave neither file nor agent behind."""
    with short_directory() as base:
        settings = make_openpgp_home(base / "c")
        clinic = OpenPgp(settings.home, settings.passphrase_file.read_text(encoding="utf-8"))
        aino = make_pgp_home(base / "a", "Äinö Virtanen", "Aino@example.fi")
        mallory = make_pgp_home(base / "m", "Mallory", "mallory@evil.example", "rsa2048")
        try:
            yield MailWorld(clinic, settings.home, export_public(settings), aino, mallory)
        finally:
            for home in (settings.home, aino.path, mallory.path):
                PgpHome(home, "").close()


@contextmanager
def short_directory() -> Iterator[Path]:
    """Make a directory in memory whose path is short enough for gpg's sockets."""
    base = Path(tempfile.mkdtemp(prefix="dsr-t-", dir="/dev/shm"))
    try:
        yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)
