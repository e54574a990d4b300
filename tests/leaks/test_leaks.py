"""A thief of everything at rest finds nobody: canaries in every personal field, the whole road, a look everywhere."""

import email
import email.policy
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from vault.accesslog.entries import Access
from vault.cli.cases import STEPS
from vault.domain.case import Case, Event, Stage
from vault.domain.records import Author, Json, Record, RecordKind
from vault.domain.roles import Purpose
from vault.steps import check
from vault.steps.doors import open_mailbox
from vault.steps.emergency import break_glass, review_emergency
from vault.steps.notices import resend
from vault.steps.outbox import mark_posted, open_letters
from vault.steps.parts import Staff
from vault.steps.queue import board
from vault.steps.review import RELEASE, Ruling, decide, open_draft
from vault.storage.drafts import package_of
from vault.storage.objects import Objects
from vault.testing import atrest, dovecot, postgres
from vault.testing.canaries import Finding, Place, draw_canary, search
from vault.testing.cast import deliverer
from vault.testing.controller import ADDRESS, export_public
from vault.testing.demo.postoffice import _CODE, _PASSPHRASE, first_page
from vault.testing.installation import Installation, destroy, start
from vault.testing.mailkeys import PgpHome, make_pgp_home
from vault.testing.mails import File, Letter, pgp_mime_mail, plain_mail
from vault.testing.mailtexts import code_text, request_text
from vault.testing.patients import Patient, patients
from vault.testing.places import private_directory
from vault.testing.scans import fill_form
from vault.testing.smtp_sink import SmtpSink

LANGUAGE = "fi"
_LEFT_AS_IT_IS = re.compile(r"[a-z_]{1,30}|[ER]-\w+|\d{4}-\d\d-\d\d(T.*)?|")  # codes, references and times
_HER_OWN_HEADERS = re.compile(rb"(?im)^(?:delivered-to|to|in-reply-to|references):[^\n]*(?:\n[ \t][^\n]*)*\n")


