"""Receive mail: every message in the mailbox becomes a case, a reply or a visible exception; the mailbox ends empty."""

from collections.abc import Iterator
from contextlib import contextmanager

from vault.intake.mail import MailTools
from vault.intake.mailbox import Mailbox
from vault.intake.mime import MimeLimits
from vault.intake.openpgp import OpenPgp
from vault.intake.smime import Smime, load_key
from vault.settings import Settings, read_secret
from vault.steps.doors import open_mailbox
from vault.steps.parts import Parts
from vault.steps.reading_mail import read_message
from vault.steps.receive import already_taken, take
from vault.steps.receive_post import acknowledge

_ENOUGH = 200  # messages a run


def receive_mail(parts: Parts, mailbox: Mailbox | None = None, limit: int = _ENOUGH) -> list[str]:
    """Take in up to ``limit`` messages; return the references of the cases they made or changed.

    :raises OutOfReachError: the mailbox or a store does not answer; nothing is lost.
    """
    mailbox = mailbox or open_mailbox(parts.settings.mailbox)
    refs = []
    with mail_tools(parts.settings) as tools:
        for message in mailbox.messages(limit):
            if already_taken(parts, message.source) is None:
                incoming = read_message(message, tools)
                taken = take(parts, incoming)
                mailbox.remove(message.source)
                acknowledge(parts, taken, incoming.particulars)
                refs.append(taken.case.ref)
            else:
                mailbox.remove(message.source)
    return refs


@contextmanager
def mail_tools(settings: Settings) -> Iterator[MailTools]:
    """Yield the controller's own keys for opening mail; gpg's agent ends with the block.

    :raises WrongUseError: a key file or passphrase is missing or wrong.
    """
    passphrase = read_secret(settings.smime.passphrase_file)
    pem = settings.smime.key_file.read_bytes() + settings.smime.certificate_file.read_bytes()
    openpgp = OpenPgp(settings.openpgp.home, read_secret(settings.openpgp.passphrase_file))
    try:
        yield MailTools(
            openpgp=openpgp, smime=Smime([load_key(pem, passphrase)]), limits=MimeLimits.of(settings.limits)
        )
    finally:
        openpgp.close()
