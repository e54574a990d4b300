"""Identify: who is asking, decided on evidence; finding somebody proves nothing.

Code, name and contact only find the person. A mail key that the register bound earlier
proves identity; else a one-time code goes by post to the address on the register, and
its return proves it; whatever else, a registrar decides at the desk (GDPR 12(6); EDPB
Guidelines 01/2022 paras 58-79).
"""

import base64
import hmac
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from vault.domain.case import Case, Event, Stage
from vault.domain.codes import normalise_code, render_code
from vault.domain.hetu import HetuError, parse
from vault.domain.private import Private
from vault.domain.records import Record, RecordKind
from vault.domain.request import ANSWERED, Request
from vault.domain.roles import Purpose
from vault.errors import NotAllowedError, TamperedError
from vault.intake.opened import ProofKind, SignedContent
from vault.intake.openpgp import check_signature
from vault.register.port import Register, current
from vault.steps.attachments import with_signature
from vault.steps.casefile import CaseFile, access, record
from vault.steps.exceptions import each
from vault.steps.letters import code_letter
from vault.steps.outbox import PrintJob
from vault.steps.parts import Parts
from vault.steps.receive import PARTICULARS
from vault.storage.arrivals import Arrival, take_reply, untaken_replies
from vault.storage.cases import append, get_case

CANDIDATE = "candidate"
CODE = "code"
ANSWER_KEY = "answer_key"
IDENTITY_KINDS = (RecordKind.IDENTITY, RecordKind.CONTACT_DETAILS)
_MOST_TRIES = 5


@dataclass(frozen=True, slots=True)
class Candidate(Private, shows=("subject",)):
    """Whom the request points at, before anything is proved."""

    subject: str
    identity: Record
    contacts: Record


def identify(parts: Parts, refs: Sequence[str]) -> list[str]:
    """Take each case a step towards a proved identity; return those that moved."""
    return each(parts, refs, _identify_one)


def _identify_one(parts: Parts, ref: str) -> bool:
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
        replies = untaken_replies(connection, ref)
    if case.stage is Stage.RECEIVED and case.exception is None:
        return _first_look(parts, case)
    if not replies:
        return False
    for reply in replies:
        case = _look_at_reply(parts, case, reply)
    return True


def _first_look(parts: Parts, case: Case) -> bool:
    file = CaseFile.open(parts, case.ref, Purpose.IDENTIFY)
    particulars = file.get(PARTICULARS) or {}
    request = Request.from_json(particulars["request"])
    candidate = find(parts, case.ref, request)
    if candidate is None:
        _check(parts, file, case, None, "subject_unknown")
    elif request.kinds and not ANSWERED & set(request.kinds):  # cleared by mistake: a package would answer nothing
        _check(parts, file, case, candidate, "other_right_asked")
    elif request.on_behalf:
        _check(parts, file, case, candidate, "representative")
    elif not same_name(request.name, candidate.identity):
        _check(parts, file, case, candidate, "name_differs")
    elif (key := bound_key(with_signature(file, particulars), candidate.contacts)) is not None:
        _prove(parts, file, case, candidate, evidence="bound_key", key=key)
    else:
        _post_code(parts, file, case, candidate)
    return True


def find(parts: Parts, ref: str, request: Request) -> Candidate | None:
    """Find whom a request points at by the personal identity code; log before looking."""
    register = _register(parts)
    today = parts.now().date()
    if request.code is None or (code := _valid_code(request.code, today)) is None:
        return None
    look = access(parts, Purpose.IDENTIFY, case=ref, subject=None, kinds=[RecordKind.IDENTITY.value])
    subject = register.find(code, record(parts, [look])[0])
    return read_candidate(parts, ref, subject) if subject else None


def _valid_code(value: str, today: date) -> str | None:
    try:
        return parse(value, today).value
    except HetuError:
        return None


def same_name(claimed: str | None, identity: Record) -> bool:
    """Compare the claimed name with the register's, without case, accents and order."""
    if claimed is None:
        return True
    register = _folded(f"{identity.body['given_names']} {identity.body['family_name']}")
    words = _folded(claimed)
    return bool(words) and words <= register


def _folded(name: str) -> set[str]:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold()
    return {word for word in plain.replace("-", " ").replace(",", " ").split() if word}


def bound_key(particulars: dict[str, Any], contacts: Record) -> dict[str, str] | None:
    """Return the key that the register bound after an earlier proof, when it made the request's signature.

    The signature is judged anew with the register's keys alone; a key that came with the
    message plays no part.
    """
    bound = contacts.body.get("openpgp_keys")
    keys = [key for key in bound if isinstance(key, str)] if isinstance(bound, list) else []
    return signing_key(particulars, keys)


def signing_key(particulars: dict[str, Any], keys: Sequence[str]) -> dict[str, str] | None:
    """Return the one of these armoured keys that made a valid signature over the message, with its fingerprint."""
    if not particulars.get("signature"):
        return None
    content = particulars.get("signed")
    signed = SignedContent(
        base64.b64decode(particulars["signature"]), base64.b64decode(content) if content is not None else None
    )
    for key in keys:
        proof = check_signature(signed, [key.encode()])
        if proof.kind is ProofKind.VALID and proof.fingerprint is not None:
            return {"fingerprint": proof.fingerprint, "key": key}
    return None