@dataclass(slots=True)
class Canaries:
    """Invented words by the field that each stands in."""

    words: dict[str, str] = field(default_factory=dict)

    def word(self, name: str, *, ascii_only: bool = False) -> str:
        """Invent the word of a field."""
        drawn = draw_canary()
        self.words[name] = drawn.replace("ä", "q").replace("ö", "x") if ascii_only else drawn
        return self.words[name]

    def keep(self, name: str, text: str) -> str:
        """Take a text that stands nowhere else as it is, such as an identity code."""
        self.words[name] = text
        return text

    def planted(self, name: str, value: Json) -> Json:
        """Put a word into every text of a record's body."""
        if isinstance(value, dict):
            return {key: self.planted(f"{name}.{key}", inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.planted(f"{name}.{at}", inner) for at, inner in enumerate(value)]
        if isinstance(value, str) and not _LEFT_AS_IT_IS.fullmatch(value):
            return f"{value} {self.word(name)}"
        return value


@dataclass(slots=True, repr=False)
class Person:
    """A requester with a canary in every field.

    :param printed: what letters brought her: one-time codes and passphrases.
    """

    role: str
    patient: Patient
    name: str
    address: str


def make_person(canaries: Canaries, role: str, model: Patient, records: list[Record], keys: list[str]) -> Person:
    """Give a patient canaries for her name, street, town, mail, phone and number, and plant every record."""
    given, family = canaries.word(f"{role} given name"), canaries.word(f"{role} family name")
    local = canaries.word(f"{role} mail", ascii_only=True)
    domain = canaries.word(f"{role} mail domain", ascii_only=True)
    identity = {
        **model.identity.body,
        "given_names": given.capitalize(),
        "family_name": family.capitalize(),
        "customer_number": canaries.word(f"{role} customer number"),
    }
    contacts: dict[str, Json] = {
        "street": f"{canaries.word(f'{role} street')} 5",
        "postal_code": "00999",
        "city": canaries.word(f"{role} town"),
        "country": "FI",
        "email": f"{local}@{domain}.example",
        "phone": canaries.keep(f"{role} phone", f"+358 50 {len(canaries.words):03d} {os.urandom(2).hex()} 77"),
        "openpgp_keys": list[Json](keys),
    }
    canaries.keep(f"{role} code", model.code)
    canaries.keep(f"{role} birth date", str(identity["birth_date"]))
    patient = replace(
        model,
        identity=replace(model.identity, body=identity),
        contacts=replace(model.contacts, body=contacts),
        records=[_planted(canaries, role, at, model.subject, record) for at, record in enumerate(records)],
    )
    return Person(role, patient, patient.name, str(contacts["email"]))


def _planted(canaries: Canaries, role: str, at: int, subject: str, record: Record) -> Record:
    name = f"{role} {record.kind.value}"
    author = Author(*(canaries.word(f"{name} {part}") for part in ("author", "identifier", "title")))
    body = canaries.planted(name, dict(record.body))
    assert isinstance(body, dict)
    return replace(record, ref=f"R-CANARY{at}", subject=subject, author=author, body=body, corrects=None)


def every_kind(people: list[Patient]) -> list[Record]:
    """Return one record of each kind that is about care."""
    found: dict[RecordKind, Record] = {}
    for record in (record for person in people for record in person.records):
        found.setdefault(record.kind, record)
    assert {*found, RecordKind.IDENTITY, RecordKind.CONTACT_DETAILS} == set(RecordKind)
    return list(found.values())


class Road:
    """Drives an installation's steps, each in its own office, and plays everybody else."""

    def __init__(self, installation: Installation, outside: Path, canaries: Canaries) -> None:
        self.installation = installation
        self.canaries = canaries
        self.outside = outside
        self.drop = deliverer(installation)
        self.registrar = Staff("7", canaries.word("registrar's name"), frozenset({"registrar"}))
        self.clinician = Staff("8", canaries.word("clinician's name"), frozenset({"clinician"}))

    def run(self, *steps: str) -> None:
        for step in steps:
            office, act = STEPS[step]
            with self.installation.office(office) as parts:
                act(parts, 100)

    def cases(self) -> list[Case]:
        with self.installation.office("operator") as parts:
            return [row.case for row in board(parts)]

    def fresh(self, known: list[Case]) -> Case:
        refs = {case.ref for case in known}
        return next(case for case in self.cases() if case.ref not in refs)

    def receive(self, mail: bytes) -> str:
        before = self.cases()
        self.drop(mail)
        self.run("receive-mail")
        return self.fresh(before).ref

    def stage(self, ref: str) -> Stage:
        return next(case.stage for case in self.cases() if case.ref == ref)

    def print(self) -> dict[str, str]:
        """Print and post what lies ready; return each letter's first page."""
        folder = Path(private_directory("printer", parent=self.outside))
        with self.installation.office("print") as parts:
            letters = open_letters(parts, folder, 100)
            pages = {letter: first_page((folder / f"{letter}.pdf").read_bytes()) for letter in letters}
            mark_posted(parts, letters)
        return pages

    def release_all(self) -> None:
        """Decide about every draft, seal, post and deliver."""
        with self.installation.office("desk") as parts:
            for case in self.cases():
                if case.stage is Stage.DRAFTED:
                    draft = open_draft(parts, case.ref, Purpose.REVIEW, self.clinician)
                    rulings = [Ruling(document["id"], RELEASE) for document in draft.listing["documents"]]
                    decide(parts, self.clinician, case.ref, draft.row.digest, rulings)
        self.run("seal", "deliver")

    def format_of(self, ref: str) -> str:
        with self.installation.office("operator") as parts, parts.database.connect() as connection:
            package = package_of(connection, ref)
        return package.format if package else ""


def by_bound_key(road: Road, person: Person, home: PgpHome) -> str:
    """Ask by encrypted mail with an attachment and canaries in every header."""
    word = road.canaries.word
    plain = word("message id", ascii_only=True)
    letter = Letter(
        person.name,
        person.address,
        ADDRESS,
        request_text(LANGUAGE, person.name, person.patient.code) + f"\n{word('request text')}\n",
        subject=f"Pyyntö {word('subject')}",
        files=(File(f"{word('file name')}.txt", "text/plain", f"Liite {word('attachment')}".encode()),),
        message_id=f"<{plain}@requester.example>",
        attach_key=True,
    )
    mail = pgp_mime_mail(letter, home, export_public(road.installation.settings().openpgp))
    mail = f"X-Mailer: {word('header', ascii_only=True)}\r\n".encode() + mail
    ref = road.receive(mail)
    road.run("identify", "collect")
    assert road.stage(ref) is Stage.DRAFTED
    return ref


def by_code(road: Road, person: Person) -> str:
    """Ask by plain mail, get a code by post, mail it back."""
    word = road.canaries.word
    text = request_text(LANGUAGE, person.name, person.patient.code) + f"\nLisätieto: {word('plain text')}\n"
    ref = road.receive(plain_mail(Letter(person.name, person.address, ADDRESS, text)))
    road.run("identify")
    found = _CODE.search(road.print()[f"{ref}-code"])
    assert found
    code = road.canaries.keep("one-time code", found.group())
    road.canaries.keep("one-time code, joined", code.replace("-", ""))
    answer = code_text(LANGUAGE, person.name, ref, code) + f"\n{word('reply text')}\n"
    road.drop(plain_mail(Letter(person.name, person.address, ADDRESS, answer)))
    road.run("receive-mail", "identify", "collect")
    assert road.stage(ref) is Stage.DRAFTED
    return ref


def by_form(road: Road, person: Person) -> str:
    """Ask by a form that was filled on a screen; a registrar corrects it and decides on evidence."""
    word = road.canaries.word
    contacts = person.patient.contacts.body
    values: dict[str, Any] = {
        "name": f"{word('form name')} {person.name}",
        "code": person.patient.code,
        "street": str(contacts["street"]),
        "postal_code": str(contacts["postal_code"]),
        "city": str(contacts["city"]),
        "email": person.address,
        "phone": str(contacts["phone"]),
        "details": word("form details"),
        "kinds": ("inspection",),
        "answer_by": ("paper",),
        "language": (LANGUAGE,),
        "for_whom": ("self",),
    }
    before = road.cases()
    sheet = road.installation.settings().scans.folder / f"{word('scan file name', ascii_only=True)}.pdf"
    sheet.write_bytes(fill_form(values, LANGUAGE))
    road.run("receive-post", "identify")
    ref = road.fresh(before).ref
    assert road.stage(ref) is Stage.CHECKING
    with road.installation.office("desk") as parts:
        particulars = check.open_particulars(parts, road.registrar, ref)[1]
        assert road.canaries.words["form name"] in particulars["request"]["name"]
        changes = {"name": person.name, "address": word("corrected address"), "text": word("corrected text")}
        check.correct(parts, road.registrar, ref, changes)
    road.run("identify")
    with road.installation.office("desk") as parts:
        check.prove_identity(parts, road.registrar, ref, "document_seen_in_person", f"Seen: {word('evidence note')}")
    road.run("collect")
    assert road.stage(ref) is Stage.DRAFTED
    return ref


def by_stranger(road: Road) -> None:
    """A stranger is asked a question, answers and calls it off; two mails can't be read."""
    word = road.canaries.word
    name, address = word("stranger's name").capitalize(), f"{word('stranger mail', ascii_only=True)}@requester.example"
    ref = road.receive(plain_mail(Letter(name, address, ADDRESS, request_text(LANGUAGE, name, None))))
    road.run("identify")
    with road.installation.office("desk") as parts:
        check.ask(parts, road.registrar, ref, f"Kuka olet? {word('question')}")
        resend(parts)
    road.drop(plain_mail(Letter(name, address, ADDRESS, f"{ref}: {word('answer to the question')}")))
    road.run("receive-mail", "identify")
    with road.installation.office("desk") as parts:
        check.close_as(parts, road.registrar, ref, Event.CALLED_OFF, f"Sanoi: {word('closing reason')}")
    garbage = f"-----BEGIN PGP MESSAGE-----\n\n{word('broken message', ascii_only=True)}\n-----END PGP MESSAGE-----\n"
    road.receive(plain_mail(Letter(name, address, ADDRESS, garbage, subject=word("broken subject"))))
    scans = road.installation.settings().scans.folder
    (scans / f"{word('broken file name')}.pdf").write_bytes(f"%PDF-1.4 {word('broken file')}".encode())
    road.run("receive-post")


def broken_glass(road: Road, ref: str) -> None:
    """Open a case for a reason, and review that."""
    reason = f"Kirjeessä uhataan lasta, {road.canaries.word('reason of an emergency')} soittaa poliisille"
    officer = Staff("9", road.canaries.word("officer's name"), frozenset({"dpo"}))
    with road.installation.office("desk") as parts:
        opened = break_glass(parts, road.clinician, ref, reason)
        check.open_particulars(parts, road.clinician, ref)
        review_emergency(parts, officer, opened.ref, "not_justified", road.canaries.word("words of a review"))


def emergency(road: Road, person: Person) -> None:
    """Look in an emergency, which the log keeps with its reason."""
    with road.installation.office("desk") as parts:
        look = Access(
            at=parts.now(),
            actor="staff:8",
            actor_name=road.canaries.word("actor's name"),
            role="clinician",
            purpose=Purpose.REVIEW,
            legal_ground=road.canaries.word("legal ground"),
            case=None,
            subject=person.patient.subject,
            kinds=("session_entry",),
            emergency=road.canaries.word("emergency reason"),
        )
        parts.log.record([look])


@contextmanager
def spoken(folder: Path) -> Iterator[Path]:
    """Keep what this process and its children say: standard output, standard error, every log record."""
    folder.mkdir()
    said = folder / "said"
    kept = [os.dup(1), os.dup(2)]
    handler = logging.FileHandler(folder / "log")
    root = logging.getLogger()
    level = root.level
    with said.open("wb") as target:
        for stream in (1, 2):
            os.dup2(target.fileno(), stream)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield folder
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        for stream, old in zip((1, 2), kept, strict=True):
            os.dup2(old, stream)
            os.close(old)


def outgoing(sink: SmtpSink) -> Iterator[Place]:
    """Read outgoing mail as its way shows it.

    The requester's own address stands in it, and the ids of her own messages, by which her mail
    program sorts the answer: those header lines, and only those, are left out. The attached
    packages are searched as they are; nothing is opened.
    """
    for raw in sink.messages():
        head, middle, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
        message = email.message_from_bytes(raw, policy=email.policy.default)
        kind = str(message["Message-ID"]).partition("@")[0].strip("<")
        yield f"outgoing {kind}", _HER_OWN_HEADERS.sub(b"", head + b"\n") + middle + body


@dataclass(slots=True)
class Run:
    """A finished run and what was found in it."""

    installation: Installation
    formats: set[str]
    stages: dict[str, Stage]
    findings: list[Finding]
    mailbox: int
    scans: list[Path]
    canaries: Canaries
    controls: dict[str, str]
    seconds: float


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    began = time.time()
    outside, home = private_directory("dsrq-"), private_directory("dsr-leak-")
    home.chmod(0o711)  # servers keep their data in it, in memory
    installation = start(home, stand_ins=False)  # durable: the object store writes to files, too
    canaries = Canaries()
    key = make_pgp_home(outside / "q", "Somebody", "somebody@requester.example")
    try:
        with spoken(tmp_path_factory.mktemp("run") / "said") as said:
            road = Road(installation, outside, canaries)
            formats = _whole_road(road, key)
            controls = _plant_controls(road)
        findings = _look_everywhere(road, said, began, controls)
        yield Run(
            installation,
            formats,
            {case.ref: case.stage for case in road.cases()},
            findings,
            open_mailbox(installation.settings().mailbox).count(),
            list(installation.settings().scans.folder.iterdir()),
            canaries,
            controls,
            time.time() - began,
        )
    finally:
        key.close()
        destroy(home)
        shutil.rmtree(outside)


def _whole_road(road: Road, key: PgpHome) -> set[str]:
    people = list(patients(4, 12))
    records = every_kind(people)
    keyed = make_person(road.canaries, "bound", people[0], records, [key.public_key()])
    coded = make_person(road.canaries, "code", people[1], records[:2], [])
    formed = make_person(road.canaries, "form", people[2], records[2:4], [])
    with road.installation.office("registry") as parts:
        assert parts.register is not None
        for person in (keyed, coded, formed):
            parts.register.add_subject(person.patient.code, person.patient.identity, person.patient.contacts)
            parts.register.write(person.patient.records)
    refs = [by_bound_key(road, keyed, key), by_code(road, coded), by_form(road, formed)]
    by_stranger(road)
    emergency(road, keyed)
    broken_glass(road, refs[1])
    road.release_all()
    words = _PASSPHRASE.search(road.print()[f"{refs[1]}-passphrase"])
    assert words
    road.canaries.keep("passphrase", words.group())
    road.run("deliver", "remind", "keep", "publish-log")
    assert {road.stage(ref) for ref in refs} == {Stage.ANSWERED}
    return {road.format_of(ref) for ref in refs}


def _plant_controls(road: Road) -> dict[str, str]:
    """Leave a word of its own in each kind of place; what the search can't find there it would never have found."""
    home, settings = road.installation.home, road.installation.settings()
    words = {name: draw_canary() for name in CONTROLS}
    with psycopg.connect(postgres.start(home / "postgres").dsn(settings.database)) as connection:
        connection.execute("create table control (words text, bytes bytea)")
        connection.execute("insert into control values (%s, %s)", (words["database"], words["bytea"].encode()))
    store = Objects(settings.objects)
    store.put("control", words["bucket"].encode())
    store.put_locked("control", words["log bucket"].encode())
    dovecot.start(home / "mailbox").deliver(b"Subject: x\r\n\r\n" + words["mailbox"].encode() + b"\r\n")
    (settings.scans.folder / "control").write_text(words["scans"], encoding="utf-8")
    for name, part in {"key audit": "keys", "server log": "postgres"}.items():
        (home / part / "control.log").write_text(words[name], encoding="utf-8")
    (home / "smtp" / "mail" / "new" / "9").write_bytes(b"To: x\n\n" + words["outgoing"].encode())
    for at, folder in enumerate(atrest.TEMPORARY):
        (folder / f"dsr-control-{os.getpid()}").write_text(words[f"temporary {at}"], encoding="utf-8")
    os.write(1, words["standard output"].encode())
    os.write(2, words["standard error"].encode())
    logging.getLogger("control").info(words["log record"])
    return words


CONTROLS = {
    "database": {"pg_dump dsr_vault plain", "pg_dump dsr_vault custom", "/base/", "/pg_wal/"},
    "bytea": {"pg_dump dsr_vault plain", "pg_dump dsr_vault custom", "/base/", "/pg_wal/"},
    "bucket": {"bucket control", "/osd/block"},
    "log bucket": {"log bucket control", "/osd/block"},
    "mailbox": {"/mail/inbox/new/"},
    "scans": {"/scans/control"},
    "key audit": {"/keys/control.log"},
    "server log": {"/postgres/control.log"},
    "outgoing": {"outgoing "},
    **{f"temporary {at}": {f"{folder}/dsr-control"} for at, folder in enumerate(atrest.TEMPORARY)},
    "standard output": {"/said"},
    "standard error": {"/said"},
    "log record": {"/log"},
}


def _look_everywhere(road: Road, said: Path, began: float, controls: dict[str, str]) -> list[Finding]:
    sink = road.installation.sink()
    sought = {**road.canaries.words, **{f"control {name}": text for name, text in controls.items()}}
    skip = [road.outside, sink.folder]  # requesters' own homes; outgoing mail is looked at below
    try:
        found = search(atrest.everything(road.installation, began, skip=skip), sought)
        found += search(atrest.files(said), sought)
    finally:
        for folder in atrest.TEMPORARY:
            (folder / f"dsr-control-{os.getpid()}").unlink()
    for place in outgoing(sink):
        # a registrar's question goes to the requester in the mail that asks it, and in no other
        asked = place[0].endswith(("-question", "-reminder")) or "-question-" in place[0]
        words = {name: text for name, text in sought.items() if not (asked and name == "question")}
        found += search([place], words)
    return found


def test_run_took_every_road(run: Run) -> None:
    assert run.formats == {"openpgp", "pdf", "paper"}
    assert sorted(run.stages.values()).count(Stage.ANSWERED) == 3
    assert len(run.canaries.words) > 100


def test_nothing_personal_is_at_rest(run: Run) -> None:
    found = [finding for finding in run.findings if not finding.canary.startswith("control ")]
    assert found == []


@pytest.mark.parametrize("name", CONTROLS)
def test_control_is_found_in_each_of_its_places(run: Run, name: str) -> None:
    places = {finding.place for finding in run.findings if finding.canary == f"control {name}"}
    for place in CONTROLS[name]:
        assert any(place in found for found in places), (place, places)


def test_door_is_empty(run: Run) -> None:
    assert run.mailbox == 1  # the control
    assert [path.name for path in run.scans] == ["control"]
