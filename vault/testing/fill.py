"""Fills a register with patients, one at a time; filling again changes nothing."""

from collections.abc import Callable, Iterable

from vault.register.port import Register
from vault.testing.patients import Patient


def fill(register: Register, people: Iterable[Patient], progress: Callable[[int], None] | None = None) -> list[Patient]:
    """Add each patient with her records; return the patients.

    :param progress: called after each patient with how many stand in the register so far.
    :raises ConflictError: a reference or personal identity code belongs to another subject already.
    """
    done: list[Patient] = []
    for patient in people:
        register.add_subject(patient.code, patient.identity, patient.contacts)
        register.write(patient.records)
        done.append(patient)
        if progress:
            progress(len(done))
    return done
