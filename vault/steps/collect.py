"""Collect: after an identity decision, every record of the subject is read once and rendered into a draft.

All documents are rendered before review, so that what a clinician approves is what is sent.
"""

from collections.abc import Sequence
from hashlib import sha256

from vault.domain.case import Case, Event, Stage
from vault.domain.records import Record, RecordKind
from vault.domain.roles import Purpose
from vault.errors import NotAllowedError
from vault.package.documents import Document, render_documents
from vault.package.draft import digest
from vault.package.letters import recipients_of
from vault.steps.casefile import CaseFile, access, record
from vault.steps.exceptions import each
from vault.steps.identify import require_subject
from vault.steps.parts import Parts
from vault.storage.cases import append, get_case
from vault.storage.drafts import DraftRow, add_draft

DRAFT = "draft"


def collect(parts: Parts, refs: Sequence[str]) -> list[str]:
    """Make the first draft of each identified case; return those drafted."""
    return each(parts, refs, _collect_one)


def _collect_one(parts: Parts, ref: str) -> bool:
    with parts.database.connect() as connection:
        case = get_case(connection, ref)
    if case.stage is not Stage.IDENTIFIED or case.exception is not None:
        return False
    file, records = _read_everything(parts, case)
    made_at = parts.now().replace(microsecond=0)
    documents = render_documents(records, case.language, parts.settings.controller, case.ref, made_at)
    store_draft(parts, file, case, documents, version=1, disclosed_to=recipients_of(records))
    return True


def _read_everything(parts: Parts, case: Case) -> tuple[CaseFile, list[Record]]:
    if parts.register is None or case.subject is None:
        raise NotAllowedError("no_identity_decision", "nobody is read before identity is proved", ref=case.ref)
    file = CaseFile.open(parts, case.ref, Purpose.COLLECT, subject=case.subject)
    subject = require_subject(file, case)
    kinds = sorted(kind.value for kind in RecordKind)
    look = access(parts, Purpose.COLLECT, case=case.ref, subject=subject, kinds=kinds)
    return file, parts.register.read(record(parts, [look])[0], subject, list(RecordKind), case=case.ref)


def draft_files(documents: Sequence[Document]) -> dict[str, bytes]:
    """Name every file that a draft releases: each document as PDF and as data."""
    files: dict[str, bytes] = {}
    for document in documents:
        files[f"{document.id}.pdf"] = document.pdf
        files[f"{document.id}.json"] = document.json()
    return files


def object_of(ref: str, version: int, name: str) -> str:
    """Name the object that holds one file of a draft."""
    return f"case/{ref}/draft/{version}/{name}"


def store_draft(
    parts: Parts,
    file: CaseFile,
    case: Case,
    documents: Sequence[Document],
    *,
    version: int,
    disclosed_to: Sequence[str],
) -> Case:
    """Store a draft's files, then record version and digest with the event in one transaction.

    :param disclosed_to: recipients by name, for the answer's letter (GDPR 15(1)(c)).
    """
    files = draft_files(documents)
    for name, data in files.items():
        file.put_object(object_of(case.ref, version, name), data)
    hashes = {name: sha256(data).hexdigest() for name, data in files.items()}
    listing = {
        "version": version,
        "disclosed_to": list(disclosed_to),
        "documents": [
            {
                "id": document.id,
                "title": document.title,
                "kinds": [str(kind) for kind in document.kinds],
                "files": {n: hashes[n] for n in (f"{document.id}.pdf", f"{document.id}.json")},
            }
            for document in documents
        ],
    }
    mark = digest(case.ref, version, sorted(hashes.items()))
    with parts.database.connect() as connection:
        file.put(connection, DRAFT, listing)
        add_draft(connection, DraftRow(case.ref, version, mark, parts.now()))
        return append(
            connection,
            case,
            Event.DRAFT_MADE,
            actor=parts.actor,
            at=parts.now(),
            step=f"draft:{version}",
            detail={"version": str(version), "documents": str(len(documents)), "digest": mark.hex()},
        )
