"""Original: a letter as scanned, a mail as it came, or an attachment, for a person to see; each opening is logged."""

from dataclasses import dataclass
from typing import Any

from vault.domain.case import Case, CaseEvent, Channel, Event
from vault.domain.private import Private
from vault.domain.roles import Purpose
from vault.errors import KeyMissingError, RefusedError, UnreadableError
from vault.intake.headers import clean
from vault.intake.idimages import picture_kind
from vault.intake.outline import Outline, outline
from vault.intake.pagepictures import page_count
from vault.steps.attachments import read_attachment
from vault.steps.casefile import CaseFile
from vault.steps.emergency import require_opener
from vault.steps.parts import Parts, Staff
from vault.steps.receive import PARTICULARS
from vault.steps.unopened import TOO_LARGE
from vault.storage.cases import events, get_case

_LONGEST = 20_000  # characters of an attachment's words


@dataclass(frozen=True, slots=True)
class Original(Private):
    """What the scanner delivered, and which of its pages are this case's letter; or an attachment.

    :param pages: counted from 1; the first alone when no machine could tell letters apart; none of what can't be drawn.
    :param name: of an attachment.
    :param words: of an attachment that is text.
    """

    case: Case
    data: bytes
    pages: tuple[int, ...]
    name: str = ""
    words: str = ""


def open_original(parts: Parts, staff: Staff, ref: str) -> Original:
    """Open a letter's scan; logged with the person's name first.

    :raises NotAllowedError: neither registrar nor data protection officer, and no clinician in an emergency.
    :raises RefusedError: the case came by mail, or nothing was kept (code ``no_original``).
    """
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
        require_opener(connection, staff, ref, parts.now())
    file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, subject=case.subject, staff=staff)
    particulars = file.get(PARTICULARS) or {}
    holder = particulars.get("holder") or particulars.get("arrival")
    data = file.get_original(holder) if case.channel is Channel.POST and holder else b""
    if not data:
        raise RefusedError("no_original", "this case has no scanned original", ref=ref)
    return Original(case, data, tuple(particulars.get("pages") or (1,)))


@dataclass(frozen=True, slots=True)
class MailOriginal(Private):
    """A mail as it lay in the mailbox.

    :param arrival: reference of its arrival.
    """

    case: Case
    arrival: str
    data: bytes
    outline: Outline


def mails_of(case: Case, said: dict[str, Any], happened: list[CaseEvent]) -> list[tuple[str, str]]:
    """Name the mails of a case whose sealed originals can be looked at, oldest first.

    :param said: the case's particulars, with its ``replies``.
    :returns: references of arrivals, each with what it is: ``request``, ``reply`` or ``report``.
    """
    first = said.get("arrival") if case.channel is Channel.MAIL else None
    too_large = any(event.detail.get("exception") == TOO_LARGE for event in happened[:1])
    replies = {reply["arrival"]: reply for reply in said["replies"]}
    gone = _destroyed(happened)
    found = [(first, "request")] if first and not too_large else []
    for event in happened:
        arrival = event.detail.get("arrival")
        if arrival and (reply := replies.get(arrival)) and "sender_proof" in reply:
            found.append((arrival, "reply"))
        elif arrival and ("automatic" in event.detail or event.event is Event.EXCEPTION_RAISED):
            found.append((arrival, "report"))
    return [(arrival, what) for arrival, what in found if arrival not in gone]


def _destroyed(happened: list[CaseEvent]) -> set[str]:
    return {event.detail["arrival"] for event in happened if event.event is Event.COPIES_DESTROYED}


def open_mail_original(parts: Parts, staff: Staff, ref: str, arrival_ref: str) -> MailOriginal:
    """Open a mail as it came, for a person to look at; logged with her name first.

    :raises NotAllowedError: neither registrar nor data protection officer, and no clinician in an emergency.
    :raises RefusedError: the case has no such mail (code ``no_such_mail``), or it was destroyed when identity was
        decided, because it showed somebody's identity document (code ``mail_destroyed``).
    """
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
        require_opener(connection, staff, ref, parts.now())
        happened = events(connection, ref)
    file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, subject=case.subject, staff=staff)
    if arrival_ref in _destroyed(happened):
        raise RefusedError("mail_destroyed", "it was destroyed when identity was decided", ref=ref)
    said = {**(file.get(PARTICULARS) or {}), "replies": replies_of(file, happened)}
    if arrival_ref not in dict(mails_of(case, said, happened)):
        raise RefusedError("no_such_mail", "this case has no such mail; open its particulars again", ref=ref)
    data = file.get_original(arrival_ref)
    return MailOriginal(case, arrival_ref, data, outline(data, parts.settings.limits))


def replies_of(file: CaseFile, happened: list[CaseEvent]) -> list[dict[str, Any]]:
    """Return what later messages on a case say, oldest first, each with its ``arrival`` and when it was taken in.

    A report about a closed case lies with the case that it opened, and has no arrival here.
    """
    came = [
        (event.detail["arrival"], event.at)
        for event in happened
        if event.event is Event.REPLY_ARRIVED and "arrival" in event.detail
    ]
    return [{**file.get_reply(arrival), "arrival": arrival, "at": at} for arrival, at in came]


def open_attachment(parts: Parts, staff: Staff, ref: str, arrival_ref: str, place: str) -> Original:
    """Open one attachment of a case's request or of a reply; logged with the person's name first.

    :param place: its number in that message, counted from 1.
    :raises NotAllowedError: neither registrar nor data protection officer, and no clinician in an emergency.
    :raises RefusedError: there is no such attachment (code ``no_attachment``), or it was destroyed when identity was
        decided (code ``attachment_destroyed``).
    """
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
        require_opener(connection, staff, ref, parts.now())
        happened = events(connection, ref)
    file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, subject=case.subject, staff=staff)
    messages = [file.get(PARTICULARS) or {}, *replies_of(file, happened)]
    said = next((message for message in messages if message.get("arrival") == arrival_ref), {})
    words = next((words for words in said.get("attachments", ()) if words.get("place") == place), None)
    if words is None:
        raise RefusedError("no_attachment", "this case has no such attachment", ref=ref)
    try:
        data = read_attachment(file, arrival_ref, words)
    except KeyMissingError:
        raise RefusedError("attachment_destroyed", "it was destroyed when identity was decided", ref=ref) from None
    return _shown(parts, case, str(words["name"]), data)


def _shown(parts: Parts, case: Case, name: str, data: bytes) -> Original:
    """Make pictures of what can be drawn, and words of what is text; of anything else only the name is shown."""
    if picture_kind(data) is not None:
        try:
            pages = tuple(range(1, page_count(data, parts.settings.limits) + 1))
        except UnreadableError:
            pages = ()
        return Original(case, data, pages, name)
    try:
        words = "" if b"\0" in data else data.decode("utf-8")
    except UnicodeDecodeError:
        words = ""
    return Original(case, b"", (), name, clean(words)[:_LONGEST])
