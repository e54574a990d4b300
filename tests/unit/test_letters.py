"""Letters: what the law wants said is said, in each language; the envelope's window shows the addressee alone."""

import io
from datetime import date
from functools import cache
from typing import Any

import pikepdf
import pytest

from vault.domain.grounds import COMPLAINT, COURT_REMEDY, GROUNDS, OMBUDSMAN_INSTEAD
from vault.domain.records import Record
from vault.errors import RefusedError
from vault.package.heading import Recipient
from vault.package.language import LANGUAGES, part
from vault.package.letters import (
    FACTS,
    Enclosure,
    Refusal,
    answer_letter,
    code_letter,
    paper_cover,
    passphrase_letter,
    recipients_of,
    refusal_letter,
)
from vault.testing.answers import CASE, CONTROLLER, RECIPIENT, heading, make_record, shows, text_of, text_within

RECEIVED, DECIDED = date(2026, 11, 2), date(2026, 11, 18)
CODE, PHRASE = "04HMA-SW9NF", "008j4-ct4an-k7f24-snaxw-sqfez"
ENCLOSURES = [Enclosure("Käynnit", ("visits.pdf", "visits.json")), Enclosure("Laskut", ("invoices.pdf",))]


def answer(language: str = "fi", **changes: Any) -> bytes:
    values: dict[str, Any] = {"received": RECEIVED, "disclosed_to": ["Kansaneläkelaitos"], **changes}
    return answer_letter(heading(language), RECIPIENT, ENCLOSURES, **values)


def refusal(*refusals: Refusal, language: str = "fi", whole: bool = False) -> bytes:
    return refusal_letter(heading(language), RECIPIENT, refusals, received=RECEIVED, decided=DECIDED, whole=whole)


