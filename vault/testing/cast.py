"""The requesters of the demo and the whole-road tests: invented people with keys of their own, and what they send."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from vault.domain.hetu import spell
from vault.domain.private import Private
from vault.domain.request import RequestKind
from vault.testing import dovecot
from vault.testing.controller import ADDRESS, export_public
from vault.testing.installation import Installation
from vault.testing.mailkeys import PgpHome, make_pgp_home, make_smime_identity
from vault.testing.mails import File, Letter, pgp_inline_mail, pgp_mime_mail, plain_mail, smime_mail
from vault.testing.mailtexts import code_text, request_text, small_talk
from vault.testing.patients import Patient, patients
from vault.testing.scans import as_pdf, as_tiff, scanned_form, unreadable_sheet

SEED = 1
COUNT = 200
# role -> place in the register; the first three keys are bound there
BOUND = {"bound": 0, "bound_sv": 2, "bound_en": 6}
UNBOUND = {"code": 1, "inline": 3, "asked": 5}
SMIME, PAPER, SCANNED = 7, 10, 11
_UNKNOWN = "somebody"
Deliver = Callable[[bytes], None]


@dataclass(slots=True)
class Cast(Private):
    """Who takes part.

    :param homes: each mail requester's gpg home, by role.
    :param people: the register's patients.
    """

    installation: Installation
    homes: dict[str, PgpHome] = field(default_factory=dict)
    people: list[Patient] = field(default_factory=list)

    def patient(self, role: str) -> Patient:
        """Return the patient that plays a role."""
        places = {**BOUND, **UNBOUND, "smime": SMIME, "paper": PAPER, "scanned": SCANNED}
        return self.people[places[role]]

    def role_of(self, name: str) -> str | None:
        """Return the role of the person with this name, or None."""
        roles = (*BOUND, *UNBOUND, "smime", "paper", "scanned")
        return next((role for role in roles if self.patient(role).name == name), None)

    def letter(self, role: str, text: str, **more: object) -> Letter:
        """Write a letter in a role's name."""
        patient = self.patient(role)
        return Letter(
            patient.name,
            f"{role.replace('_', '-')}@requester.example",
            ADDRESS,
            text,
            language=patient.language,
            attach_key=role in self.homes,
            **more,  # type: ignore[arg-type]  # fields of Letter
        )

    def close(self) -> None:
        """End the requesters' gpg agents."""
        for home in self.homes.values():
            home.close()


def make_cast(installation: Installation, count: int = COUNT) -> Cast:
    """Make the requesters' keys and the patients; three keys are bound on the register from the start."""
    cast = Cast(installation)
    for number, role in enumerate((*BOUND, *UNBOUND)):
        email = f"{role.replace('_', '-')}@requester.example"
        cast.homes[role] = make_pgp_home(installation.nest / f"q{number}", role, email)
    bound = {place: [cast.homes[role].public_key()] for role, place in BOUND.items()}
    cast.people = list(patients(SEED, count, bound_keys=bound))
    return cast


def deliverer(installation: Installation) -> Deliver:
    """Return what drops a mail into the installation's mailbox, as a mail server would."""
    mailbox = installation.settings().mailbox
    if mailbox.kind == "imap":
        return dovecot.start(installation.home / "mailbox").deliver
    folder = mailbox.path or Path()

    def drop(raw: bytes) -> None:
        part = folder / "tmp" / f"{time.time_ns()}.demo"  # never twice: a name is what a message is recognised by
        part.write_bytes(raw)
        part.rename(folder / "new" / part.name)

    return drop


