"""Whatever JSON comes, a mapping gives records or a clear refusal, loses no word, and tells no value in its counts."""

import json
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.domain.records import Record
from vault.errors import RefusedError
from vault.register.fhir.authors import Authors
from vault.register.fhir.chart import MAPPINGS, Chart
from vault.register.fhir.elements import parse_time
from vault.register.fhir.narrative import plain_text
from vault.register.fhir.parse import canonical, parse
from vault.register.fhir.source import FhirReader, Source
from vault.register.fhir.vocabulary import ELEMENTS
from vault.register.form import render
from vault.register.imports.bundles import Scanner
from vault.register.imports.inputs import resource_of
from vault.register.tally import Tally
from vault.testing.fhir_export import patient_resource
from vault.testing.patients import patients

WHO = next(patients(5, 1))
OWN = {"reference": "Patient/me"}
NAMES = sorted(name for name in ELEMENTS if name not in ("resourceType", "id", "contained"))
WORD = "kq7zcanary"  # stands in no vocabulary
leaves = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8) | st.just(f"{WORD} ö")
names = st.sampled_from(NAMES) | st.just(WORD) | st.text(max_size=5)
elements = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3), max_leaves=8
)
bodies = st.dictionaries(names, elements, max_size=6)
kinds = st.sampled_from([*sorted(MAPPINGS), "Procedure", "Invoice", WORD])


class Refs:
    """References that are only hashes: what tests need."""

    def base(self, name: str) -> str:
        return f"F-{sha256(name.encode(errors='surrogatepass')).hexdigest()[:12]}"

    def tag(self, content: bytes) -> str:
        return sha256(content).hexdigest()[:8]


def chart(*resources: dict[str, Any]) -> tuple[list[Record], Tally]:
    tally = Tally()
    made = Chart("P-1", FhirReader(Refs(), Authors()), tally, own=["Patient/me"])
    return made.records([Source(json.loads(json.dumps(resource))) for resource in resources]), tally


def numbered(value: Any, count: Iterator[int]) -> Any:
    """Make every text that holds the word one of its own."""
    if isinstance(value, dict):
        return {name: numbered(inner, count) for name, inner in value.items()}
    if isinstance(value, list):
        return [numbered(inner, count) for inner in value]
    return f"{WORD}{next(count)}ö" if isinstance(value, str) and WORD in value else value


def told(value: Any) -> Iterator[str]:
    """Yield every text that holds the word."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from told(inner)
    elif isinstance(value, str) and WORD in value:
        yield value


@given(kind=kinds, body=bodies)
def test_any_resource_becomes_records_that_lose_no_word(kind: str, body: dict[str, Any]) -> None:
    resource = {**numbered(body, count()), "resourceType": kind, "id": "x", "subject": OWN}

    records, tally = chart(resource)

    assert len(records) == 1
    kept = json.dumps([dict(record.body) for record in records], ensure_ascii=False)
    kept += "".join(f"{record.author.name} {record.author.identifier} {record.author.title}" for record in records)
    assert [word for word in told(resource) if word not in kept] == []
    assert WORD not in json.dumps(tally.to_json())
    for record in records:
        render(record)


@given(body=bodies)
def test_any_patient_gives_records_or_a_refusal(body: dict[str, Any]) -> None:
    whole = {**body, **patient_resource(WHO), "id": "me"}
    records, tally = chart(whole)
    assert {record.kind.value for record in records} >= {"identity", "contact_details"}
    assert WORD not in json.dumps(tally.to_json())
    with pytest.raises(RefusedError) as caught:
        chart({**body, "identifier": [], "resourceType": "Patient", "id": "me"})
    assert WORD not in str(caught.value)


def outcome_of(data: bytes) -> str:
    try:
        return "" if resource_of(data) else "blank"
    except RefusedError as error:
        return error.code


@given(data=st.binary(max_size=200) | elements.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_resource_or_a_refusal(data: bytes) -> None:
    codes = {"json_malformed", "entry_empty", "entry_deletes", "bundle_within", "json_too_deep"}
    assert outcome_of(data) in codes | {"", "blank"}


@pytest.mark.parametrize("levels", [200, 5_000, 200_000])
def test_a_nest_of_brackets_is_refused(levels: int) -> None:
    data = b'{"resourceType":"Basic","a":' + b"[" * levels + b"]" * levels + b"}"
    with pytest.raises(RefusedError, match=r"json_(too_deep|malformed)"):
        resource_of(data)
    with pytest.raises(RefusedError, match="json_malformed"):
        list(Scanner(BytesIO(b'{"entry":[' + b'{"a":' * levels)).entries())


@given(bodies)
def test_canonical_bytes_do_not_hang_on_the_order_of_keys(body: dict[str, Any]) -> None:
    turned = dict(reversed(list(body.items())))
    assert canonical(body) == canonical(turned)
    assert parse(canonical(body)) == json.loads(canonical(body), parse_float=str)


@given(
    entries=st.lists(bodies, max_size=5),
    first=st.dictionaries(st.sampled_from(["type", "total", "link"]), elements, max_size=3),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_a_bundles_entries_are_found_where_they_stand(
    entries: list[dict[str, Any]], first: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    whole = {**first, "entry": entries, "resourceType": "Bundle"}
    data = json.dumps(whole, indent=indent, ensure_ascii=ascii_only).encode()
    scanner = Scanner(BytesIO(data))
    assert [json.loads(data[at : at + size]) for at, size in scanner.entries()] == entries
    assert scanner.resource_type == "Bundle"


@given(entries=st.lists(bodies, min_size=1, max_size=3), cut=st.integers(1, 400))
def test_a_bundle_that_was_cut_is_refused(entries: list[dict[str, Any]], cut: int) -> None:
    data = json.dumps({"resourceType": "Bundle", "entry": entries}).encode()
    with pytest.raises(RefusedError, match="json_malformed"):
        list(Scanner(BytesIO(data[: max(0, len(data) - cut)])).entries())


@given(st.text(max_size=60))
def test_text_without_markup_keeps_its_words(text: str) -> None:
    plain = text.replace("<", " ").replace(">", " ").replace("&", " ")
    assert plain_text(f"<div><p>{plain}</p></div>").split() == plain.split()


@given(st.text(alphabet="<>/p div&;alt=\"'!-[]CDATAx\n", max_size=60))
def test_any_markup_gives_text(markup: str) -> None:
    assert isinstance(plain_text(markup), str)


@given(
    st.text(max_size=30) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,12}(Z|\+0[0-9]:00)?", fullmatch=True)
)
def test_any_time_is_read_or_left(value: str) -> None:
    found = parse_time(value)
    assert found is None or found[0].tzinfo is not None
