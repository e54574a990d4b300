"""Who asks in a bench run: as many patients as cases, a few keys bound to all of them, and a real mail from each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vault.domain.request import RequestKind
from vault.steps.parts import Parts
from vault.testing.controller import ADDRESS, export_public
from vault.testing.fill import fill
from vault.testing.installation import Installation
from vault.testing.mailkeys import PgpHome, make_pgp_home
from vault.testing.mails import Letter, pgp_mime_mail
from vault.testing.mailtexts import request_text
from vault.testing.patients import Patient, patients
from vault.testing.scans import as_pdf, scanned_form

SEED = 7
_KEYS = 4  # a key takes gpg longer to make than a case takes altogether
_DPI = 300


@dataclass(frozen=True, slots=True, repr=False)
class Crowd:
    """The requesters.

    :param people: the register's patients, one a case.
    :param homes: the gpg homes whose keys the register binds, in turn.
    """

    people: Sequence[Patient]
    homes: Sequence[PgpHome]

    def close(self) -> None:
        """End the requesters' gpg agents."""
        for home in self.homes:
            home.close()


def gather(installation: Installation, count: int) -> Crowd:
    """Make keys and patients, and fill the register."""
    homes = [make_pgp_home(installation.nest / f"b{n}", f"key {n}", f"key{n}@requester.example") for n in range(_KEYS)]
    keys = [home.public_key() for home in homes]
    people = list(patients(SEED, count, bound_keys={place: [keys[place % _KEYS]] for place in range(count)}))
    with installation.office("registry") as parts:
        _fill(parts, people)
    return Crowd(people, homes)


def _fill(parts: Parts, people: Sequence[Patient]) -> None:
    if parts.register is not None:
        fill(parts.register, people)


def mails(installation: Installation, crowd: Crowd) -> list[bytes]:
    """Write each patient's request, signed with her bound key and encrypted to the controller's by gpg."""
    ours = export_public(installation.settings().openpgp)
    return [_mail(patient, crowd.homes[place % _KEYS], ours) for place, patient in enumerate(crowd.people)]


def _mail(patient: Patient, home: PgpHome, ours: str) -> bytes:
    kinds = (RequestKind.INSPECTION, RequestKind.LOG)
    text = request_text(patient.language, patient.name, patient.code, kinds)
    email = f"requester-{patient.index}@requester.example"
    return pgp_mime_mail(Letter(patient.name, email, ADDRESS, text, language=patient.language), home, ours)


def sheets(people: Sequence[Patient]) -> list[bytes]:
    """Fill, print and scan a form for each."""
    return [as_pdf([scanned_form(_fields(p), p.language, dpi=_DPI, seed=p.index)], _DPI) for p in people]


def _fields(patient: Patient) -> dict[str, Any]:
    contacts = patient.contacts.body
    return {
        "name": patient.name,
        "code": patient.code,
        **{name: str(contacts[name]) for name in ("street", "postal_code", "city")},
        "kinds": ("inspection", "log"),
        "answer_by": ("paper",),
        "language": (patient.language,),
        "for_whom": ("self",),
        "date": "20.11.2026",
    }
