"""Synthetic patients for tests and the demo: the same seed gives the same register, and nobody in it is real.

The first ten patients have every kind of record between them. Patients 4, 54, 104 and 154 have more
than 300 session entries each, several hundred kilobytes; patients 20 and 21 have personal
identity codes that differ in the century sign alone, and are two persons.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import count as numbers
from typing import Final

from vault.domain.hetu import spell
from vault.domain.private import Private
from vault.domain.records import Json, Record, RecordKind
from vault.testing.synthetic.chart import Chart, at_hour, draw_reference
from vault.testing.synthetic.dice import Dice
from vault.testing.synthetic.letters import write_office_papers
from vault.testing.synthetic.papers import write_care_papers
from vault.testing.synthetic.people import OFFICE, THERAPISTS, Person, draw_person
from vault.testing.synthetic.prose import Prose, stock
from vault.testing.synthetic.sessions import write_invoices, write_sessions

UNTIL: Final = date(2026, 10, 30)  # the register as it stood on this day
_LANGUAGES: Final = (
    *("fi", "fi", "sv", "fi", "fi", "fi", "en", "fi", "sv", "fi"),
    *("fi", "fi", "sv", "fi", "fi", "fi", "sv", "fi", "fi", "fi"),
)
_FULL: Final = (0, 9)  # an adult and a minor with everything
_MINOR_THEMES: Final = ("anxiety", "panic", "adjustment", "social", "insomnia")
_TWINS_BORN: Final = date(1994, 5, 1)
_TWINS: Final = {20: spell(_TWINS_BORN, 903, "-"), 21: spell(_TWINS_BORN, 903, "Y")}


@dataclass(frozen=True, slots=True)
class Patient(Private, shows=("subject",)):
    """One invented patient; the representation shows her reference only.

    :param index: her place in the register, from 0.
    :param code: the personal identity code, all 11 characters.
    :param language: ``fi``, ``sv`` or ``en``.
    :param records: everything but identity and contact details, oldest first.
    """

    index: int
    identity: Record
    contacts: Record
    records: list[Record]
    code: str
    language: str

    @property
    def subject(self) -> str:
        """The subject's reference."""
        return self.identity.subject

    @property
    def name(self) -> str:
        """Given names and family name."""
        return f"{self.identity.body['given_names']} {self.identity.body['family_name']}"


def patients(
    seed: int, count: int = 200, *, bound_keys: Mapping[int, Sequence[str]] | None = None, until: date = UNTIL
) -> Iterator[Patient]:
    """Invent patients; a shorter register is the beginning of a longer one.

    :param bound_keys: armoured OpenPGP public keys by the patient's place, as bound after an earlier proof.
    :param until: the day on which the register is looked at; no entry is later.
    """
    codes = set(_TWINS.values())
    for index in range(count):
        person = _twin(seed, index) if index in _TWINS else _unused(seed, index, codes)
        codes.add(person.code)
        yield _patient(seed, index, person, list((bound_keys or {}).get(index, ())), until)


def _unused(seed: int, index: int, codes: set[str]) -> Person:
    drawn = (_person(seed, index, attempt) for attempt in numbers())
    return next(person for person in drawn if person.code not in codes)


def _person(seed: int, index: int, attempt: int) -> Person:
    language = _LANGUAGES[index % len(_LANGUAGES)]
    return draw_person(Dice(seed, index, "person", attempt), language, index, minor=_is_minor(index))


def _twin(seed: int, index: int) -> Person:
    return replace(_person(seed, index, 0), birth_date=_TWINS_BORN, code=_TWINS[index])


def _is_minor(index: int) -> bool:
    return index % 25 == _FULL[1]


def _patient(seed: int, index: int, person: Person, keys: list[str], until: date) -> Patient:
    dice = Dice(seed, index, "chart")
    subject, minor = draw_reference(dice, "P"), _is_minor(index)
    sessions, twice = _amount(index, dice)
    weeks = sessions * 10 // (17 if twice else 9) + 6  # holidays and missed visits included
    themes = stock(person.language)["themes"]
    chart = Chart(
        subject=subject,
        person=person,
        minor=minor,
        therapist=dice.pick(THERAPISTS[person.language]),
        theme=themes[dice.pick(_MINOR_THEMES if minor else tuple(themes))],
        start=_monday_before(until - timedelta(weeks=weeks, days=dice.below(250))) + timedelta(days=dice.below(2)),
        until=until,
        sessions=sessions,
        twice_a_week=twice,
        dice=dice,
        prose=Prose(person.language, dice, minor=minor),
        full=index in _FULL,
        service_event=draw_reference(dice, "E"),
    )
    entries = write_sessions(chart)
    write_invoices(chart)
    write_care_papers(chart, entries)
    write_office_papers(chart)
    records = sorted(chart.records, key=lambda record: (record.at, record.ref))
    identity, contacts = _identity(chart, index), _contacts(chart, keys)
    return Patient(index, identity, contacts, records, person.code, person.language)


def _monday_before(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _amount(index: int, dice: Dice) -> tuple[int, bool]:
    match index % 50:
        case 4:
            return dice.between(305, 340), True
        case 29:
            return dice.between(120, 160), False
    return dice.between(3, 45), False


def _identity(chart: Chart, index: int) -> Record:
    person = chart.person
    body: dict[str, Json] = {
        "given_names": person.given_names,
        "family_name": person.family_name,
        "personal_identity_code": person.code,
        "customer_number": f"K-{10000 + index}",
        "birth_date": person.birth_date.isoformat(),
        "language": person.language,
    }
    ref = draw_reference(chart.dice, "R")
    return Record(ref, chart.subject, RecordKind.IDENTITY, at_hour(chart.start, 9), OFFICE, body)


def _contacts(chart: Chart, keys: list[str]) -> Record:
    person = chart.person
    body: dict[str, Json] = {
        "street": person.street,
        "postal_code": person.postal_code,
        "city": person.city,
        "country": "FI",
        "email": person.email,
        "phone": person.phone,
        "openpgp_keys": list[Json](keys),
    }
    ref = draw_reference(chart.dice, "R")
    return Record(ref, chart.subject, RecordKind.CONTACT_DETAILS, at_hour(chart.start, 9), OFFICE, body)
