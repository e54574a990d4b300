"""What one message is: opened, judged and written down as an :class:`Incoming`, whatever it holds."""

from typing import Any

from vault.domain.case import Channel
from vault.domain.request import AnswerBy
from vault.intake.asking import Asked, read_asked
from vault.intake.idimages import identity_copies
from vault.intake.mail import MailTools, open_mail
from vault.intake.mailbox import Message
from vault.intake.opened import OpenedMail, Outcome
from vault.steps.attachments import DELETE_AFTER, IDENTITY
from vault.steps.exceptions import other_right
from vault.steps.mail_identity import body_digest
from vault.steps.receive import Incoming
from vault.steps.replying import case_answered, reply_particulars


def read_message(message: Message, tools: MailTools) -> Incoming:
    """Open one message and say what it is; whatever it holds, the answer is an :class:`Incoming`."""
    opened = open_mail(message.raw, tools)
    asked = read_asked(opened)
    exception, notice = _judge(opened, asked)
    report = opened.headers.report
    return Incoming(
        channel=Channel.MAIL,
        source=message.source,
        same=_same(message, opened),
        original=message.raw,
        received_at=message.received_at,
        language=asked.request.language,
        particulars=_particulars(opened, asked, message),
        case_ref=(report.case_ref if report else case_answered(opened)) or asked.request.case_ref,
        exception=exception,
        notice=None if report else notice,
        report=report,
        attachments=opened.attachments,
        signed=opened.signed,
    )


def _same(message: Message, opened: OpenedMail) -> bytes:
    """Return what two copies of one message share: its Message-ID, sender and body, not its way through the servers.

    Without a Message-ID nothing is taken for a copy: two people may write the same few words.
    """
    name = opened.headers.message_id or message.source
    return b"\0".join([name.encode(), (opened.headers.from_address or "").encode(), body_digest(message.raw)])


def _judge(opened: OpenedMail, asked: Asked) -> tuple[str | None, str | None]:
    if opened.outcome is Outcome.UNDECRYPTABLE:
        return "mail_undecryptable", "could_not_open"
    if opened.outcome is Outcome.REFUSED:
        return "mail_refused", "could_not_open"
    if asked.form is not None and not asked.sure:
        return "form_unclear", "acknowledgement"
    if not asked.sure:
        return "no_request_found", "no_request_found"
    return other_right(asked.request.kinds), "acknowledgement"


def _files(opened: OpenedMail) -> list[dict[str, Any]]:
    """Describe the attachments; pictures of identity documents are flagged for early deletion."""
    copies = identity_copies(opened.attachments, f"{opened.headers.subject}\n{opened.text}")
    return [
        {"name": file.name, "type": file.type, "size": len(file.data), **({DELETE_AFTER: IDENTITY} if copy else {})}
        for file, copy in zip(opened.attachments, copies, strict=True)
    ]


def _particulars(opened: OpenedMail, asked: Asked, message: Message) -> dict[str, Any]:
    request = asked.request
    headers, proof = opened.headers, opened.sender_proof
    by_mail = request.answer_by is not AnswerBy.PAPER
    return {
        "request": request.to_json(),
        "reply_to": headers.from_address if by_mail else None,
        "from": headers.from_address,
        "subject": headers.subject,
        **reply_particulars(opened),
        "received_at": message.received_at.isoformat(),
        **({"mailbox": message.mailbox} if message.mailbox else {}),
        **({"address": list(asked.address)} if asked.address else {}),
        **({"form": asked.form} if asked.form else {}),
        "encryption": opened.encryption.value,
        "reason": opened.reason,
        "remarks": list(opened.remarks),
        "code": request.one_time_code,
        "attachments": _files(opened),
        "sender_proof": {
            "kind": proof.kind.value,
            "fingerprint": proof.fingerprint,
            "from_matches": proof.from_matches,
            "why": proof.why,
        },
    }
