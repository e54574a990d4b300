"""Honey records: an invented patient is marked, so that whoever looks at her rings; the mark names nobody."""

from vault.accesslog.entries import SUBJECT
from vault.accesslog.honey import make_marks
from vault.errors import RefusedError
from vault.steps.parts import Parts
from vault.storage.honey import add_honey, honey_marks, remove_honey, subject_refs

_AT_ONCE = 5_000  # subjects whose marks are made together


def add(parts: Parts, subject: str) -> bool:
    """Mark a subject of the register; False when she is marked already.

    Whether another system's register has her, only that system knows: there any reference is marked.

    :raises RefusedError: our own register has no such subject, or the reference is none.
    """
    mark = _mark(parts, subject)
    with parts.database.connect() as connection:
        if parts.settings.register.kind == "own" and subject not in subject_refs(connection):
            raise RefusedError("subject_unknown", "the register has no such subject; add the invented patient first")
    with parts.database.connect() as connection:
        return add_honey(connection, mark, parts.now(), parts.actor)


def remove(parts: Parts, subject: str) -> bool:
    """Take a subject's mark away; False when she has none.

    :raises RefusedError: the reference is none.
    """
    mark = _mark(parts, subject)
    with parts.database.connect() as connection:
        return remove_honey(connection, mark)


def _mark(parts: Parts, subject: str) -> bytes:
    if not SUBJECT.fullmatch(subject):
        raise RefusedError("subject_unknown", "write the subject's reference as the register spells it")
    return make_marks(parts.service, [subject])[subject]


def marked(parts: Parts) -> tuple[list[str], int]:
    """Return the marked subjects of our own register, and how many marks fit none of them.

    Only marks are stored, so every subject's mark is made anew and compared.
    """
    with parts.database.connect() as connection:
        known, refs = honey_marks(connection), subject_refs(connection)
    found: list[str] = []
    for start in range(0, len(refs) if known else 0, _AT_ONCE):
        marks = make_marks(parts.service, refs[start : start + _AT_ONCE])
        found += [subject for subject, mark in marks.items() if mark in known]
    return sorted(found), len(known) - len(found)
