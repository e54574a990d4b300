"""The register where a health record is it: one identified patient read straight into records, no copy kept.

A receipt is spent before any request leaves. A personal identity code travels in a request's body only.
Whatever comes back about another patient than the one asked for is refused as a whole.
"""

from base64 import b32encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Final, NoReturn, Protocol

from vault.accesslog.receipts import LogReceipt
from vault.domain.hetu import parse as parse_code
from vault.domain.private import Private
from vault.domain.records import IDENTITY_KINDS, Author, Record, RecordKind
from vault.errors import NotAllowedError, OutOfReachError, RefusedError, TamperedError, VaultError
from vault.register.fhir.authors import SUPPORTING, Authors
from vault.register.fhir.chart import Chart
from vault.register.fhir.client import FhirClient, Response
from vault.register.fhir.elements import Content, Elements, resource_type
from vault.register.fhir.people import code_of
from vault.register.fhir.references import PERSON_ELEMENTS, identifier_in, normal, persons
from vault.register.fhir.source import FhirReader, Source
from vault.register.port import Look
from vault.register.tally import Tally

CODE_SYSTEM: Final = "urn:oid:1.2.246.21"
CASE_SYSTEM: Final = "urn:dsr-vault:case"
_PREFIX: Final = "F-"


class Spender(Protocol):
    """What the register needs of the access log."""

    def spend(self, receipt: LogReceipt, *, case: str | None, subject: str | None, kinds: Iterable[str]) -> None:
        """Spend a receipt or refuse it."""
        ...


class FhirRegister(Private):
    """A FHIR R4 server as the register.

    :param log: the access log, which alone can spend a receipt.
    """

    __slots__ = ("_client", "_log", "tally")

    def __init__(self, client: FhirClient, log: Spender) -> None:
        self._client = client
        self._log = log
        self.tally = Tally()

    def find(self, code: str, receipt: LogReceipt) -> str | None:
        """Return the reference of the patient with this code; see the port.

        :raises TamperedError: the server gave a patient who has not this code, or several.
        """
        # a forged receipt may lack every attribute; spending is what refuses it
        case = getattr(receipt, "case", None)
        self._log.spend(receipt, case=case, subject=None, kinds={RecordKind.IDENTITY.value})
        canonical = parse_code(code, date.max).value
        found = self._client.search("Patient", {"identifier": f"{CODE_SYSTEM}|{canonical}"})
        patients = [item for item in self._resources(found) if resource_type(item) == "Patient"]
        if any(_code(patient) != canonical for patient in patients):
            raise TamperedError(
                "fhir_search_ignored", "the FHIR server gave a patient who was not sought; tell who runs it"
            )
        subjects = {_subject(patient) for patient in patients if patient.get("active") is not False}
        if len(subjects) > 1:
            raise TamperedError(
                "fhir_patient_twice", "the FHIR server holds this patient several times; merge them there"
            )
        return subjects.pop() if subjects else None

    def read(self, receipt: LogReceipt, subject: str, kinds: Iterable[RecordKind], *, case: str | None) -> list[Record]:
        """Return a patient's records of these kinds, oldest first; see the port.

        For identity and contact details alone the Patient is read and nothing else.
        """
        wanted = {RecordKind(kind) for kind in kinds}
        self._log.spend(receipt, case=case, subject=subject, kinds=sorted(kind.value for kind in wanted))
        ident = _id(subject)
        path = f"Patient/{ident}" if wanted <= IDENTITY_KINDS else f"Patient/{ident}/$everything"
        answer = self._client.get(path)
        if not answer.content:
            raise RefusedError("fhir_patient_gone", "the FHIR server no longer holds this patient; look there")
        resources = list(self._resources(answer)) if "$" in path else [answer.content]
        records = self._records(subject, ident, resources)
        return sorted((r for r in records if r.kind in wanted), key=lambda record: (record.at, record.ref))

    def read_many(self, looks: Sequence[Look], kinds: Iterable[RecordKind]) -> list[list[Record]]:
        """Return the records of these kinds of many patients, one after the other; see the port."""
        wanted = list(kinds)
        return [self.read(look.receipt, look.subject, wanted, case=look.case) for look in looks]

    def write(self, records: Sequence[Record]) -> None:
        """Refuse: records are written in the health record itself."""
        if records:
            _written_there()

    def add_subject(self, code: str, identity: Record, contacts: Record) -> str:  # noqa: ARG002 - the port's signature
        """Refuse: patients are added in the health record itself."""
        _written_there()

    def note_inspection(self, subject: str, case_ref: str, at: datetime, author: Author) -> None:
        """Enter once a case that the right of access was used: a Communication, made unless it is there.

        :raises RefusedError: the server takes no Communication from us (code ``fhir_note_refused``).
        """
        content = _note(_id(subject), case_ref, at, author)
        try:
            answer = self._client.create("Communication", content, f"identifier={CASE_SYSTEM}|{case_ref}")
        except OutOfReachError:
            raise
        except VaultError:
            answer = Response(0, {})
        if answer.status not in (200, 201):
            advice = "the FHIR server takes no Communication from us: grant it, or set register_notes = false"
            raise RefusedError("fhir_note_refused", advice, ref=case_ref)

    def _resources(self, first: Response) -> Iterator[Content]:
        """Yield every resource of a Bundle's pages once.

        :raises OutOfReachError: fewer came than the server had counted.
        """
        seen: set[tuple[object, object, object]] = set()
        total, counted = first.content.get("total"), 0
        for page in self._client.pages(first):
            for entry in _entries(page):
                resource = entry.get("resource")
                if not isinstance(resource, dict) or resource_type(resource) == "OperationOutcome":
                    continue
                counted += 1  # some servers count what they include, and some do not
                meta = resource.get("meta")
                version = meta.get("versionId") if isinstance(meta, dict) else None
                name = (resource.get("resourceType"), resource.get("id"), version)
                if None in name[:2] or name not in seen:
                    seen.add(name)
                    yield resource
        if isinstance(total, int) and not isinstance(total, bool) and counted < total:
            raise OutOfReachError(
                "fhir_answer_short", "the FHIR server gave fewer resources than it counted; try again"
            )

    def _records(self, subject: str, ident: str, resources: Sequence[Content]) -> list[Record]:
        own = f"Patient/{ident}"
        authors = Authors()
        for resource in resources:
            if resource_type(resource) in SUPPORTING:
                authors.learn(resource, None, self._client.base)
            else:
                _check_person(resource, own, self._client.base)
        if not any(resource.get("resourceType") == "Patient" for resource in resources):
            raise OutOfReachError("fhir_answer_short", "the FHIR server gave no Patient with the records; try again")
        reader = FhirReader(_PlainRefs(), authors, self._client.base)
        chart = Chart(subject, reader, self.tally, own=[own])
        return chart.records([Source(resource) for resource in resources])


