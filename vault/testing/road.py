"""A case's road on a real installation, step by step in this process or in a child that may be killed."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vault.cli.cases import STEPS
from vault.domain.case import Case, Event, Stage
from vault.domain.roles import Purpose
from vault.steps import check
from vault.steps.collect import collect
from vault.steps.deliver import deliver
from vault.steps.doors import open_mailbox
from vault.steps.identify import identify
from vault.steps.parts import Parts, Staff
from vault.steps.queue import board
from vault.steps.review import RELEASE, Ruling, decide, open_draft
from vault.steps.seal import seal
from vault.storage.cases import events
from vault.storage.outgoing import Outgoing, outgoing_of
from vault.testing.cast import Cast, deliverer, make_cast
from vault.testing.controller import export_public
from vault.testing.fill import fill
from vault.testing.installation import Installation, installed
from vault.testing.mails import pgp_mime_mail
from vault.testing.mailtexts import request_text

CLINICIAN = Staff("8", "Clinician", frozenset({"clinician"}))
REGISTRAR = Staff("7", "Registrar", frozenset({"registrar"}))
_ON_CASES: dict[str, tuple[str, Callable[[Parts, Sequence[str]], list[str]]]] = {
    "identify": ("collector", identify),
    "collect": ("collector", collect),
    "seal": ("sealer", seal),
    "deliver": ("sealer", deliver),
}
_ORDER = (Stage.RECEIVED, Stage.IDENTIFIED, Stage.DRAFTED, Stage.DECIDED, Stage.SEALED)


def run_step(home: Path, step: str) -> None:
    """Run one step in its office on what waits."""
    office, act = STEPS[step]
    with Installation(home).office(office) as parts:
        act(parts, 100)


def run_on(home: Path, step: str, ref: str) -> None:
    """Run one step on one case only."""
    office, act = _ON_CASES[step]
    with Installation(home).office(office) as parts:
        act(parts, [ref])


def decide_case(home: Path, ref: str) -> None:
    """Release every document of a draft, as a clinician."""
    with Installation(home).office("desk") as parts:
        draft = open_draft(parts, ref, Purpose.REVIEW, CLINICIAN)
        rulings = [Ruling(document["id"], RELEASE) for document in draft.listing["documents"]]
        decide(parts, CLINICIAN, ref, draft.row.digest, rulings)


def ask_requester(home: Path, ref: str) -> None:
    """Ask the requester for more, as a registrar."""
    with Installation(home).office("desk") as parts:
        check.ask(parts, REGISTRAR, ref, "Please call us.")


class Road:
    """An installation, its people, and ways to bring a case to a stage."""

    def __init__(self, installation: Installation, cast: Cast) -> None:
        self.installation = installation
        self.cast = cast
        self.ours = export_public(installation.settings().openpgp)
        self.drop = deliverer(installation)

    def mail(self, role: str) -> None:
        """Put one new request into the mailbox."""
        patient = self.cast.patient(role)
        letter = self.cast.letter(role, request_text(patient.language, patient.name, patient.code))
        self.drop(pgp_mime_mail(letter, self.cast.homes[role], self.ours))

    @property
    def home(self) -> Path:
        """The installation's folder, by which a child finds it."""
        return self.installation.home

    def run(self, step: str) -> None:
        """Run a step in its office, in this process."""
        run_step(self.home, step)

    def cases(self) -> list[Case]:
        """Return every case."""
        with self.installation.office("operator") as parts:
            return [row.case for row in board(parts)]

    def refs(self) -> set[str]:
        """Return every case's reference."""
        return {case.ref for case in self.cases()}

    def at(self, ref: str) -> Case:
        """Return a case as it stands now."""
        return next(case for case in self.cases() if case.ref == ref)

    def kinds(self, ref: str) -> Counter[Event]:
        """Count a case's events."""
        with self.installation.office("operator") as parts, parts.database.connect() as connection:
            return Counter(event.event for event in events(connection, ref))

    def bring(self, stage: Stage, role: str = "bound_sv") -> str:
        """Bring a new case to the stage before the step under test."""
        known = self.refs()
        self.mail(role)
        self.run("receive-mail")
        (ref,) = self.refs() - known
        for before, step in ((Stage.IDENTIFIED, "identify"), (Stage.DRAFTED, "collect")):
            if _ORDER.index(stage) >= _ORDER.index(before):
                run_on(self.home, step, ref)
        if stage in (Stage.DECIDED, Stage.SEALED):
            decide_case(self.home, ref)
        if stage is Stage.SEALED:
            run_on(self.home, "seal", ref)
        if self.at(ref).stage is not stage:
            raise AssertionError(f"the case stands at {self.at(ref).stage.value}")
        return ref

    def mails_about(self, ref: str) -> list[bytes]:
        """Return the sent mails whose headers name a case."""
        return [raw for raw in self.installation.sink().messages() if ref.encode() in raw.partition(b"\n\n")[0]]

    def outgoing(self, ref: str) -> list[Outgoing]:
        """Return what goes out for a case."""
        with self.installation.office("operator") as parts, parts.database.connect() as connection:
            return outgoing_of(connection, ref)

    def in_mailbox(self) -> int:
        """Count the messages at the door."""
        return open_mailbox(self.installation.settings().mailbox).count()


@contextmanager
def travelled(patients: int = 12) -> Iterator[Road]:
    """Run an installation with a filled register while inside."""
    with installed() as installation:
        cast = make_cast(installation, patients)
        with installation.office("registry") as parts:
            if parts.register is not None:
                fill(parts.register, cast.people)
        try:
            yield Road(installation, cast)
        finally:
            cast.close()
