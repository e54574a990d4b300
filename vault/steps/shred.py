"""Shred: a subject's record key is destroyed for good, and with it her care; custody of who she is, and the log, stay.

The look into the register that this is stands in the access log before anything is destroyed.
Killed anywhere, the same call again finishes it.
"""

from vault.accesslog.entries import Access
from vault.domain.records import CARE_KINDS, IDENTITY_KINDS
from vault.domain.roles import Purpose
from vault.errors import RefusedError
from vault.steps.parts import Parts
from vault.storage.custody import erase_records, is_subject

_GROUND = "GDPR Article 5(1)(e); Act 703/2023, annex: destroy when the term ends"


def shred(parts: Parts, subject: str) -> dict[str, int]:
    """Destroy a subject's record key at the key service, then its wrapped rows and the care records.

    From the first moment on nothing opens the care, not even with a database from a backup
    (:meth:`vault.crypto.keyservice.KeyService.destroy`). The subject, her identity and contacts stay,
    and so do the entries of the access log for their 12 years.

    :param subject: the register's reference.
    :returns: how many wrapped ``keys`` and ``records`` were removed; none the second time.
    :raises RefusedError: the register has no such subject.
    :raises OutOfReachError: log, key service or database did not answer; do it again.
    """
    with parts.database.connect() as connection:
        if not is_subject(connection, subject):
            raise RefusedError("subject_unknown", "the register has no such subject; give its reference")
    parts.log.record([_access(parts, subject)])
    parts.service.destroy("record", subject)
    with parts.database.connect() as connection:
        keys, records = erase_records(connection, subject, sorted(kind.value for kind in IDENTITY_KINDS))
    return {"keys": keys, "records": records}


def _access(parts: Parts, subject: str) -> Access:
    return Access(
        at=parts.now(),
        actor=parts.actor,
        actor_name=parts.actor,
        role=parts.office.value,
        purpose=Purpose.REGISTER_KEEPING,
        legal_ground=_GROUND,
        case=None,
        subject=subject,
        kinds=tuple(sorted(kind.value for kind in CARE_KINDS)),
        count=len(CARE_KINDS),
    )
