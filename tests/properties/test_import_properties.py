"""Whatever bytes a file holds, an import cuts them into items that lie side by side and reads each or refuses it."""

import csv
from io import BytesIO, StringIO
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from vault.domain.records import RecordKind
from vault.errors import RefusedError
from vault.register.imports.inputs import lines
from vault.register.imports.mapping import CsvMapping, Table
from vault.register.imports.tables import Rows

FILE = Path("people.csv")
ROWS = Rows(CsvMapping(table=[Table(files="*", kind=RecordKind.VISIT, person="Nro")]))
cells = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), max_size=8)


@given(st.lists(st.lists(cells, min_size=2, max_size=2), max_size=6))
def test_rows_that_were_written_are_read_as_they_were(rows: list[list[str]]) -> None:
    text = StringIO()
    csv.writer(text, delimiter=";", quoting=csv.QUOTE_ALL).writerows([["Nro", "Teksti"], *rows])
    data = text.getvalue().encode()

    found = list(ROWS.items(BytesIO(data), FILE))

    places = [item for item in found if not isinstance(item, RefusedError)]
    assert [ROWS.cells(data[at : at + size]) for at, size in places] == rows


@given(st.binary(max_size=120))
def test_any_bytes_are_rows_or_refusals(data: bytes) -> None:
    whole = b"Nro;Teksti\r\n" + data
    at = len(b"Nro;Teksti\r\n")
    for place in ROWS.items(BytesIO(whole), FILE):
        assert not isinstance(place, RefusedError)
        assert place[0] == at
        at += place[1]
        assert outcome_of(whole[place[0] : at]) in ("", "row_malformed")
    assert at == len(whole)


def outcome_of(data: bytes) -> str:
    try:
        ROWS.cells(data)
    except RefusedError as error:
        return error.code
    return ""


@given(st.binary(max_size=120))
def test_lines_lie_side_by_side(data: bytes) -> None:
    found = [item for item in lines(BytesIO(data)) if not isinstance(item, RefusedError)]
    whole = data.removeprefix(b"\xef\xbb\xbf")
    wanted = whole.split(b"\n") if not whole.endswith(b"\n") else whole.split(b"\n")[:-1]
    assert [data[at : at + size] for at, size in found] == [line.rstrip(b"\r") for line in wanted if data]


def test_a_long_note_is_one_cell() -> None:
    note = "sana " * 60_000
    assert ROWS.cells(f'1;"{note}"'.encode()) == ["1", note]
