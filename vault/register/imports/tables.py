"""CSV files (RFC 4180) as an input of the import: rows by a mapping file, unmapped columns kept and counted."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import BinaryIO, Final

from vault.domain.calendar import HELSINKI
from vault.domain.private import Private
from vault.domain.records import Author, Json, Record, RecordKind
from vault.errors import RefusedError, WrongUseError
from vault.register.fhir.elements import parse_time
from vault.register.fhir.entry import UNKNOWN, UNKNOWN_TIME
from vault.register.fhir.parse import canonical
from vault.register.fhir.people import parse_code
from vault.register.fhir.source import Refs
from vault.register.imports.inputs import Place, Read
from vault.register.imports.mapping import CsvMapping, Table
from vault.register.imports.recipe import Refuse
from vault.register.tally import Tally

_EDITION: Final = b"csv/1"
_LARGEST: Final = 1 << 26  # bytes of a row
_CONTACTS: Final = ("street", "postal_code", "city", "country")
Row = dict[str, str]


class Rows(Private):
    """Cuts CSV files into rows; the first row of a file names its columns."""

    __slots__ = ("_mapping", "headers", "suffixes")

    def __init__(self, mapping: CsvMapping) -> None:
        self.suffixes = frozenset({".csv", ".txt", ".tsv"})
        csv.field_size_limit(_LARGEST)  # a note may be longer than the library's 128 KiB
        self._mapping = mapping
        self.headers: dict[Path, tuple[int, list[str]]] = {}

    def items(self, file: BinaryIO, path: Path) -> Iterator[tuple[int, int] | RefusedError]:
        """Yield each row's place; a quoted field may go over several lines.

        :raises WrongUseError: no table fits the file's name, or a column is missing.
        """
        at = 0
        spans = _spans(file)
        first = next(spans, b"")
        table = self._table(path)
        header = self.cells(first.removeprefix(b"\xef\xbb\xbf"))
        if not self._mapping.table[table].columns() <= set(header):
            raise WrongUseError("column_missing", f"a file lacks a column that table {table + 1} of the mapping names")
        self.headers[path] = (table, header)
        at += len(first)
        for span in spans:
            yield (at, len(span)) if len(span) <= _LARGEST else RefusedError("item_too_large", "a row is too long")
            at += len(span)

    def cells(self, data: bytes) -> list[str]:
        """Return a row's cells.

        :raises RefusedError: it is no text of the mapping's encoding, or no CSV.
        """
        try:
            text = data.decode(self._mapping.encoding).rstrip("\r\n")
            rows = list(csv.reader([text], delimiter=self._mapping.delimiter, strict=True)) if text else []
        except (UnicodeDecodeError, csv.Error):
            raise RefusedError("row_malformed", "a row is no CSV of the mapping's encoding; export it again") from None
        return rows[0] if rows else []

    def _table(self, path: Path) -> int:
        for number, table in enumerate(self._mapping.table):
            if fnmatch(path.name, table.files):
                return number
        raise WrongUseError(
            "file_unmapped", "no table of the mapping fits the name of a file; add one, or move the file"
        )


class CsvRecipe(Private):
    """Understands CSV by a mapping."""

    __slots__ = ("_mapping", "_paths", "_refs", "form")

    def __init__(self, refs: Refs, mapping: CsvMapping) -> None:
        self.form = Rows(mapping)
        self._mapping = mapping
        self._refs = refs

    def mark(self) -> bytes:
        """Return what makes another reading of the same input."""
        return _EDITION + canonical(self._mapping.model_dump(mode="json"))

    def look(self, read: Read) -> tuple[Sequence[str], bool] | None:
        """Return whom a row is about; see the port."""
        found = self._row(read)
        if found is None:
            return None
        number, row, _ = found
        table = self._mapping.table[number]
        person = row.get(table.person, "").strip()
        if not person:
            raise RefusedError("no_patient", "a row names no person; look at it by hand")
        return [f"csv:{person}"], table.kind is RecordKind.IDENTITY

    def code(self, reads: Sequence[Read]) -> str:
        """Return the personal identity code of a person; see the port."""
        codes = set()
        for read in reads:
            number, row, _ = self._row(read) or (0, {}, [])
            code = row.get(self._mapping.table[number].code or "", "").strip()
            if not code:
                raise RefusedError("code_missing", "a patient needs a Finnish personal identity code")
            codes.add(parse_code(code))
        if len(codes) != 1:
            raise RefusedError("identity_conflict", "the same patient has several personal identity codes; say which")
        return codes.pop()

    def records(
        self, subject: str, reads: Sequence[Read], present: Iterable[str], tally: Tally, refuse: Refuse
    ) -> list[Record]:
        """Return a person's records; see the port."""
        known = set(present)
        made: dict[str, Record] = {}
        for read in reads:
            found = self._row(read)
            if found is None:
                continue
            number, row, extra = found
            tally.read[f"table{number + 1}"] += 1
            try:
                for record in self._of(subject, number, row, extra, tally):
                    made.setdefault(record.ref, record)
            except RefusedError as error:
                refuse(read.place, error)
        gone = [
            ref for ref, record in made.items() if record.corrects and not {record.corrects} & (known | made.keys())
        ]
        for ref in gone:
            tally.missing["corrects"] += 1
            made[ref] = replace(made[ref], corrects=None)
        fresh = [record for ref, record in made.items() if ref not in known]
        tally.written.update(record.kind.value for record in fresh)
        return fresh

    def _row(self, read: Read) -> tuple[int, Row, list[str]] | None:
        number, header = self._header(read.place)
        cells = self.form.cells(read.data)
        if not any(cells):
            return None
        if len(cells) != len(header):
            raise RefusedError("row_malformed", "a row has more or fewer cells than its file has columns")
        return number, dict(zip(header, cells, strict=True)), header

    def _header(self, place: Place) -> tuple[int, list[str]]:
        return self.form.headers[sorted(self.form.headers)[place.file - 1]]

    def _of(self, subject: str, number: int, row: Row, header: list[str], tally: Tally) -> Iterator[Record]:
        table = self._mapping.table[number]
        body = _body(table, table.fields, row)
        other: dict[str, Json] = {}
        for place, name in enumerate(header, 1):
            if name not in table.columns() and row[name]:
                other[name] = row[name]
                tally.kept[f"table{number + 1}.column{place}"] += 1
        if other:
            body["other"] = other
        base = self._base(table, number, row)
        at, author = self._at(table, row), _author(table, row)
        missing = [
            name for name, known in (("time", at[1] != UNKNOWN), ("author", author.name != UNKNOWN)) if not known
        ]
        tally.miss(f"table{number + 1}", missing)
        if at[1]:
            body["written"] = at[1]
        if table.kind is RecordKind.IDENTITY:
            body["personal_identity_code"] = parse_code(row[table.code or ""])
            body = {"given_names": UNKNOWN, "family_name": "", **body}
            contacts: dict[str, Json] = {"email": None, "phone": None}
            contacts.update(dict.fromkeys(_CONTACTS, ""))
            contacts.update(_body(table, table.contacts, row), openpgp_keys=[])
            yield Record(f"{base}.c", subject, RecordKind.CONTACT_DETAILS, at[0], author, contacts)
        corrects = self._corrects(table, number, row)
        yield Record(base, subject, table.kind, at[0], author, body, corrects)

    def _base(self, table: Table, number: int, row: Row) -> str:
        key = [row[name] for name in table.key] or [*row.values()]
        return self._refs.base(f"csv|{number}|{canonical(key).decode()}")

    def _corrects(self, table: Table, number: int, row: Row) -> str | None:
        value = row.get(table.corrects or "", "")
        return self._refs.base(f"csv|{number}|{canonical([value]).decode()}") if value else None

    def _at(self, table: Table, row: Row) -> tuple[datetime, str | None]:
        value = row.get(table.at or "", "").strip()
        if value and self._mapping.date_format:
            try:
                found = datetime.strptime(value, self._mapping.date_format)  # noqa: DTZ007 - the zone follows
            except ValueError:
                return UNKNOWN_TIME, UNKNOWN
            return (found if found.tzinfo else found.replace(tzinfo=HELSINKI)).astimezone(UTC), None
        return parse_time(value.replace(" ", "T", 1)) or (UNKNOWN_TIME, UNKNOWN)


def _body(table: Table, fields: Mapping[str, str], row: Row) -> dict[str, Json]:
    told: dict[str, Json] = dict(table.constants) if fields is table.fields else {}
    for field, column in fields.items():
        value = row[column]
        if value != "":
            told[field] = table.values.get(field, {}).get(value, value)
    return told


def _author(table: Table, row: Row) -> Author:
    columns = (table.author, table.author_identifier, table.author_title)
    return Author(*(row.get(column or "", "").strip() or UNKNOWN for column in columns))


def _spans(file: BinaryIO) -> Iterator[bytes]:
    """Yield each row with its line ends; as many quotes as not, and the row is whole."""
    held = b""
    while line := file.readline(_LARGEST):
        held += line
        if held.count(b'"') % 2 == 0 or len(held) > _LARGEST:
            yield held
            held = b""
    if held:
        yield held
