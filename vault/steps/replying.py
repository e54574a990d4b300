"""Whether an arrival is answered by a machine, and what of it the answer needs: never a robot, a list or ourselves.

An address gets a limited number of automatic answers a day (RFC 3834 section 2); what is withheld
stands among the case's outgoing items. Whether the sender is a patient is known to nobody here.
"""

import base64
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from vault.domain.case import REFERENCE, Case
from vault.intake.opened import MailHeaders, OpenedMail, Outcome
from vault.intake.reports import item_named
from vault.settings import Settings
from vault.steps.parts import Parts
from vault.storage import outgoing
from vault.storage.outgoing import Outgoing

# RFC 3834 section 2 and RFC 2142: nobody reads what is sent there, or a machine does
_ROBOT = re.compile(
    r"(?:mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?|majordomo|listserv|owner|abuse)(?:[+=-].*)?"
    r"|owner-.*|.*-(?:owner|request|bounces?|daemon)(?:\+.*)?"
)


def reply_particulars(opened: OpenedMail) -> dict[str, Any]:
    """Return what a reply needs of a mail: what it answers, and the keys that may belong to its sender.

    A mail without References hands on the one message that it answers itself (RFC 5322 section 3.6.4).
    """
    headers = opened.headers
    one = headers.in_reply_to if len(headers.in_reply_to) == 1 else ()
    return {
        "message_id": headers.message_id,
        "references": list(headers.references or one),
        "keys": [_coded(key) for key in opened.attached_keys],
        "signer_key": _coded(opened.sender_key.encode()) if opened.sender_key else None,
        "autocrypt": _coded(headers.autocrypt) if headers.autocrypt else None,
        "certificate": opened.certificate.decode("ascii", "replace") if opened.certificate else None,
    }


def case_answered(opened: OpenedMail) -> str | None:
    """Return the case whose notice a person's mail answers by its In-Reply-To or References; None when unreadable.

    What could not be opened opens a case of its own, because its sender must hear of it.
    """
    if opened.outcome not in (Outcome.OPENED, Outcome.PLAIN):
        return None
    return _case_of(opened.headers)


def _case_of(headers: MailHeaders) -> str | None:
    item = item_named(headers.in_reply_to) or item_named(headers.references)
    found = REFERENCE.match(item) if item else None
    return found[0] if found else None


def sender_bytes(particulars: Mapping[str, Any]) -> bytes:
    """Spell the address that an answer to an arrival would go to, for marking; one without is the mark of none."""
    return b"sender\0" + sha256(str(particulars.get("reply_to")).lower().encode()).digest()


def answer_to(parts: Parts, case: Case, notice: str, particulars: Mapping[str, Any]) -> Outgoing | None:
    """Return the answer that an arrival deserves, to be intended with it; None when there is none to send.

    :param notice: its template.
    """
    address = particulars.get("reply_to")
    if not address:
        road = "post" if particulars.get("address") else None
    else:
        road = "mail" if answerable(parts.settings, address) else None
    if road is None:
        return None
    return Outgoing(notice_ref(case.ref, notice), case.ref, notice, road, outgoing.INTENDED, parts.now())


def answerable(settings: Settings, address: str) -> bool:
    """Tell whether an address may belong to a person: it is none of ours and not named like a robot."""
    ours = {settings.mailbox.address, settings.smtp.sender, settings.controller.email}
    ours |= {mailbox.address for mailbox in settings.mailboxes}
    low = address.lower()
    return low not in {known.lower() for known in ours} and not _ROBOT.fullmatch(low.partition("@")[0])


def notice_ref(case_ref: str, kind: str, mark: str = "") -> str:
    """Name an outgoing item for good; its Message-ID is made from it."""
    return "-".join(part for part in (case_ref, kind.replace("_", "-"), mark) if part)


def _coded(data: bytes) -> str:
    return base64.b64encode(data).decode()