def _check(parts: Parts, file: CaseFile, case: Case, candidate: Candidate | None, why: str) -> None:
    with parts.database.connect() as connection:
        if candidate is not None:
            file.put(connection, CANDIDATE, {"subject": candidate.subject})
        append(
            connection,
            case,
            Event.CHECK_NEEDED,
            actor=parts.actor,
            at=parts.now(),
            detail={"exception": why},
            exception=why,
        )


def _prove(
    parts: Parts,
    file: CaseFile,
    case: Case,
    candidate: Candidate,
    *,
    evidence: str,
    key: dict[str, str] | None,
    reply: Arrival | None = None,
) -> Case:
    with parts.database.connect() as connection:
        if reply is not None:
            take_reply(connection, reply.ref, parts.now())
        file.put(connection, CANDIDATE, {"subject": candidate.subject})
        if key is not None:
            file.put(connection, ANSWER_KEY, key)
        return append(
            connection,
            case,
            Event.IDENTITY_PROVED,
            actor=parts.actor,
            at=parts.now(),
            detail={"evidence": evidence, "level": "substantial"},
            subject=candidate.subject,
            exception=None,
        )


def _post_code(parts: Parts, file: CaseFile, case: Case, candidate: Candidate) -> None:
    code = render_code(secrets.token_bytes(8))
    until = parts.now() + timedelta(days=parts.settings.limits.code_days)
    letter = code_letter(parts, case, candidate.identity, candidate.contacts, code, until=until)
    job = PrintJob(parts, f"{case.ref}-code", letter)
    with parts.database.connect() as connection:
        file.put(connection, CANDIDATE, {"subject": candidate.subject})
        file.put(connection, CODE, {"code": code, "until": until.isoformat(), "tries": 0, "subject": candidate.subject})
        append(
            connection,
            case,
            Event.CHECK_NEEDED,
            actor=parts.actor,
            at=parts.now(),
            step="post_code",
            detail={"evidence": "one_time_code"},
        )
        job.commit(connection, case.ref, "code")


def _look_at_reply(parts: Parts, case: Case, reply: Arrival) -> Case:
    file = CaseFile.open(parts, case.ref, Purpose.IDENTIFY)
    said = file.get_reply(reply.ref)
    given = normalise_code(str(said.get("code") or ""))
    expected = file.get(CODE)
    if case.stage is Stage.CHECKING and given and expected and _fits(expected, given, parts.now()):
        candidate = read_candidate(parts, case.ref, expected["subject"])
        key = _key_of_reply(file, said)
        return _prove(parts, file, case, candidate, evidence="one_time_code", key=key, reply=reply)
    return _keep_reply(parts, file, case, reply, given)


def _fits(expected: dict[str, Any], given: str, now: datetime) -> bool:
    in_time = now <= datetime.fromisoformat(expected["until"]) and expected["tries"] < _MOST_TRIES
    return hmac.compare_digest(normalise_code(expected["code"]) or "", given) and in_time


def _key_of_reply(file: CaseFile, said: dict[str, Any]) -> dict[str, str] | None:
    """Bind the key that signed the whole reply: its holder had the code from the register's address."""
    came = [*said.get("keys", ()), *(file.get(PARTICULARS) or {}).get("keys", ())]
    armoured = [key for key in (base64.b64decode(value) for value in came) if key.lstrip().startswith(b"-----BEGIN")]
    return signing_key(with_signature(file, said), [key.decode("utf-8", "replace") for key in armoured])


def _keep_reply(parts: Parts, file: CaseFile, case: Case, reply: Arrival, given: str | None) -> Case:
    """Count a wrong code, close an open pause, and show the reply to a person."""
    why = "reply_to_read"
    event = Event.ANSWER_ARRIVED if case.stage is Stage.ASKED else Event.EXCEPTION_RAISED
    expected = file.get(CODE)
    with parts.database.connect() as connection:
        take_reply(connection, reply.ref, parts.now())
        if given and expected:
            tries = int(expected["tries"]) + 1
            file.put(connection, CODE, {**expected, "tries": tries})
            why = "code_exhausted" if tries >= _MOST_TRIES else "code_wrong"
        detail = {"exception": why, "arrived": reply.received_at.isoformat()}
        return append(connection, case, event, actor=parts.actor, at=parts.now(), detail=detail, exception=why)


def read_candidate(parts: Parts, ref: str, subject: str) -> Candidate:
    """Read identity and contacts, and nothing else, of the subject that a case points at.

    :raises TamperedError: the register holds no identity for a subject that it found.
    """
    kinds = [kind.value for kind in IDENTITY_KINDS]
    look = access(parts, Purpose.IDENTIFY, case=ref, subject=subject, kinds=kinds)
    records = _register(parts).read(record(parts, [look])[0], subject, IDENTITY_KINDS, case=ref)
    identity, contacts = (current(records, kind) for kind in IDENTITY_KINDS)
    if identity is None or contacts is None:
        raise TamperedError("identity_missing", "the register holds no identity for this subject; restore it", ref=ref)
    return Candidate(subject, identity, contacts)


def require_subject(file: CaseFile, case: Case) -> str:
    """Return the subject whose identity was proved, as the sealed file and the case agree on it.

    :raises TamperedError: they do not agree: somebody changed the case's row.
    """
    candidate = file.get(CANDIDATE)
    if candidate is None or case.subject is None or candidate["subject"] != case.subject:
        raise TamperedError("subject_changed", "the case points at another person than was identified", ref=case.ref)
    return case.subject


def _register(parts: Parts) -> "Register":
    if parts.register is None:
        raise NotAllowedError("no_register", f"the office {parts.office.value} reads no register")
    return parts.register