@cache
def letters(language: str) -> dict[str, bytes]:
    head = heading(language)
    return {
        "answer": answer(language, refused=True, log=True),
        "refusal": refusal(Refusal("Istunnot", "danger_to_health"), language=language),
        "code": code_letter(head, RECIPIENT, CODE, valid_until=DECIDED, reply_to="requests@clinic.example"),
        "passphrase": passphrase_letter(head, RECIPIENT, PHRASE),
        "paper": paper_cover(head, RECIPIENT, [Enclosure("Käynnit", pages=1), Enclosure("Laskut", pages=3)]),
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_answer_tells_all_of_article_15(language: str) -> None:
    pdf = answer(language)
    facts = part("letters", language, "facts")
    for fact in FACTS:
        assert shows(pdf, facts[fact]["title"]), fact
    for fact in set(FACTS) - {"recipients"}:
        assert shows(pdf, facts[fact]["text"]), fact
    assert shows(pdf, "Kansaneläkelaitos", CONTROLLER.name, CONTROLLER.data_protection_officer, "tietosuoja@om.fi")
    assert shows(pdf, "visits.pdf", "visits.json", "invoices.pdf", "Laskut")


def test_the_list_names_the_decision_and_the_log_too() -> None:
    pdf = answer("fi", refused=True, log=True)
    assert shows(pdf, "Päätös", "01-decision.pdf", "Lokiote", "log.pdf", "log.json")
    assert not shows(answer(), "01-decision.pdf")
    assert not shows(answer(), "log.pdf")


def test_on_paper_the_list_names_no_files() -> None:
    pdf = answer_letter(heading(), RECIPIENT, [Enclosure("Käynnit")], received=RECEIVED, log=True)
    assert shows(pdf, "Käynnit", "Lokiote")
    assert not shows(pdf, ".pdf")
    assert not shows(pdf, "Tiedosto")


def test_without_a_disclosure_the_answer_says_that_there_was_none() -> None:
    assert shows(answer(disclosed_to=[]), "ei ole luovutettu muille")


def test_the_controllers_own_words_replace_the_standard_ones() -> None:
    pdf = answer(facts={"transfers": "Tietoja siirretään Norjaan.", "recipients": "Ei ketään."})
    assert shows(pdf, "Tietoja siirretään Norjaan.", "Ei ketään.")
    assert not shows(pdf, "Euroopan talousalueen")
    assert not shows(pdf, "Kansaneläkelaitos")


def test_an_unknown_fact_is_refused() -> None:
    with pytest.raises(RefusedError, match="fact_unknown"):
        answer(facts={"purpose": "x"})


@pytest.mark.parametrize(("condition", "words"), [("refused", "erillisessä päätöksessä"), ("log", "Lokiotteesta näet")])
def test_a_sentence_stands_only_where_it_is_true(condition: str, words: str) -> None:
    assert shows(answer("fi", **{condition: True}), words)
    assert not shows(answer("fi", **{condition: False}), words)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("ground", sorted(GROUNDS))
def test_a_refusal_tells_ground_complaint_and_court(ground: str, language: str) -> None:
    pdf = refusal(Refusal("Istunnot", ground), language=language)
    assert shows(
        pdf, "Istunnot", GROUNDS[ground].title.in_language(language), GROUNDS[ground].text.in_language(language)
    )
    assert shows(pdf, COMPLAINT.in_language(language), COURT_REMEDY.in_language(language))
    assert shows(pdf, OMBUDSMAN_INSTEAD.in_language(language)) is ("1050/2018" in GROUNDS[ground].statute)


def test_a_refusal_of_everything_says_so() -> None:
    partly, wholly = refusal(Refusal("A", "danger_to_health")), refusal(Refusal("A", "danger_to_health"), whole=True)
    assert shows(partly, "osaa tiedoista ei anneta", "Muut tiedot saat")
    assert shows(wholly, "Päätös: tietoja ei anneta")
    assert not shows(wholly, "Muut tiedot saat")


def test_a_ground_whose_telling_would_harm_is_not_told() -> None:
    pdf = refusal(Refusal("Istunnot", "danger_to_health", told=False))
    assert shows(pdf, "Istunnot", "Perustetta ei kerrota")
    assert not shows(pdf, GROUNDS["danger_to_health"].title.fi)


@pytest.mark.parametrize("refusals", [[], [Refusal("Istunnot", "because")]])
def test_a_refusal_without_a_known_ground_is_not_made(refusals: list[Refusal]) -> None:
    with pytest.raises(RefusedError, match="ground_unknown"):
        refusal(*refusals)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_code_letter_shows_case_code_and_where_it_goes(language: str) -> None:
    pdf = letters(language)["code"]
    assert shows(pdf, CASE, CODE, "requests@clinic.example", "18", "2026")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_passphrase_stands_on_one_line_as_it_is_typed(language: str) -> None:
    assert any(line.endswith(PHRASE) for line in text_of(letters(language)["passphrase"]).splitlines())


def test_the_cover_lists_every_document_with_its_length() -> None:
    assert shows(letters("fi")["paper"], "Käynnit", "1 sivu", "Laskut", "3 sivua")
    assert shows(letters("en")["paper"], "1 page", "3 pages")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_window_shows_the_addressee_and_nothing_else_however_the_sheet_slides(language: str) -> None:
    for name, pdf in letters(language).items():
        lines = text_within(pdf, left=0, top=34, right=122, bottom=96)
        assert lines == ["Eeva Orvokki Kääriäinen", "Mäntytie 4 B 12", "00270 HELSINKI"], name


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_letter_says_of_itself_only_its_kind_and_case(language: str) -> None:
    for name, pdf in letters(language).items():
        with pikepdf.open(io.BytesIO(pdf)) as opened:
            assert str(opened.docinfo["/Title"]) == f"{part('letters', language, name)['kind']} – {CASE}"
            assert b"Eeva" not in opened.Root.Metadata.read_bytes()


def test_the_same_letter_has_the_same_bytes() -> None:
    assert letters("sv") == letters.__wrapped__("sv")


def test_an_address_abroad_ends_with_the_country() -> None:
    far = Recipient("Eva Ek", ("Storgatan 1", "111 22 Stockholm", "SE"))
    pdf = passphrase_letter(heading("fi"), far, PHRASE)
    assert text_within(pdf, 0, 34, 122, 96)[-1] == "RUOTSI"


def test_a_name_alone_is_an_address_too() -> None:
    pdf = passphrase_letter(heading("fi"), Recipient("FI"), PHRASE)
    assert text_within(pdf, 0, 34, 122, 96) == ["FI"]


def test_an_endless_address_does_not_leave_the_window() -> None:
    long = Recipient("Nimi " * 30, tuple(f"rivi {at} " * 20 for at in range(40)))
    pdf = passphrase_letter(heading("fi"), long, PHRASE)
    lines = text_within(pdf, left=20, top=45, right=112, bottom=86)
    assert len(lines) == 6
    assert all(line.endswith("…") for line in lines)
    assert not text_within(pdf, left=0, top=86, right=122, bottom=96)


def test_a_letter_within_a_package_needs_no_address() -> None:
    pdf = answer_letter(heading(), None, [], received=RECEIVED)
    assert shows(pdf, "Vastaus tietopyyntöösi")
    assert not shows(pdf, "Eeva")


@pytest.mark.parametrize("shown", ["010190-999R", "tunnus 010190A999R.", "131052-308t", "x\n010594Y9032"])
def test_no_letter_shows_a_personal_identity_code(shown: str) -> None:
    with pytest.raises(RefusedError, match="identity_code_shown") as refused:
        passphrase_letter(heading(), Recipient("Eeva", (shown,)), PHRASE)
    assert shown.strip() not in str(refused.value)


def test_a_key_fingerprint_is_no_identity_code() -> None:
    assert passphrase_letter(heading(), Recipient("Eeva", ("ABCDEF010190A999RABCDEF0123456789ABCDEF0",)), PHRASE)


def test_recipients_are_those_of_disclosures_each_once() -> None:
    def consent(kind: str, recipient: str | None, ref: str) -> Record:
        return make_record("consent", {"type": kind, "recipient": recipient}, ref=ref)

    records = [consent("disclosure", "Kela", "A"), consent("disclosure", "Kela", "B"), consent("consent", "Äiti", "C")]
    records += [consent("disclosure", None, "D"), consent("disclosure", "Aluehallinto", "E"), make_record("visit", {})]
    assert recipients_of(records) == ["Aluehallinto", "Kela"]


def test_a_recipient_is_silent_in_logs() -> None:
    assert "Eeva" not in repr(RECIPIENT)
