"""Notices: neutral, clear about the clock, free of anything personal but the case's reference."""

import inspect
from datetime import date

import pytest

from vault.errors import RefusedError
from vault.package import notices
from vault.package.language import LANGUAGES, day, part
from vault.package.notices import KINDS, Notice, notice, notice_pdf, spaced
from vault.testing.answers import CASE, CONTROLLER, shows, text_within

DUE = date(2026, 12, 21)
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
QUESTION = "Millä nimellä asioit aiemmin?"
ADDRESS = ["Eeva Kääriäinen", "Mäntytie 4", "00270 HELSINKI"]


def make(kind: str, language: str = "fi", question: str | None = None) -> Notice:
    if question is None and kind in {"question", "reminder"}:
        question = QUESTION
    return notice(
        kind, language, case_ref=CASE, due=DUE, controller=CONTROLLER, fingerprint=FINGERPRINT, question=question
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_notice_names_the_case_and_how_to_reach_the_officer(kind: str, language: str) -> None:
    made = make(kind, language)
    assert CASE in made.subject
    assert CASE in made.text or kind == "reminder"
    assert CONTROLLER.data_protection_officer in " ".join(made.text.split())
    assert CONTROLLER.email in made.text
    assert all(len(line) <= 78 for line in made.text.splitlines())


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_notices_of_a_case_have_one_subject_that_tells_nothing(language: str) -> None:
    assert len({make(kind, language).subject for kind in KINDS}) == 1
    assert len(make("acknowledgement", language).subject.replace(CASE, "").split()) == 1


def test_a_notice_can_not_depend_on_whether_its_reader_is_a_patient() -> None:
    parameters = set(inspect.signature(notice).parameters)
    assert parameters == {"kind", "language", "case_ref", "due", "controller", "fingerprint", "question", "with_keys"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["acknowledgement", "could_not_open", "unreadable", "no_request_found"])
def test_the_day_of_the_answer_is_told(kind: str, language: str) -> None:
    assert day(DUE, language) in " ".join(make(kind, language).text.split())


@pytest.mark.parametrize(
    ("language", "article"), [("fi", "12 artiklan 6 kohta"), ("sv", "artikel 12.6"), ("en", "Article 12(6)")]
)
@pytest.mark.parametrize("kind", ["question", "reminder"])
def test_a_question_says_what_is_asked_and_why_the_clock_stands(kind: str, language: str, article: str) -> None:
    text = " ".join(make(kind, language).text.split())
    assert QUESTION in text
    assert article in text
    assert day(DUE, language) not in text  # there is no due date while the question is open


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_could_not_be_read_learns_our_key(language: str) -> None:
    assert spaced(FINGERPRINT) in " ".join(make("could_not_open", language).text.split())
    assert spaced("ABCD12") == "ABCD 12"


@pytest.mark.parametrize(("language", "word"), [("fi", "liitteinä"), ("sv", "bifogade"), ("en", "attached")])
def test_our_key_is_called_attached_only_where_it_is(language: str, word: str) -> None:
    made = [
        notice(
            "could_not_open",
            language,
            case_ref=CASE,
            due=DUE,
            controller=CONTROLLER,
            fingerprint=FINGERPRINT,
            with_keys=along,
        )
        for along in (True, False)
    ]
    assert [word in one.text for one in made] == [True, False]
    assert all(spaced(FINGERPRINT) in " ".join(one.text.split()) for one in made)


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_could_not_be_read_learns_every_way_to_us(language: str) -> None:
    portal = CONTROLLER.model_copy(update={"portal": "https://portal.clinic.example/ask"})
    made = [
        notice("could_not_open", language, case_ref=CASE, due=DUE, controller=one, fingerprint=FINGERPRINT)
        for one in (CONTROLLER, portal)
    ]
    ways = [[block["v"] for block in one.blocks if block["t"] == "l"] for one in made]
    assert [len(lists) for lists in ways] == [1, 1]
    assert [len(lists[0]) for lists in ways] == [2, 3]
    assert ", ".join(CONTROLLER.address) in " ".join(made[1].text.split())
    assert ["https://portal.clinic.example/ask" in one.text for one in made] == [False, True]


@pytest.mark.parametrize("kind", ["question", "reminder"])
@pytest.mark.parametrize("question", ["", " \n"])
def test_an_asking_notice_asks_something(kind: str, question: str) -> None:
    with pytest.raises(RefusedError, match="notice_unknown"):
        make(kind, question=question)


@pytest.mark.parametrize("kind", ["acknowledgement", "thanks"])
def test_another_notice_asks_nothing_and_an_unknown_one_is_not_made(kind: str) -> None:
    with pytest.raises(RefusedError, match="notice_unknown"):
        make(kind, question=QUESTION)
    with pytest.raises(RefusedError, match="notice_unknown"):
        make("thanks")


def test_a_question_with_an_identity_code_is_not_sent() -> None:
    with pytest.raises(RefusedError, match="identity_code_shown"):
        make("question", question="Onko tunnuksesi 010190-999R?")


def test_braces_in_a_question_are_text() -> None:
    assert "{dpo} {x}" in make("question", question="{dpo} {x}").text


def test_a_question_of_several_lines_keeps_them() -> None:
    assert "    rivi 1\n    rivi 2\n" in make("question", question="rivi 1\nrivi 2").text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_letter_says_what_the_mail_says(kind: str, language: str) -> None:
    made = make(kind, language)
    pdf = notice_pdf(made, ADDRESS, CONTROLLER, language, date(2026, 11, 20))
    assert shows(pdf, made.title, CASE, day(date(2026, 11, 20), language))
    for block in made.blocks:
        texts = block["v"] if isinstance(block["v"], list) else [block["v"]]
        assert shows(pdf, *texts)
    assert text_within(pdf, left=0, top=34, right=122, bottom=96) == ADDRESS


def test_an_address_may_come_as_one_text() -> None:
    made = make("acknowledgement")
    on = date(2026, 11, 20)
    lines = notice_pdf(made, "\n".join(ADDRESS) + "\n", CONTROLLER, "fi", on)
    assert lines == notice_pdf(made, ADDRESS, CONTROLLER, "fi", on)


def test_no_address_makes_a_sheet_without_a_window() -> None:
    assert shows(notice_pdf(make("completion"), [], CONTROLLER, "fi", DUE), "Vastauksemme on lähetetty")


def test_every_kind_of_notice_has_a_text_and_no_text_is_left_over() -> None:
    words = {key for key, value in part("notices", "fi").items() if isinstance(value, dict)}
    assert words == set(notices.KINDS)


def test_a_notice_is_silent_in_logs() -> None:
    assert QUESTION not in repr(make("question"))
