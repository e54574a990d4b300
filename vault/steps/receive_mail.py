"""Receive mail: every message in the mailbox becomes a case, a reply or a visible exception; the mailbox ends empty.

A few threads open what lies ahead while the database commits what is open already. A message
leaves its mailbox when its case is durable. One that fails stays, and those behind it are taken;
one that ended its reader time and again is taken unopened, as an exception for a person.
"""

from concurrent.futures import ThreadPoolExecutor

from vault.delivery.smtp import Courier
from vault.errors import OutOfReachError, WrongUseError
from vault.intake.message import Mailbox
from vault.steps.doors import open_mailboxes
from vault.steps.mail_keys import ring_for_mail_keys
from vault.steps.mail_round import READERS, MailRound
from vault.steps.mail_tools import mail_tools
from vault.steps.parts import Parts

_ENOUGH = 1_000  # messages a run: its readers start once


def receive_mail(parts: Parts, mailbox: Mailbox | None = None, limit: int = _ENOUGH) -> list[str]:
    """Take in up to ``limit`` messages; return the references of the cases they made or changed.

    What failed is told when everything else is done.

    :param mailbox: this one alone; else all of the settings'.
    :raises OutOfReachError: a mailbox or a store does not answer; nothing is lost.
    :raises VaultError: what the first message failed with that stays in its mailbox.
    """
    with (
        mail_tools(parts.settings) as tools,
        Courier(parts.settings.smtp) as courier,
        ThreadPoolExecutor(READERS, thread_name_prefix="open") as pool,
    ):
        turn = MailRound(parts, mailbox or open_mailboxes(parts.settings), tools, pool, courier)
        turn.run(limit)
    try:
        ring_for_mail_keys(parts)
    except (OutOfReachError, WrongUseError) as error:  # told like a mail's: what was taken is taken
        turn.faults.append(error)
    if turn.faults:
        raise turn.faults[0]
    return turn.refs
