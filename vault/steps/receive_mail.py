"""Receive mail: every message in the mailbox becomes a case, a reply or a visible exception; the mailbox ends empty."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from typing import Any

from vault.domain.case import Channel
from vault.domain.request import AnswerBy, Request
from vault.intake.mail import MailTools, open_mail
from vault.intake.mailbox import Mailbox, Message
from vault.intake.mime import MimeLimits
from vault.intake.opened import OpenedMail, Outcome
from vault.intake.openpgp import OpenPgp
from vault.intake.smime import Smime, load_key
from vault.intake.understand import understand
from vault.settings import Settings, read_secret
from vault.steps.doors import open_mailbox
from vault.steps.parts import Parts
from vault.steps.receive import ANSWERED, Incoming, already_taken, take
from vault.steps.receive_post import acknowledge

_ENOUGH = 200  # messages a run
_SURE = 0.5  # below it a person reads what is asked


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


def read_message(message: Message, tools: MailTools) -> Incoming:
    """Open one message and say what it is; whatever it holds, the answer is an :class:`Incoming`."""
    opened = open_mail(message.data, tools)
    request = understand(opened.text, subject=opened.headers.subject, attachments=[a.name for a in opened.attachments])
    exception, notice = _judge(opened, request)
    return Incoming(
        channel=Channel.MAIL,
        source=message.source,
        same=_same(message, opened),
        original=message.data,
        received_at=message.received_at,
        language=request.language,
        particulars=_particulars(opened, request, message.received_at),
        case_ref=request.case_ref,
        exception=exception,
        notice=None if opened.headers.auto else notice,
        automatic=opened.headers.auto,
    )


def _same(message: Message, opened: OpenedMail) -> bytes:
    """Return what two copies of one message share: its Message-ID, sender and body, not its way through the servers.

    Without a Message-ID nothing is taken for a copy: two people may write the same few words.
    """
    body = message.data.replace(b"\r\n", b"\n").partition(b"\n\n")[2].rstrip()
    name = opened.headers.message_id or message.source
    return b"\0".join([name.encode(), (opened.headers.from_address or "").encode(), sha256(body).digest()])


def _judge(opened: OpenedMail, request: Request) -> tuple[str | None, str | None]:
    if opened.outcome is Outcome.UNDECRYPTABLE:
        return "mail_undecryptable", "could_not_open"
    if opened.outcome is Outcome.REFUSED:
        return "mail_refused", "could_not_open"
    if not request.kinds or request.confidence < _SURE:
        return "no_request_found", "no_request_found"
    if not ANSWERED & set(request.kinds):
        return "other_right_asked", "acknowledgement"
    return None, "acknowledgement"


def _particulars(opened: OpenedMail, request: Request, received_at: datetime) -> dict[str, Any]:
    headers, proof = opened.headers, opened.sender_proof
    by_mail = request.answer_by is not AnswerBy.PAPER
    signed = opened.signed
    return {
        "request": request.to_json(),
        "reply_to": headers.from_address if by_mail else None,
        "from": headers.from_address,
        "subject": headers.subject,
        "message_id": headers.message_id,
        "references": list(headers.references),
        "received_at": received_at.isoformat(),
        "encryption": opened.encryption.value,
        "reason": opened.reason,
        "code": request.one_time_code,
        "attachments": [{"name": a.name, "type": a.type, "size": len(a.data)} for a in opened.attachments],
        "sender_proof": {
            "kind": proof.kind.value,
            "fingerprint": proof.fingerprint,
            "from_matches": proof.from_matches,
        },
        "keys": [base64.b64encode(key).decode() for key in opened.attached_keys],
        "signature": base64.b64encode(signed.signature).decode() if signed else None,
        "signed": base64.b64encode(signed.content).decode() if signed and signed.content is not None else None,
    }


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
