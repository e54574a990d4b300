"""Letters to the address on the register: the one-time code, and the passphrase of a PDF package."""

from datetime import datetime

from vault.domain.calendar import HELSINKI
from vault.domain.case import Case
from vault.domain.records import Record
from vault.package import letters
from vault.package.heading import Heading, Recipient
from vault.steps.parts import Parts


def heading_of(parts: Parts, case: Case) -> Heading:
    """Return what every sheet of a case shows at its head, dated now."""
    return Heading(case.ref, case.language, parts.settings.controller, parts.now().replace(microsecond=0))


def recipient_of(identity: Record, contacts: Record) -> Recipient:
    """Address a letter to the person and the address that stand on the register."""
    name = f"{identity.body['given_names']} {identity.body['family_name']}"
    town = f"{contacts.body.get('postal_code') or ''} {contacts.body.get('city') or ''}".strip()
    lines = [str(contacts.body.get("street") or ""), town, str(contacts.body.get("country") or "")]
    return Recipient(name, tuple(line for line in lines if line))


def code_letter(parts: Parts, case: Case, identity: Record, contacts: Record, code: str, *, until: datetime) -> bytes:
    """Write the letter with the one-time code.

    :param until: the moment the code ends.
    """
    return letters.code_letter(
        heading_of(parts, case),
        recipient_of(identity, contacts),
        code,
        valid_until=until.astimezone(HELSINKI).date(),
        reply_to=parts.settings.mailbox.address,
    )


def passphrase_letter(parts: Parts, case: Case, identity: Record, contacts: Record, words: str) -> bytes:
    """Write the letter with the passphrase."""
    return letters.passphrase_letter(heading_of(parts, case), recipient_of(identity, contacts), words)
