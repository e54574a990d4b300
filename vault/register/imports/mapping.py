"""How CSV becomes records: one small TOML file, strict, described in ``docs/formats/import.md``."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vault.domain.records import RecordKind
from vault.errors import WrongUseError

_FIRST: Final = (RecordKind.IDENTITY, RecordKind.CONTACT_DETAILS)
Column = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Table(_Part):
    """One kind of file, and what its rows are.

    :param files: names that fit, with ``*``.
    :param kind: of the records; ``identity`` makes contact details besides, from ``contacts``.
    :param person: the column whose values tie rows of all files to one person.
    :param code: the column of the personal identity code; an identity has one.
    :param key: columns that together name a row for good; else the row's whole content does.
    :param corrects: the column that holds the key of the row that this one corrects.
    :param fields: our field -> column.
    :param values: our field -> the column's words -> ours.
    :param constants: our field -> what stands in every record.
    """

    files: str
    kind: RecordKind
    person: Column
    code: Column | None = None
    key: list[Column] = []
    corrects: Column | None = None
    at: Column | None = None
    author: Column | None = None
    author_identifier: Column | None = None
    author_title: Column | None = None
    fields: dict[str, Column] = {}
    contacts: dict[str, Column] = {}
    values: dict[str, dict[str, str]] = {}
    constants: dict[str, str | int | bool] = {}

    @model_validator(mode="after")
    def _whole(self) -> "Table":
        if (self.kind is RecordKind.IDENTITY) != (self.code is not None):
            raise WrongUseError("mapping_code", "a table of kind identity names its column `code`, and no other does")
        if self.kind is RecordKind.CONTACT_DETAILS or (self.contacts and self.kind is not RecordKind.IDENTITY):
            raise WrongUseError("mapping_contacts", "contact details stand under `contacts` in the table of identities")
        if self.corrects and not self.key:
            raise WrongUseError("mapping_key", "a table with `corrects` needs a `key`")
        return self

    def columns(self) -> set[str]:
        """Return every column that the table names."""
        single = (
            self.person,
            self.code,
            self.corrects,
            self.at,
            self.author,
            self.author_identifier,
            self.author_title,
        )
        listed = (*self.key, *self.fields.values(), *self.contacts.values())
        return {name for name in (*single, *listed) if name}


class CsvMapping(_Part):
    """A whole mapping file.

    :param date_format: how times are written in the files, as ``strptime`` has it; ISO 8601 else.
    """

    encoding: Literal["utf-8", "latin-1", "cp1252"] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ";"
    date_format: str | None = None
    table: list[Table]


def read_mapping(path: Path) -> CsvMapping:
    """Read a mapping file.

    :raises WrongUseError: it is missing, no TOML, or names what a mapping does not have.
    """
    try:
        raw: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return CsvMapping.model_validate(raw)
    except (OSError, ValueError) as error:
        faults = ""
        if isinstance(error, ValidationError):
            told = error.errors(include_input=False)
            faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['type']}" for fault in told)
        advice = f"the mapping file can't be used; compare it with docs/formats/import.md {faults}".strip()
        raise WrongUseError("mapping_invalid", advice) from None
