"""Notices: what we write to a requester before, beside and after the answer, in her language.

Every text is made from a template, the reference and the clock alone, so it is the same
whether or not she is a patient; it never quotes what she wrote. It is encrypted and signed when
a usable key of hers is known. The intent stands in the database before the act; a mail
whose outcome is unclear is `maybe_sent`, and a person sees it.
"""

from email.message import EmailMessage
from functools import partial
from typing import Any

from vault.delivery.compose import notice_mail
from vault.delivery.smtp import Courier, send
from vault.domain.calendar import HELSINKI
from vault.domain.case import Case, CaseEvent, Event
from vault.domain.roles import Purpose
from vault.errors import VaultError
from vault.package.notices import Notice, notice, notice_pdf
from vault.steps.casefile import CaseFile
from vault.steps.exceptions import shown
from vault.steps.outbox import PrintJob
from vault.steps.parts import Parts
from vault.steps.queue import clock_of
from vault.steps.receive import PARTICULARS
from vault.steps.replying import notice_ref
from vault.steps.sealed_reply import our_keys, sealed_reply
from vault.storage import outgoing
from vault.storage.cases import append, events, get_case, held
from vault.storage.database import Connection
from vault.storage.outgoing import Outgoing, in_state

_QUESTION = "question"
_BRINGS_KEYS = ("could_not_open",)  # whose reader needs our key to write again


def intend_notice(
    parts: Parts, connection: Connection, file: CaseFile, case: Case, kind: str, *, mark: str = ""
) -> Outgoing | None:
    """Record the intent of a notice in the caller's transaction; None when nobody can be reached."""
    particulars = file.get(PARTICULARS) or {}
    road = road_of(particulars)
    if road is None:
        return None
    item = Outgoing(notice_ref(case.ref, kind, mark), case.ref, kind, road, outgoing.INTENDED, parts.now())
    outgoing.intend(connection, item)
    return item


def road_of(particulars: dict[str, Any]) -> str | None:
    """Choose mail where an address is known, else post, else None."""
    if particulars.get("reply_to"):
        return "mail"
    return "post" if particulars.get("address") else None


def send_notice(parts: Parts, file: CaseFile, item: Outgoing | None, courier: Courier | None = None) -> str | None:
    """Compose and send or print a notice whose intent stands; return its state.

    :param courier: the line to the mail server; None for one of its own.
    """
    if item is None:
        return None
    particulars = file.get(PARTICULARS) or {}
    question = (file.get(_QUESTION) or {}).get("text") if item.kind in (_QUESTION, "reminder") else None
    return send_with(parts, item, particulars, question, courier=courier)


def send_with(
    parts: Parts,
    item: Outgoing,
    particulars: dict[str, Any],
    question: str | None = None,
    *,
    courier: Courier | None = None,
    case: Case | None = None,
) -> str | None:
    """Send a notice for a writer that can't open the case again but has the message still in hand.

    :param case: as it has just been opened, so that its clock has no pauses yet; None to look it up.
    """
    fresh = case is not None
    if case is None:
        with parts.database.connect() as connection:
            case = get_case(connection, item.case_ref)
    files = our_keys(parts.settings) if item.kind in _BRINGS_KEYS and item.road == "mail" else ()
    text = words_of(parts, case, item.kind, question, with_keys=bool(files), fresh=fresh)
    if item.road == "mail":
        plain = notice_mail(parts.settings, item.ref, text, particulars, files)
        return send_mail(parts, item, sealed_reply(parts.settings, plain, particulars), courier)
    address = particulars.get("address") or []
    pdf = notice_pdf(text, address, parts.settings.controller, case.language, parts.now().date())
    job = PrintJob(parts, item.ref, pdf)
    with parts.database.connect() as connection:
        job.commit(connection, case.ref, item.kind)
    return outgoing.READY


def words_of(
    parts: Parts, case: Case, kind: str, question: str | None = None, *, with_keys: bool = False, fresh: bool = False
) -> Notice:
    """Write a notice's words with the due date that the case's clock shows today.

    :param with_keys: our key and certificate go along.
    :param fresh: the case has just been opened: nothing has stopped its clock.
    """
    seen: list[CaseEvent] = []
    if not fresh:
        with parts.database.connect() as connection:
            seen = events(connection, case.ref)
    clock = clock_of(case, seen, parts.now().astimezone(HELSINKI).date())
    return notice(
        kind,
        case.language,
        case_ref=case.ref,
        due=clock.safe_due,
        controller=parts.settings.controller,
        fingerprint=parts.settings.openpgp.fingerprint,
        question=question,
        with_keys=with_keys,
    )


def send_mail(parts: Parts, item: Outgoing, message: EmailMessage, courier: Courier | None = None) -> str:
    """Send one mail whose intent stands; return the state it is in afterwards.

    The caller holds the case, so an item found `sending` belongs to a run that was killed:
    nobody knows whether it went out, and it is not sent twice.

    :returns: ``intended`` while the mail server does not take it.
    :raises WrongUseError: a secret of ours is missing; the item stays intended.
    """
    mine, found = outgoing.begin(parts.database, item.ref, parts.now())
    if not mine:
        if found == outgoing.SENDING:
            return _finish(parts, item, outgoing.MAYBE_SENT, "maybe_sent")
        return found or outgoing.INTENDED
    try:
        outcome = courier.send(message) if courier else send(message, parts.settings.smtp)
    except VaultError:  # ours, and before the server was given anything: the reply waits
        _finish(parts, item, outgoing.INTENDED, None)
        raise
    if outcome == "sent":
        outgoing.settle(parts.database, item.ref, actor=parts.actor, at=parts.now())
        return outgoing.SENT
    if outcome == "unclear":
        return _finish(parts, item, outgoing.MAYBE_SENT, "maybe_sent")
    if outcome == "refused":
        return _finish(parts, item, outgoing.REFUSED, "mail_refused")
    return _finish(parts, item, outgoing.INTENDED, None)


def _finish(parts: Parts, item: Outgoing, state: str, exception: str | None) -> str:
    """Write down how an attempt ended that is not known to have sent anything."""
    with parts.database.connect() as connection:
        outgoing.move(connection, item.ref, outgoing.SENDING, state, parts.now())
        if exception is None:
            return state
        case = get_case(connection, item.case_ref)
        detail = {"notice": item.ref, "exception": exception}
        at = parts.now()
        event = Event.EXCEPTION_RAISED
        append(connection, case, event, actor=parts.actor, at=at, detail=detail, exception=exception)
    return state


def resend(parts: Parts, limit: int = 1_000) -> int:
    """Send what was intended while the mail server was away, and print what was meant for the post.

    :param limit: messages; as many as one run of intake may leave.
    """
    with parts.database.connect() as connection:
        items = [i for road in ("mail", "post") for i in in_state(connection, outgoing.INTENDED, road, limit)]
        items += in_state(connection, outgoing.SENDING, "mail", limit)
    with Courier(parts.settings.smtp) as courier:
        return sum(_resend(parts, item, courier) for item in items if item.kind != "package")


def _resend(parts: Parts, item: Outgoing, courier: Courier) -> bool:
    with held(parts.database, item.case_ref) as mine:
        return mine and shown(parts, item.case_ref, partial(_send_again, item=item, courier=courier))


def _send_again(parts: Parts, ref: str, *, item: Outgoing, courier: Courier) -> bool:
    file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING)
    return send_notice(parts, file, item, courier) in (outgoing.SENT, outgoing.READY)
