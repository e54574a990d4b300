"""Entries as a reader meets them: the entry that stands, and below it what it corrects, in full."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vault.domain.private import Private
from vault.domain.records import Record
from vault.package.labels import plain, shown_fields
from vault.package.language import fill, moment, part, sentence
from vault.package.typesetting import Shown


@dataclass(frozen=True, slots=True)
class Entry(Private):
    """The record that stands now, and the ones that it corrects, newest first."""

    current: Record
    earlier: tuple[Record, ...] = ()

    @property
    def first(self) -> Record:
        """The record that was written first; its time is the entry's place in the document."""
        return self.earlier[-1] if self.earlier else self.current


def entries_of(records: Sequence[Record]) -> list[Entry]:
    """Gather records into entries, oldest entry first.

    A record that several others correct stands below each of them; a ring of corrections, which no
    honest register makes, is shown as entries side by side. No record is left out.
    """
    by_ref = {record.ref: record for record in records}
    corrected = {record.corrects for record in records if record.corrects in by_ref and record.corrects != record.ref}
    tops = [record for record in records if record.ref not in corrected]
    entries = [Entry(top, _chain(top, by_ref)) for top in tops]
    told = {record.ref for entry in entries for record in (entry.current, *entry.earlier)}
    entries += [Entry(record) for record in records if record.ref not in told]
    return sorted(entries, key=lambda entry: (entry.first.at, entry.first.ref, entry.current.ref))


def _chain(top: Record, by_ref: Mapping[str, Record]) -> tuple[Record, ...]:
    chain: list[Record] = []
    seen = {top.ref}
    below = top.corrects
    while below is not None and below in by_ref and below not in seen:
        seen.add(below)
        chain.append(by_ref[below])
        below = by_ref[below].corrects
    return tuple(chain)


def shown_entry(entry: Entry, language: str) -> Shown:
    """Show an entry as the template of documents wants it."""
    newer = (entry.current, *entry.earlier)
    return {
        "heading": _heading(entry.current, language),
        "meta": _meta(entry.current, language),
        "notes": _notes(entry, language),
        "fields": _fields(entry.current, language),
        "earlier": [_earlier(record, by, language) for record, by in zip(entry.earlier, newer, strict=False)],
    }


def _earlier(record: Record, corrected_by: Record, language: str) -> Shown:
    told = {"at": moment(record.at, language), "corrected_at": moment(corrected_by.at, language)}
    return {
        "heading": fill(sentence("labels", language, "words", "original"), told),
        "meta": _meta(record, language),
        "fields": _fields(record, language),
    }


def _notes(entry: Entry, language: str) -> list[Shown]:
    words = part("labels", language, "words")
    notes: list[Shown] = [words["corrected"]] if entry.earlier else []
    if entry.first.corrects is not None:
        notes.append(fill(words["corrects_elsewhere"], {"ref": entry.first.corrects}))
    return notes


def _heading(record: Record, language: str) -> str:
    kind = sentence("labels", language, "kinds", record.kind.value)
    starts = record.body.get("starts_at")
    when = plain(record.kind, "starts_at", starts, language) if isinstance(starts, str) else moment(record.at, language)
    return f"{kind} · {when}"


def _meta(record: Record, language: str) -> list[Shown]:
    words = part("labels", language, "words")
    author = record.author
    return [
        f"{words['written_by']}: {author.name}, {author.title} ({author.identifier})",
        f"{words['written_at']}: {moment(record.at, language)} · {words['entry']} {record.ref}",
    ]


def _fields(record: Record, language: str) -> list[Shown]:
    return shown_fields(record.kind, record.body, language)
