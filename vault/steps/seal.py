"""Seal: exactly what was approved becomes a package that only the requester opens.

No decision, no release; no key, no package. The sealer proves the decision against the
stored bytes itself, whatever Airflow says. The passphrase of a PDF package exists in memory
and in a letter sealed to the print role, and nowhere else.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from vault.crypto.keydir import read_public
from vault.domain.case import Case, Event, Stage
from vault.domain.codes import passphrase
from vault.domain.private import Private
from vault.domain.request import AnswerBy, Request, RequestKind
from vault.domain.roles import Purpose
from vault.steps.answer import assemble
from vault.steps.disclosure import log_disclosure
from vault.steps.exceptions import each
from vault.steps.identify import ANSWER_KEY, read_candidate, require_subject
from vault.steps.letters import passphrase_letter
from vault.steps.outbox import PrintJob
from vault.steps.parts import Parts
from vault.steps.receive import PARTICULARS
from vault.steps.review import RELEASE, OpenDraft, Ruling, open_draft, proved_decision
from vault.storage.cases import append, get_case
from vault.storage.drafts import PackageRow, add_package

PAPER = "paper"  # lies in the print outbox alone
OPENPGP = "openpgp"
PDF = "pdf"


@dataclass(frozen=True, slots=True)
class Sealed(Private, shows=("format",)):
    """A finished package, the letters that belong to it, and the request that it answers."""

    format: str
    data: bytes
    letters: Mapping[str, bytes]
    request: Request


def seal(parts: Parts, refs: Sequence[str]) -> list[str]:
    """Seal each decided case's package; return those sealed. One that can't be sealed shows why on the board."""
    return each(parts, refs, _seal_one)


def _seal_one(parts: Parts, ref: str) -> bool:
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
    if case.stage is not Stage.DECIDED or case.exception is not None:
        return False
    draft = open_draft(parts, ref, Purpose.SEAL)
    rulings = proved_decision(parts, draft, read_public(parts.settings.desk.decision_public_key_file))
    sealed = _close(parts, case, draft, rulings)
    digest = sha256(sealed.data)
    name = f"case/{ref}/package/{digest.hexdigest()[:16]}"
    if sealed.format != PAPER:
        draft.file.put_object(name, sealed.data)
    kinds = _kinds(draft, rulings)
    if sealed.format == PAPER:  # from the outbox it goes into the post
        log_disclosure(parts, case, sealed.request, set(kinds), len(kinds))
    jobs = {kind: PrintJob(parts, f"{ref}-{kind}", pdf) for kind, pdf in sealed.letters.items()}
    with parts.database.connect() as connection:
        add_package(connection, PackageRow(ref, sealed.format, name, digest.digest(), len(sealed.data), parts.now()))
        for kind, job in jobs.items():
            job.commit(connection, ref, kind)
        append(
            connection,
            case,
            Event.PACKAGE_SEALED,
            actor=parts.actor,
            at=parts.now(),
            step="seal",
            detail={
                "format": sealed.format,
                "sha256": digest.hexdigest(),
                "kinds": ",".join(sorted(set(kinds))),
                "records": str(len(kinds)),
            },
        )
    return True


def _kinds(draft: OpenDraft, rulings: Mapping[str, Ruling]) -> list[str]:
    """Name the kind of each record that was released."""
    released = (d["id"] for d in draft.listing["documents"] if rulings[d["id"]].ruling == RELEASE)
    documents = [json.loads(draft.read(f"{name}.json")) for name in released]
    return [record["kind"] for document in documents for record in document["records"]]


def _close(parts: Parts, case: Case, draft: OpenDraft, rulings: Mapping[str, Ruling]) -> Sealed:
    candidate = read_candidate(parts, case.ref, require_subject(draft.file, case))
    particulars = draft.file.get(PARTICULARS) or {}
    request = Request.from_json(particulars["request"])
    log_asked = RequestKind.LOG in request.kinds
    answer = assemble(parts, case, draft, rulings, candidate, log_asked=log_asked)
    key = draft.file.get(ANSWER_KEY)
    if request.answer_by is AnswerBy.PAPER or not particulars.get("reply_to"):
        pdf = answer.on_paper()
        return Sealed(PAPER, pdf, {"answer": pdf}, request)
    if key is not None:
        closed = answer.for_key(parts.settings, key["key"], key["fingerprint"])
        return Sealed(OPENPGP, closed, {}, request)
    words = passphrase(secrets.token_bytes(32))
    letter = passphrase_letter(parts, case, candidate.identity, candidate.contacts, words)
    return Sealed(PDF, answer.for_passphrase(words), {"passphrase": letter}, request)
