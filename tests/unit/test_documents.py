"""Documents: complete, honest about corrections, the same bytes for the same records, and silent in their metadata."""

import io
import json
import subprocess
import sys
from datetime import datetime, timedelta
from hashlib import sha256

import pikepdf
import pytest

from vault.domain.records import Json, Record, RecordKind
from vault.errors import RefusedError
from vault.package.documents import GROUPS, Document, render_documents
from vault.testing.answers import CASE, CONTROLLER, MADE, WRITTEN, heading, make_record, one_of_each, shows, text_of

_ALONE = """
from hashlib import sha256
from vault.package.documents import render_documents
from vault.testing.answers import *
made = render_documents(one_of_each(), "sv", CONTROLLER, CASE, MADE)
print(sha256(b"".join(d.pdf + d.json() for d in made)).hexdigest())
"""


def render(*records: Record, language: str = "fi") -> list[Document]:
    return render_documents(records, language, CONTROLLER, CASE, MADE)


def test_every_kind_of_record_is_in_one_document_whole() -> None:
    records = one_of_each()
    documents = render(*records)
    shown = [entry["ref"] for document in documents for entry in records_in(document)]
    assert sorted(map(str, shown)) == [record.ref for record in records]
    assert [document.id for document in documents] == [
        "third-person-01" if group == "third-person" else group for group in GROUPS
    ]
    for document in documents:
        for entry in records_in(document):
            assert shows(document.pdf, f"sisältö {entry['kind']}", "Maija Malli", "psykoterapeutti", "A-10442")


def records_in(document: Document) -> list[dict[str, Json]]:
    entries: list[dict[str, Json]] = json.loads(document.json())["records"]
    return entries


def test_no_records_make_no_documents() -> None:
    assert render() == []


def test_the_same_records_give_the_same_bytes_in_any_order_and_in_another_process() -> None:
    once = render(*one_of_each(), language="sv")
    again = render(*reversed(one_of_each()), language="sv")
    assert once == again
    alone = subprocess.run([sys.executable, "-c", _ALONE], capture_output=True, text=True, check=True, timeout=120)
    assert alone.stdout.strip() == sha256(b"".join(d.pdf + d.json() for d in once)).hexdigest()


def test_another_record_gives_other_bytes() -> None:
    one, other = render(make_record("visit", {"place": "a"})), render(make_record("visit", {"place": "b"}))
    assert one[0].pdf != other[0].pdf
    assert one[0].json() != other[0].json()


def test_each_document_about_another_person_can_be_ruled_on_alone() -> None:
    letters = [make_record("third_person_document", {"text": name}, ref=name) for name in ("Kalle", "Liisa")]
    documents = render(*letters)
    assert [document.id for document in documents] == ["third-person-01", "third-person-02"]
    assert shows(documents[0].pdf, "Kalle")
    assert not shows(documents[0].pdf, "Liisa")


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("fi", ["Käynti", "jäi saapumatta", "Alkoi", "1.3.2025 klo 10.15", "ei merkitty"]),
        ("sv", ["Besök", "uteblev", "Började", "1.3.2025 kl. 10.15", "inte antecknat"]),
        ("en", ["Visit", "did not come", "Began", "1 March 2025 at 10:15", "not recorded"]),
    ],
)
def test_fields_and_codes_are_told_in_the_requesters_language(language: str, expected: list[str]) -> None:
    visit = make_record("visit", {"status": "no_show", "starts_at": "2025-03-01T08:15:00+00:00", "reason": None})
    assert shows(render(visit, language=language)[0].pdf, *expected)


def test_an_unknown_field_is_shown_under_its_own_name_with_all_that_it_holds() -> None:
    body: dict[str, Json] = {
        "mood_scale": 7,
        "ratings": {"sleep_quality": [1, 2.5, "hyvä"], "note": "ok"},
        "log": [{"a": 1, "b": None}, {"c": True}],
    }
    document = render(make_record("session_entry", body))[0]
    assert shows(document.pdf, "mood_scale", "7", "ratings", "sleep_quality", "2.5", "hyvä", "log", "kyllä")
    assert records_in(document)[0]["body"] == body


def test_amounts_are_written_as_money_and_lines_as_a_table() -> None:
    lines: list[Json] = [{"text": "Yksilökäynti", "quantity": 3, "unit_cents": 9500, "total_cents": 128500}]
    document = render(make_record("invoice", {"lines": lines, "total_cents": -128500}))[0]
    assert shows(document.pdf, "Yksikköhinta", "95,00 €", "1285,00 €", "−1285,00 €")
    assert records_in(document)[0]["body"] == {"lines": lines, "total_cents": -128500}