def requests(cast: Cast) -> dict[str, bytes]:
    """Write every first mail, by role; the exceptions have roles of their own."""
    settings = cast.installation.settings()
    ours = export_public(settings.openpgp)
    photo = File("lahete.txt", "text/plain", "Liitän kopion lähetteestäni.\n".encode())
    mails = {
        "bound": pgp_mime_mail(cast.letter("bound", _ask(cast, "bound"), files=(photo,)), cast.homes["bound"], ours),
        "inline": pgp_inline_mail(cast.letter("inline", _ask(cast, "inline")), cast.homes["inline"], ours),
    }
    for role in ("bound_sv", "bound_en", "code", "asked"):
        mails[role] = pgp_mime_mail(cast.letter(role, _ask(cast, role)), cast.homes[role], ours)
    mails["smime"] = _smime(cast)
    mails["undecryptable"] = _for_somebody_else(cast)
    mails["unknown"] = plain_mail(_stranger(request_text("fi", "Tuntematon Kysyjä", _free_code(cast))))
    mails["duplicate"] = mails["bound_sv"]
    mails["no_request"] = plain_mail(_stranger(small_talk("fi", "Utelias Asiakas"), "Kysymys"))
    return mails


def _ask(cast: Cast, role: str) -> str:
    patient = cast.patient(role)
    return request_text(patient.language, patient.name, patient.code, (RequestKind.INSPECTION, RequestKind.LOG))


def _stranger(text: str, subject: str | None = None) -> Letter:
    return Letter("Somebody", f"{_UNKNOWN}@requester.example", ADDRESS, text, subject=subject)


def _smime(cast: Cast) -> bytes:
    folder = cast.installation.nest / "qs"
    signer = make_smime_identity(folder, "smime", "smime@requester.example")
    certificate = cast.installation.settings().smime.certificate_file
    return smime_mail(cast.letter("smime", _ask(cast, "smime")), certificate, signer)


def _for_somebody_else(cast: Cast) -> bytes:
    """Encrypt to a key that is not ours, as happens when an old key is used."""
    home = cast.homes["bound_en"]
    stranger = cast.homes["code"].public_key()
    return pgp_mime_mail(_stranger("Pyydän tietoni."), home, stranger)


def _free_code(cast: Cast) -> str:
    """Spell an artificial identity code that nobody on the register has."""
    taken = {patient.code for patient in cast.people}
    return next(code for n in range(990, 999) if (code := spell(date(1980, 2, 29), n)) not in taken)


def code_reply(cast: Cast, role: str, case_ref: str, code: str) -> bytes:
    """Mail a one-time code back, encrypted and signed where the person has a key."""
    patient = cast.patient(role)
    letter = cast.letter(role, code_text(patient.language, patient.name, case_ref, code))
    if role not in cast.homes:
        return plain_mail(letter)
    return pgp_mime_mail(letter, cast.homes[role], export_public(cast.installation.settings().openpgp))


def scans(cast: Cast) -> dict[str, bytes]:
    """Scan two filled forms askew and with noise, and one sheet that nobody can read; by file name."""
    paper = scanned_form(_fields(cast, "paper", "paper"), cast.patient("paper").language, seed=3)
    mailed = scanned_form(_fields(cast, "scanned", "mail"), cast.patient("scanned").language, seed=5)
    return {
        "scan-0001.pdf": as_pdf([paper], 300),
        "scan-0002.tif": as_tiff([mailed], 300),
        "scan-0003.pdf": as_pdf([unreadable_sheet(200, 7)], 200),
    }


def _fields(cast: Cast, role: str, answer_by: str) -> dict[str, str | tuple[str, ...]]:
    patient = cast.patient(role)
    contacts = patient.contacts.body
    return {
        "name": patient.name,
        "code": patient.code,
        "street": str(contacts["street"]),
        "postal_code": str(contacts["postal_code"]),
        "city": str(contacts["city"]),
        **({"email": f"{role}@requester.example"} if answer_by == "mail" else {}),
        "kinds": ("inspection", "log"),
        "answer_by": (answer_by,),
        "language": (patient.language,),
        "for_whom": ("self",),
        "date": "20.11.2026",
    }


def drop_scans(cast: Cast, sheets: dict[str, bytes] | None = None) -> None:
    """Put sheets into the scan folder, each in one step; all of the cast's when none are given."""
    folder = cast.installation.settings().scans.folder
    for name, data in (sheets or scans(cast)).items():
        part = cast.installation.home / name
        part.write_bytes(data)
        part.replace(folder / name)
