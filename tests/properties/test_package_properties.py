"""Whatever a register holds, a document shows it; whatever bytes come, a manifest's reader stays strict."""

import json
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from vault.domain.records import Json, Record, RecordKind
from vault.errors import RefusedError
from vault.package.archive import make_archive
from vault.package.canonical import canonical
from vault.package.container import Opened
from vault.package.documents import render_documents
from vault.package.entries import entries_of
from vault.package.labels import shown_fields
from vault.package.language import fill
from vault.package.manifest import Manifest, make_manifest, read_manifest, render_manifest
from vault.package.sheet import set_letter
from vault.package.verify import verify_files
from vault.testing.answers import CASE, CONTROLLER, MADE, WRITTEN, heading, make_record

FEW = settings(max_examples=40, deadline=None)  # setting a document takes tens of milliseconds
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
VALUES: st.SearchStrategy[Json] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
BODIES = st.dictionaries(
    st.text(min_size=1, max_size=20) | st.sampled_from(["starts_at", "lines", "text"]), VALUES, max_size=6
)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}\.(pdf|json)", fullmatch=True).filter(
    lambda name: name != "manifest.json"
)
HEX = st.from_regex("[0-9a-f]{64}", fullmatch=True)


@FEW
@given(st.sampled_from(list(RecordKind)), BODIES, st.sampled_from(["fi", "sv", "en"]))
def test_any_record_becomes_a_document_and_its_data_hold_every_field(
    kind: RecordKind, body: dict[str, Json], language: str
) -> None:
    document = render_documents([make_record(kind.value, body)], language, CONTROLLER, CASE, MADE)[0]
    assert document.pdf.startswith(b"%PDF-")
    [entry] = json.loads(document.json())["records"]
    assert len(entry["body"]) == len({key.encode("utf-8", "backslashreplace") for key in body})


@FEW
@given(st.text(max_size=200))
def test_any_text_can_stand_in_a_letter(text: str) -> None:
    try:
        pdf = set_letter(heading(), "Kirje", "Kirje", None, [{"t": "p", "v": text}, {"t": "l", "v": [text]}])
    except RefusedError as refused:
        assert refused.code == "identity_code_shown"  # noqa: PT017 - both ends are good
    else:
        assert pdf.startswith(b"%PDF-")


@FEW
@given(st.sampled_from(list(RecordKind)), BODIES)
def test_no_field_of_a_body_is_left_out_of_what_is_shown(kind: RecordKind, body: dict[str, Json]) -> None:
    runs = json.loads(json.dumps(shown_fields(kind, body, "en")))
    assert sum(len(run["rows"]) for run in runs) == len(body)


@st.composite
def corrected(draw: st.DrawFn) -> list[Record]:
    count = draw(st.integers(0, 8))
    links = draw(st.lists(st.none() | st.integers(0, 9), min_size=count, max_size=count))
    return [
        make_record(
            "visit",
            {},
            ref=f"R-{at}",
            corrects=None if link is None else f"R-{link}",
            at=WRITTEN + timedelta(hours=at % 3),
        )
        for at, link in enumerate(links)
    ]


@FEW
@given(corrected(), st.data())
def test_every_record_stands_in_an_entry_however_they_correct_each_other(
    records: list[Record], data: st.DataObject
) -> None:
    entries = entries_of(records)
    told = [record.ref for entry in entries for record in (entry.current, *entry.earlier)]
    assert set(told) == {record.ref for record in records}
    assert len({entry.current.ref for entry in entries}) == len(entries)
    assert entries_of(data.draw(st.permutations(records))) == entries


@FEW
@given(BODIES)
def test_canonical_json_never_fails_and_knows_no_order(body: dict[str, Json]) -> None:
    once = canonical(body)
    assert canonical(dict(reversed(body.items()))) == once
    assert canonical(json.loads(once)) == once


@FEW
@given(st.integers(1, 10**6), HEX, st.dictionaries(NAMES, st.tuples(HEX, st.integers(0, 2**50)), max_size=5))
def test_a_manifest_is_read_as_it_was_written(version: int, draft: str, files: dict[str, tuple[str, int]]) -> None:
    manifest = Manifest(CASE, version, draft, files)
    assert read_manifest(render_manifest(manifest)) == manifest


@FEW
@given(st.binary(max_size=300) | BODIES.map(canonical))
def test_other_bytes_are_refused_or_read_canonically(data: bytes) -> None:
    try:
        assert render_manifest(read_manifest(data)) == data
    except RefusedError as refused:
        assert refused.code in {"manifest_malformed", "manifest_format"}  # noqa: PT017 - both ends are good


@FEW
@given(st.dictionaries(NAMES, st.binary(max_size=30), min_size=1, max_size=4), st.data())
def test_any_changed_file_is_a_fault(files: dict[str, bytes], data: st.DataObject) -> None:
    whole = {**files, "manifest.json": make_manifest(CASE, 1, bytes(32), files)}
    assert verify_files(Opened(whole)).ok
    name = data.draw(st.sampled_from(sorted(files)))
    other = data.draw(st.binary(max_size=30).filter(lambda value: value != files[name]))
    assert not verify_files(Opened({**whole, name: other})).ok


@FEW
@given(st.dictionaries(NAMES, st.binary(max_size=30), max_size=4))
def test_an_archive_is_the_same_again(files: dict[str, bytes]) -> None:
    assert make_archive(files) == make_archive(files)


@FEW
@given(st.text(), st.text())
def test_a_value_is_put_in_as_it_is(value: str, around: str) -> None:
    around = around.replace("{", "").replace("}", "")
    assert fill(f"{around}{{name}}", {"name": value}) == f"{around}{value}"