def test_a_correction_keeps_every_earlier_entry_readable() -> None:
    first = make_record("session_entry", {"plan": "suunnitelma yksi"}, ref="A")
    second = make_record("session_entry", {"plan": "suunnitelma kaksi"}, ref="B", corrects="A", at=later(1))
    third = make_record("session_entry", {"plan": "suunnitelma kolme"}, ref="C", corrects="B", at=later(2))
    text = text_of(render(third, first, second)[0].pdf)
    places = [text.index(word) for word in ("suunnitelma kolme", "suunnitelma kaksi", "suunnitelma yksi")]
    assert places == sorted(places)
    assert "Oikaistu merkintä" in text
    assert text.count("Alkuperäinen merkintä 1.3.2025") == 1
    assert text.count("Alkuperäinen merkintä 2.3.2025") == 1


def later(days: int) -> datetime:
    return WRITTEN + timedelta(days=days)


def test_a_correction_of_what_is_not_here_says_so() -> None:
    lonely = make_record("visit", {"place": "x"}, ref="B", corrects="R-GONE")
    assert shows(render(lonely)[0].pdf, "Oikaisee merkinnän R-GONE")


def test_a_ring_of_corrections_loses_nothing() -> None:
    ring = [make_record("visit", {"place": f"paikka {a}"}, ref=a, corrects=b) for a, b in ("AB", "BC", "CA")]
    assert shows(render(*ring)[0].pdf, "paikka A", "paikka B", "paikka C")


def test_markup_in_a_record_is_text() -> None:
    words = '#panic("x") $x^2$ *bold* _it_ = heading <label> @ref \\ // # [a](b) `raw` ~ -- ---'
    assert shows(
        render(make_record("correspondence", {"text": words}))[0].pdf, '#panic("x")', "$x^2$", "*bold*", "@ref"
    )


def test_the_file_says_of_itself_only_what_kind_it_is_and_in_which_case() -> None:
    record = make_record("identity", {"given_names": "Eeva Orvokki", "family_name": "Kääriäinen"})
    pdf = render(record)[0].pdf
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        assert str(opened.docinfo["/Title"]) == f"Henkilö- ja yhteystiedot – {CASE}"
        assert not {"/Author", "/Subject", "/Keywords"} & set(opened.docinfo.keys())
        assert b"Eeva" not in opened.Root.Metadata.read_bytes()


def test_the_file_is_tagged_and_archivable() -> None:
    with pikepdf.open(io.BytesIO(render(make_record("visit", {"place": "x"}), language="sv")[0].pdf)) as opened:
        metadata = opened.open_metadata()
        assert (metadata["pdfuaid:part"], metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("1", "2", "A")
        assert bool(opened.Root.MarkInfo.Marked)
        assert str(opened.Root.Lang) == "sv"


def test_signs_that_no_font_has_are_spelled_not_dropped() -> None:
    document = render(
        make_record("correspondence", {"text": "漢 😀 \ue000 \u202e \x07 \ud800 ok", "topic": "a\tb\r\nc"})
    )[0]
    assert shows(document.pdf, "⟨U+6F22⟩", "⟨U+1F600⟩", "⟨U+E000⟩", "⟨U+202E⟩", "⟨U+0007⟩", "⟨U+D800⟩", "Merkit, joita")
    body = records_in(document)[0]["body"]
    assert isinstance(body, dict)
    assert str(body["text"]).startswith("漢 😀")


def test_plain_documents_carry_no_remark_about_signs() -> None:
    assert not shows(render(make_record("visit", {"place": "Ålandsvägen 1 – 2 €"}))[0].pdf, "Merkit, joita")


@pytest.mark.parametrize("value", [2**70, float("inf"), -(2**53)])
def test_numbers_that_canonical_json_lacks_are_written_as_text(value: float) -> None:
    document = render(make_record("visit", {"count": value}))[0]
    body = records_in(document)[0]["body"]
    assert body == {"count": str(value)}


@pytest.mark.parametrize(
    "value", ["2025-02-30", "2025-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:00Z"]
)
def test_what_only_looks_like_a_time_is_shown_as_it_stands(value: str) -> None:
    assert shows(render(make_record("visit", {"starts_at": value}))[0].pdf, value)


def test_the_data_list_records_by_reference() -> None:
    document = render(*(make_record("visit", {}, ref=ref, at=later(at)) for at, ref in enumerate(("C", "A", "B"))))[0]
    assert [entry["ref"] for entry in records_in(document)] == ["A", "B", "C"]


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(RefusedError, match="language_unknown"):
        heading("de")
    with pytest.raises(RefusedError, match="language_unknown"):
        render(make_record("visit", {}), language="de")


def test_identity_stands_before_contact_details() -> None:
    contacts = make_record("contact_details", {"city": "Tampere"}, ref="A")
    identity = make_record("identity", {"family_name": "Malli"}, ref="B", at=later(9))
    text = text_of(render(contacts, identity)[0].pdf)
    assert text.index("Sukunimi") < text.index("Tampere")


def test_a_document_is_silent_about_itself_in_logs() -> None:
    document = render(make_record("visit", {"place": "Salainen"}))[0]
    assert repr(document) == "Document(id='visits')"
    assert document.kinds == (RecordKind.VISIT,)
