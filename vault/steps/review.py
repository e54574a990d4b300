"""Review: a health-care professional rules on each document, and her decision is bound to the draft's digest.

The decision is canonical JSON signed with the desk's own key; the sealer checks the
signature and the digest against what lies stored, whatever Airflow says.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault.domain.case import Case, Event, Stage
from vault.domain.grounds import GROUNDS
from vault.domain.private import Private
from vault.domain.records import Json
from vault.domain.roles import Purpose, Role
from vault.errors import ConflictError, NotAllowedError, RefusedError, TamperedError
from vault.package.canonical import canonical
from vault.package.draft import digest
from vault.steps.casefile import CaseFile
from vault.steps.collect import DRAFT, object_of
from vault.steps.exceptions import in_hand
from vault.steps.parts import Parts, Staff
from vault.storage.cases import append, get_case
from vault.storage.drafts import DecisionRow, DraftRow, add_decision, decision_about, latest_draft

RELEASE = "release"
REFUSE = "refuse"
_REVIEWABLE = frozenset({Stage.DRAFTED, Stage.DECIDED})  # a closed case's draft is nobody's to read again


@dataclass(frozen=True, slots=True)
class Ruling(Private, shows=("document", "ruling")):
    """What is decided about one document; a refusal names its ground."""

    document: str
    ruling: str
    ground: str | None = None


@dataclass(frozen=True, slots=True)
class OpenDraft(Private):
    """A draft as a clinician sees it: the very files that would be sent."""

    case: Case
    row: DraftRow
    listing: dict[str, Any]
    file: CaseFile
    checked: dict[str, bytes] = field(default_factory=dict)

    def read(self, name: str) -> bytes:
        """Return one file of the draft, checked against the listing; the same bytes every time it is asked for.

        So the bytes that a decision was proved against are the very bytes that are sealed.

        :raises TamperedError: the stored bytes are not those that were drafted.
        """
        expected = {n: h for document in self.listing["documents"] for n, h in document["files"].items()}
        if name not in expected:
            raise RefusedError("no_such_document", "the draft has no such document", ref=self.case.ref)
        if name not in self.checked:
            data = self.file.get_object(object_of(self.case.ref, self.row.version, name))
            if sha256(data).hexdigest() != expected[name]:
                advice = "a document is not what was drafted; draft anew"
                raise TamperedError("document_changed", advice, ref=self.case.ref)
            self.checked[name] = data
        return self.checked[name]

    def recomputed(self) -> bytes:
        """Return the digest over the bytes that lie stored now."""
        names = sorted(name for document in self.listing["documents"] for name in document["files"])
        hashes = [(name, sha256(self.read(name)).hexdigest()) for name in names]
        return digest(self.case.ref, self.row.version, hashes)


def open_draft(parts: Parts, ref: str, purpose: Purpose, staff: Staff | None = None) -> OpenDraft:
    """Open a case's latest draft; the look is logged with actor and purpose first.

    :raises NotAllowedError: a person without the role clinician.
    :raises RefusedError: the case has no draft.
    """
    if staff is not None and Role.CLINICIAN not in staff.roles:
        raise NotAllowedError("not_a_clinician", "only a health-care professional opens a draft", ref=ref)
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
        row = latest_draft(connection, ref)
    if staff is not None and case.stage not in _REVIEWABLE:
        raise ConflictError("not_open", "this case is not waiting for a decision", ref=ref)
    if row is None:
        raise RefusedError("no_draft", "this case has no draft yet; collect makes it", ref=ref)
    file = CaseFile.open(parts, ref, purpose, subject=case.subject, staff=staff)
    listing = file.get(DRAFT)
    if listing is None or listing["version"] != row.version:
        raise TamperedError("draft_listing", "the draft's listing is missing or of another version", ref=ref)
    return OpenDraft(case, row, listing, file)


def decide(parts: Parts, staff: Staff, ref: str, seen_digest: bytes, rulings: Sequence[Ruling]) -> Case:
    """Record and sign a decision about the draft that the clinician saw.

    :param seen_digest: the digest on the page that she worked on, 32 bytes.
    :raises ConflictError: the draft has changed since.
    :raises RefusedError: a document without a ruling, or a refusal without a known ground.
    """
    with in_hand(parts, ref):
        draft = open_draft(parts, ref, Purpose.REVIEW, staff)
        if draft.case.stage is not Stage.DRAFTED:
            raise ConflictError("not_open", "this case is not waiting for a decision", ref=ref)
        if seen_digest != draft.row.digest:
            raise ConflictError("draft_changed", "the draft has changed since you opened it; look again", ref=ref)
        _complete(draft, rulings)
        return _store(parts, staff, draft, rulings)


def _complete(draft: OpenDraft, rulings: Sequence[Ruling]) -> None:
    documents = sorted(document["id"] for document in draft.listing["documents"])
    if sorted(ruling.document for ruling in rulings) != documents:
        raise RefusedError("ruling_missing", "rule on every document exactly once", ref=draft.case.ref)
    for ruling in rulings:
        if ruling.ruling not in (RELEASE, REFUSE):
            raise RefusedError("ruling_unknown", "release or refuse each document", ref=draft.case.ref)
        if (ruling.ruling == REFUSE) != (ruling.ground is not None and ruling.ground in GROUNDS):
            raise RefusedError(
                "ground_missing", "name a ground for each refusal, and for none else", ref=draft.case.ref
            )


def _store(parts: Parts, staff: Staff, draft: OpenDraft, rulings: Sequence[Ruling]) -> Case:
    case, row, now = draft.case, draft.row, parts.now()
    body: dict[str, Json] = {
        "case": case.ref,
        "draft_version": row.version,
        "digest": row.digest.hex(),
        "rulings": [asdict(ruling) for ruling in sorted(rulings, key=lambda r: r.document)],
        "decided_by": staff.actor,
        "role": Role.CLINICIAN.value,
        "decided_at": now.isoformat(),
    }
    signature = parts.service.sign("desk", canonical(body))
    signed = canonical({"decision": body, "signature": base64.b64encode(signature).decode()})
    refused = sum(ruling.ruling == REFUSE for ruling in rulings)
    envelope = draft.file.sealed_bytes("decisions", row.version, signed)
    with parts.database.connect() as connection:
        add_decision(connection, DecisionRow(case.ref, row.version, row.digest, now, staff.actor, envelope))
        return append(
            connection,
            case,
            Event.DECISION_MADE,
            actor=staff.actor,
            at=now,
            step=f"decide:{row.version}",
            detail={"released": str(len(rulings) - refused), "refused": str(refused)},
            exception=None,
        )


def proved_decision(parts: Parts, draft: OpenDraft, desk_public: bytes) -> Mapping[str, Ruling]:
    """Return the rulings by document, if a genuine decision about exactly these stored bytes exists.

    :param desk_public: the desk's Ed25519 public key, 32 bytes.
    :raises TamperedError: no decision, another digest, a bad signature, or bytes that changed since.
    """
    ref = draft.case.ref
    with parts.database.connect() as connection:
        row = decision_about(connection, ref, draft.row.version)
    if row is None:
        raise TamperedError("no_decision", "there is no decision about this version of the draft", ref=ref)
    signed = json.loads(draft.file.opened_bytes("decisions", row.draft_version, row.envelope))
    body = signed["decision"]
    try:
        key = Ed25519PublicKey.from_public_bytes(desk_public)
        key.verify(base64.b64decode(signed["signature"]), canonical(body))
    except InvalidSignature:
        raise TamperedError("decision_forged", "the decision's signature is not the desk's", ref=ref) from None
    mark = draft.recomputed()
    claims = (body["case"], body["draft_version"], body["digest"], row.digest, draft.row.digest)
    if claims != (ref, draft.row.version, mark.hex(), mark, mark):
        raise TamperedError("decision_for_another", "the decision is about another draft; review again", ref=ref)
    return {item["document"]: Ruling(**item) for item in body["rulings"]}


def task_closed(parts: Parts, ref: str) -> bool:
    """Tell whether a decision stands behind a human task that was closed; raise it on the board when none does.

    Airflow's word that a task succeeded releases nothing.
    """
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
        if case.stage is not Stage.DRAFTED:
            return True
        if case.exception is None:
            append(
                connection,
                case,
                Event.EXCEPTION_RAISED,
                actor=parts.actor,
                at=parts.now(),
                detail={"exception": "task_without_decision"},
                exception="task_without_decision",
            )
    return False
