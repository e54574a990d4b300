"""Deliver: hand the package over, with the intent recorded first and an unclear outcome shown to a person."""

from collections.abc import Sequence

from vault.delivery.compose import package_mail
from vault.domain.case import Case, Event, Stage
from vault.domain.records import Author
from vault.domain.request import Request
from vault.domain.roles import Purpose
from vault.steps.casefile import CaseFile
from vault.steps.disclosure import log_disclosure
from vault.steps.exceptions import each
from vault.steps.notices import intend_notice, send_mail, send_notice, words_of
from vault.steps.parts import Parts
from vault.steps.receive import PARTICULARS
from vault.steps.seal import OPENPGP, PAPER, PDF
from vault.storage import outgoing
from vault.storage.cases import append, events, get_case
from vault.storage.drafts import PackageRow, package_of
from vault.storage.outgoing import Outgoing, outgoing_of

REGISTER_AUTHOR = Author("DSR Vault", "dsr-vault", "system")


def deliver(parts: Parts, refs: Sequence[str]) -> list[str]:
    """Take each sealed case's package out; return those that are answered now."""
    return each(parts, refs, _deliver_one)


def _deliver_one(parts: Parts, ref: str) -> bool:
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
        package = package_of(connection, ref)
    if case.stage is not Stage.SEALED or package is None:
        return False
    note_in_register(parts, case)
    if package.format in (OPENPGP, PDF) and not _mailed(parts, case, package):
        return False
    if not _posted(parts, ref):
        return False
    _close(parts, ref)
    return True


def _mailed(parts: Parts, case: Case, package: PackageRow) -> bool:
    """Mail the package once; True when it is known to be out."""
    item = Outgoing(f"{case.ref}-package", case.ref, "package", "mail", outgoing.INTENDED, parts.now())
    with parts.database.connect() as connection:
        outgoing.intend(connection, item)
        state = next(known.state for known in outgoing_of(connection, case.ref) if known.ref == item.ref)
    if state == outgoing.SENT:
        return True
    if case.exception is not None and state != outgoing.SENDING:
        return False
    file = CaseFile.open(parts, case.ref, Purpose.DELIVER, subject=case.subject)
    particulars = file.get(PARTICULARS) or {}
    log_disclosure(parts, case, Request.from_json(particulars["request"]), *_contents(parts, case.ref))
    data = file.get_object(package.object)
    words = words_of(parts, case, f"package_{package.format}")
    message = package_mail(
        parts.settings, case.ref, case.language, package.format, data, particulars=particulars, words=words
    )
    return send_mail(parts, item, message) == outgoing.SENT


def _contents(parts: Parts, ref: str) -> tuple[set[str], int]:
    """Give the kinds of the records in the package and their number, as sealing noted them."""
    with parts.database.connect() as connection:
        sealed = next(e.detail for e in reversed(events(connection, ref)) if e.event is Event.PACKAGE_SEALED)
    return {kind for kind in sealed.get("kinds", "").split(",") if kind}, int(sealed.get("records", "0"))


def _posted(parts: Parts, ref: str) -> bool:
    """Tell whether the letters that carry or open the answer are in the post."""
    with parts.database.connect() as connection:
        letters = [item for item in outgoing_of(connection, ref) if item.kind in ("answer", "passphrase")]
    return all(letter.state == outgoing.POSTED for letter in letters)


def note_in_register(parts: Parts, case: Case) -> None:
    """Enter in the patient register that the right of access was used; a setting turns it off."""
    if not parts.settings.register_notes or parts.register is None or case.subject is None:
        return
    parts.register.note_inspection(case.subject, case.ref, parts.now(), REGISTER_AUTHOR)


def _close(parts: Parts, ref: str) -> None:
    file = CaseFile.open(parts, ref, Purpose.DELIVER)
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
        decided = next(e for e in reversed(events(connection, ref)) if e.event is Event.DECISION_MADE)
        package = package_of(connection, ref)
        nothing_released = decided.detail.get("released") == "0"
        event = Event.REFUSAL_DELIVERED if nothing_released else Event.DELIVERED
        by_mail = package is not None and package.format != PAPER
        notice = intend_notice(parts, connection, file, case, "completion") if by_mail else None
        append(
            connection,
            case,
            event,
            actor=parts.actor,
            at=parts.now(),
            step="deliver",
            detail={"format": package.format if package else ""},
            exception=None,
        )
    if notice is not None:
        send_notice(parts, file, notice)
