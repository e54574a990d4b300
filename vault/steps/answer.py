"""Answer: the files of a package, put together from the released bytes and from letters that named templates make."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time

from vault.accesslog.answers import tell
from vault.accesslog.proofs import heads
from vault.domain.calendar import HELSINKI, add_months
from vault.domain.case import Case, Event
from vault.domain.private import Private
from vault.package.contents import package_files
from vault.package.heading import Heading, Recipient
from vault.package.letters import Enclosure, Refusal, answer_letter, paper_cover, refusal_letter
from vault.package.logextract import LogUses, render_log_extract
from vault.package.logproofs import proved_uses
from vault.package.openpgp_package import make_openpgp_package
from vault.package.pdf_join import join_pdfs, page_count
from vault.package.pdf_package import make_pdf_package
from vault.settings import Settings
from vault.steps.identify import Candidate
from vault.steps.letters import heading_of, recipient_of
from vault.steps.parts import Parts
from vault.steps.review import RELEASE, OpenDraft, Ruling
from vault.storage.cases import events

_TOLD_MONTHS = 24  # older log data is given for a special reason only (Act 703/2023 s. 11)


@dataclass(frozen=True, slots=True)
class Answer(Private):
    """Everything that goes to the requester, before it is closed."""

    heading: Heading
    recipient: Recipient
    files: Mapping[str, bytes]
    titles: Mapping[str, str]

    def for_key(self, settings: Settings, key: str, fingerprint: str) -> bytes:
        """Close it to one OpenPGP key, signed by the controller's."""
        return make_openpgp_package(self.files, key, fingerprint, settings.openpgp)

    def for_passphrase(self, words: str) -> bytes:
        """Close it as one PDF that the passphrase opens, with the data embedded."""
        return make_pdf_package(self.files, words, title=self.heading.case_ref, language=self.heading.language)

    def on_paper(self) -> bytes:
        """Put all sheets together behind a cover with the address."""
        sheets = {name: data for name, data in self.files.items() if name.endswith(".pdf")}
        enclosures = [Enclosure(self.titles.get(name, name), pages=page_count(data)) for name, data in sheets.items()]
        cover = paper_cover(self.heading, self.recipient, enclosures)
        return join_pdfs([cover, *sheets.values()], title=self.heading.case_ref, language=self.heading.language)


def assemble(
    parts: Parts, case: Case, draft: OpenDraft, rulings: Mapping[str, Ruling], candidate: Candidate, *, log_asked: bool
) -> Answer:
    """Gather exactly the released files, the letter, what is refused and why, and the log extract.

    :param log_asked: the request asks who read the data (Act 703/2023 s. 11), so that readers are named.
    """
    heading, recipient = heading_of(parts, case), recipient_of(candidate.identity, candidate.contacts)
    documents = draft.listing["documents"]
    released = [d for d in documents if rulings[d["id"]].ruling == RELEASE]
    refusals = [Refusal(d["title"], rulings[d["id"]].ground or "") for d in documents if d not in released]
    received = case.received_at.astimezone(HELSINKI).date()
    enclosures = [Enclosure(d["title"], tuple(sorted(d["files"], reverse=True))) for d in released]
    uses, proofs = _uses(parts, candidate.subject, heading.at, _names_since(received) if log_asked else None)
    letter = answer_letter(
        heading,
        recipient,
        enclosures,
        received=received,
        disclosed_to=draft.listing["disclosed_to"],
        refused=bool(refusals),
        log=True,
    )
    files = package_files(
        case.ref,
        draft.row.version,
        draft.row.digest,
        letter=letter,
        released={name: draft.read(name) for d in released for name in sorted(d["files"], reverse=True)},
        refusal=_refusal(parts, heading, recipient, refusals, received=received, whole=not released),
        log=render_log_extract(heading, uses),
        proofs=proofs,
    )
    titles = {name: d["title"] for d in released for name in d["files"]}
    return Answer(heading, recipient, files, titles)


def _uses(
    parts: Parts, subject: str, until: datetime, names_since: datetime | None
) -> tuple[LogUses, dict[str, bytes]]:
    """Read what the log says about a subject, and prove it as of the moment before."""
    with parts.database.connect() as connection:
        seen = heads(connection).size
    return proved_uses(tell(parts.log, parts.database, subject, seen), until, names_since)


def _names_since(received: date) -> datetime:
    return datetime.combine(add_months(received, -_TOLD_MONTHS), time(), HELSINKI)


def _refusal(
    parts: Parts, heading: Heading, recipient: Recipient, refusals: list[Refusal], *, received: date, whole: bool
) -> bytes | None:
    if not refusals:
        return None
    with parts.database.connect() as connection:
        decided = next(e.at for e in reversed(events(connection, heading.case_ref)) if e.event is Event.DECISION_MADE)
    on = decided.astimezone(HELSINKI).date()
    return refusal_letter(heading, recipient, refusals, received=received, decided=on, whole=whole)