class _PlainRefs:
    """References for records that are sealed with their draft and stand nowhere in the clear."""

    def base(self, name: str) -> str:
        return f"F-{b32encode(sha256(name.encode(errors='surrogatepass')).digest()[:15]).decode()}"

    def tag(self, content: bytes) -> str:
        return b32encode(sha256(content).digest()[:5]).decode()


def _check_person(resource: Content, own: str, base: str) -> None:
    """Refuse a resource about somebody else: the answer as a whole can't be relied on.

    :raises TamperedError: it names another patient, and not the one who was asked for.
    """
    names = [name for name in persons(resource, None, base) if not name.startswith(("#", "urn:"))]
    direct = [normal(found, None, base) for part in PERSON_ELEMENTS for found in Elements(resource).references(part)]
    strangers = [name for name in direct if "Patient/" in name and name != own]
    if strangers or (names and own not in names):
        raise TamperedError("fhir_other_patient", "the FHIR server gave another patient's record; tell who runs it")


def _entries(bundle: Content) -> list[Content]:
    entries = bundle.get("entry")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _code(patient: Content) -> str | None:
    try:
        return code_of(Elements(patient)).value
    except RefusedError:
        return None


def _subject(patient: Content) -> str:
    """Return the register's reference of a patient: the server's own id, which must say nothing."""
    ident = patient.get("id")
    if not isinstance(ident, str) or identifier_in(ident):
        advice = "the FHIR server's ids hold personal identity codes; ids must say nothing (R4 s. 2.21.0.3)"
        raise RefusedError("fhir_id_personal", advice)
    return f"{_PREFIX}{ident}"


def _id(subject: str) -> str:
    ident = subject.removeprefix(_PREFIX)
    if ident == subject or identifier_in(ident):
        raise RefusedError("subject_unknown", "this reference is no patient of the FHIR server")
    return ident


def _note(ident: str, case_ref: str, at: datetime, author: Author) -> Content:
    return {
        "resourceType": "Communication",
        "identifier": [{"system": CASE_SYSTEM, "value": case_ref}],
        "status": "completed",
        "subject": {"reference": f"Patient/{ident}"},
        "sent": at.astimezone(UTC).isoformat(timespec="seconds"),
        "topic": {"text": "GDPR Article 15"},
        "sender": {"display": author.name},
        "payload": [{"contentString": f"The right of access was used ({case_ref})."}],
    }


def _written_there() -> NoReturn:
    raise NotAllowedError("register_elsewhere", "the register is a FHIR server: write in the health record itself")
