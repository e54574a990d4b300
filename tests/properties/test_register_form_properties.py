from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from vault.domain.records import Author, Json, Record, RecordKind
from vault.errors import VaultError
from vault.register.form import parse, render

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
LEAVES: st.SearchStrategy[Json] = st.one_of(st.none(), st.booleans(), st.integers(), TEXT)
VALUES: st.SearchStrategy[Json] = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4))
)
RECORDS = st.builds(
    Record,
    ref=st.just("R-1"),
    subject=st.just("P-1"),
    kind=st.sampled_from(RecordKind),
    at=st.datetimes(timezones=st.just(UTC)),
    author=st.builds(Author, name=TEXT, identifier=TEXT, title=TEXT),
    body=st.dictionaries(TEXT, VALUES, max_size=5),
    corrects=st.one_of(st.none(), st.just("R-0")),
)


@given(RECORDS)
def test_parse_undoes_render(record: Record) -> None:
    data = render(record)

    again = parse("P-1", "R-1", data)

    assert again == record
    assert render(again) == data


@given(st.binary(max_size=200))
def test_any_bytes_give_a_record_or_a_clear_refusal(data: bytes) -> None:
    try:
        record = parse("P-1", "R-1", data)
    except VaultError:
        return
    assert render(record) == data


@given(RECORDS, st.data())
def test_a_changed_byte_gives_another_record_or_a_refusal(record: Record, data: st.DataObject) -> None:
    whole = bytearray(render(record))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    try:
        other = parse("P-1", "R-1", bytes(whole))
    except VaultError:
        return
    assert other != record
