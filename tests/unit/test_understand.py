"""What is read from a request's words, in three languages; what is not sure is not claimed."""

import time
from datetime import date

import pytest

from vault.domain.request import AnswerBy, Request, RequestKind
from vault.intake.understand import understand
from vault.testing.mailtexts import code_text, request_text, small_talk

TODAY = date(2026, 11, 21)
INSPECTION, LOG, RECTIFICATION, ERASURE = (
    RequestKind.INSPECTION,
    RequestKind.LOG,
    RequestKind.RECTIFICATION,
    RequestKind.ERASURE,
)
CODE = "131052-308T"
OTHER = "010594Y9032"


def read(text: str, *, subject: str = "", language: str | None = None) -> Request:
    return understand(text, today=TODAY, subject=subject, language=language)


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
@pytest.mark.parametrize("kinds", [(INSPECTION,), (LOG,), (INSPECTION, LOG), (RECTIFICATION,), (ERASURE,)])
@pytest.mark.parametrize("on_paper", [False, True])
def test_a_request_is_read_in_every_language(language: str, kinds: tuple[RequestKind, ...], on_paper: bool) -> None:
    request = read(request_text(language, "Åsa-Maija von Öberg", CODE, kinds, on_paper=on_paper))

    assert request.kinds == kinds
    assert request.confidence >= 0.6
    assert request.language == language
    assert (request.name, request.code) == ("Åsa-Maija von Öberg", CODE)
    assert request.answer_by is (AnswerBy.PAPER if on_paper else None)
    assert not request.on_behalf
    assert request.one_time_code is None
    assert request.case_ref is None


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
def test_a_reply_brings_its_code_back(language: str) -> None:
    request = read(code_text(language, "Aino Virtanen", "DSR-2026-7K3QXM", "7K3QX-M2VTA"))

    assert (request.case_ref, request.one_time_code) == ("DSR-2026-7K3QXM", "7K3QX-M2VTA")
    assert request.language == language
    assert request.kinds == ()


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
def test_small_talk_asks_for_nothing(language: str) -> None:
    request = read(small_talk(language, "Aino Virtanen"))

    assert (request.kinds, request.confidence, request.language) == ((), 0.0, language)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Mitä tietoja teillä on minusta?", (INSPECTION,)),
        ("Haluaisin tutustua omiin tietoihini", (INSPECTION,)),
        ("Pyydän jäljennöksen potilaskertomuksestani.", (INSPECTION,)),
        ("Tarkastuspyyntö", (INSPECTION,)),
        ("Ketkä ovat lukeneet tietojani?", (LOG,)),
        ("Haluan käyttölokin", (LOG,)),
        ("Diagnoosini merkinnöissä on virhe, pyydän että tiedot korjataan ja oikaistaan", (RECTIFICATION,)),
        ("Poistakaa kaikki asiakirjat minusta", (ERASURE,)),
        ("Vilka uppgifter har ni om mig?", (INSPECTION,)),
        ("Jag vill ha en kopia av min patientjournal", (INSPECTION,)),
        ("Vem har öppnat min journal?", (LOG,)),
        ("What information do you hold about me?", (INSPECTION,)),
        ("Subject Access Request", (INSPECTION,)),
        ("I want access to\nall my\nmedical records", (INSPECTION,)),
        ("Please tell me who accessed my file", (LOG,)),
        ("My dog ate the homework, can I get a new appointment?", ()),
        ("Haluan siirtää aikani, olen korjaamassa autoa", ()),
        ("Kan jag ta bort min bokning?", ()),
        ("", ()),
    ],
)
def test_what_is_asked(text: str, kinds: tuple[RequestKind, ...]) -> None:
    assert read(text).kinds == kinds


def test_a_hint_alone_is_less_sure_than_the_named_right() -> None:
    assert read("Omat tiedot, kiitos").confidence == 0.6
    assert read("Tietopyyntö").confidence == 0.9


def test_the_subject_counts() -> None:
    request = read("Hei, nimeni on Aino Virtanen.", subject="Tietopyyntö [DSR-2026-7K3QXM]")

    assert (request.kinds, request.case_ref) == ((INSPECTION,), "DSR-2026-7K3QXM")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Nimi: Aino Virtanen", "Aino Virtanen"),
        ("- Nimi : Aino Maria Virtanen, s. 1952", "Aino Maria Virtanen"),
        ("NAMN: Carl-Gustaf Ö. d'Ärla", "Carl-Gustaf Ö. d'Ärla"),
        ("Etunimet: Aino Maria\nSukunimi: Virtanen", "Aino Maria Virtanen"),
        ("Hei, nimeni on Aino von Virtanen ja haluan", "Aino von Virtanen"),
        ("Hei, nimeni on Aino Virtanen.", "Aino Virtanen"),
        ("I write to you. My name is Aino Virtanen, and", "Aino Virtanen"),
        ("Terveisin\n\nAino Virtanen\npuh. 040 1234567", "Aino Virtanen"),
        ("Kind regards,\nAino Virtanen", "Aino Virtanen"),
        ("Mvh Aino Virtanen", "Aino Virtanen"),
        ("-- \nAino Virtanen", "Aino Virtanen"),
        ("Terveisin\naino", None),
        ("Terveisin\nParempaa huomista kaikille meille", None),
        ("Nimi: <script>", None),
        ("Nimi: 123", None),
        ("Nimi: " + "A" * 200, None),
    ],
)
def test_names(text: str, name: str | None) -> None:
    assert read(text).name == name


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"Henkilötunnus: {CODE}", CODE),
        (f"hetuni on {CODE.lower()}.", CODE),
        (f"({CODE})", CODE),
        (f"{CODE} {CODE}", CODE),
        (f"{CODE} {OTHER}", None),
        (f"Henkilötunnus: {CODE}\nViitteenne {OTHER}", CODE),
        ("131052-308X", None),
        ("131052–308T", None),  # the sign is part of the identity: no other dash stands for it
        (f"x{CODE}", None),
        (f"{CODE}4", None),
        ("311399-308T", None),
    ],
)
def test_identity_codes(text: str, code: str | None) -> None:
    assert read(text).code == code


def test_two_codes_make_the_reading_unsure() -> None:
    assert read(f"Tietopyyntö {CODE} ja {OTHER}").confidence == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("koodi 7k3qx m2vta", "7K3QX-M2VTA"),
        ("7K3QXM2VTA", "7K3QX-M2VTA"),
        ("Koodi:\n\n7K3QX - M2VTA", "7K3QX-M2VTA"),
        ("koodi on there 7k3qx m2vta", "7K3QX-M2VTA"),
        ("7K3QX m2vta", "7K3QX-M2VTA"),
        ("7K3QX lahti", "7K3QX-1AHT1"),
        ("kirje 7K3QX lahti", None),
        ("ABCDE-FGHJK", None),
        ("Koodi on 7K3QX–M2VTA.", "7K3QX-M2VTA"),
        ("Koden: 7K3QX-M2VTO", "7K3QX-M2VT0"),
        ("code: ABCDE-FGHJK", "ABCDE-FGHJK"),
        ("one-time code: ABCDEFGHJK", "ABCDE-FGHJK"),
        ("one-time code\nABCDEFGHJK", "ABCDE-FGHJK"),
        ("one-time code\n\nABCDEFGHJK", None),
        ("7K3QX-M2VTA and 7K3QX-M2VTB", None),
        ("my code is 7K3QX-M2VTA, not 12345", "7K3QX-M2VTA"),
        ("00100 Espoo", None),
        ("Postal code: 00100 Espoo", None),
        ("puh. 0401234567", None),
        ("hello world, there words match", None),
        ("DSR-2026-7K3QXM", None),
        (CODE, None),
        ("tilinumero FI2112345600000785", None),
    ],
)
def test_one_time_codes(text: str, code: str | None) -> None:
    assert read(text).one_time_code == code


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("Re: DSR-2026-7K3QXM", "DSR-2026-7K3QXM"),
        ("dsr–2026–7k3qxm", "DSR-2026-7K3QXM"),
        ("DSR - 2026 - OK3QXI", "DSR-2026-0K3QX1"),
        ("DSR-2026-7K3QXU", None),
        ("DSR-2026-7K3QXM and DSR-2026-7K3QXN", None),
        ("DSR-2026-7K3QXM7", None),
        ("> asia DSR-2026-7K3QXM", "DSR-2026-7K3QXM"),  # what a reply quotes names its case
    ],
)
def test_case_references(text: str, ref: str | None) -> None:
    assert read(text).case_ref == ref


@pytest.mark.parametrize(
    "text",
    [
        "kiitos, koodi tuli\n\n> Mitä tietoja teillä on minusta? Tarkastuspyyntö\n",
        "kiitos\n\n21.11.2026 klo 10 Example Clinic kirjoitti:\nTarkastuspyyntö on tullut",
        "tack\n-----Ursprungligt meddelande-----\nbegäran om registerutdrag",
        "thanks\nFrom: Clinic <requests@clinic.example>\nSent: today\nSubject access request",
    ],
)
def test_what_is_quoted_is_not_asked_again(text: str) -> None:
    request = read(text)

    assert request.kinds == ()
    assert "arkastus" not in request.text


@pytest.mark.parametrize(
    ("text", "on_behalf"),
    [
        ("Pyydän lapseni tietoja", True),
        ("Valtuutettuna pyydän päämieheni tiedot", True),
        ("Jag ber om uppgifter om mitt barn", True),
        ("I write on behalf of my mother", True),
        ("My ex-husband works for you and looked at my file", False),
        ("Entinen puolisoni katsoi tietojani", False),
        ("Pyydän omat tietoni", False),
    ],
)
def test_who_writes_for_somebody_else(text: str, on_behalf: bool) -> None:
    assert read(text).on_behalf is on_behalf
    assert understand("tietopyyntö", attachments=["Valtakirja.pdf"], today=TODAY).on_behalf


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("vastaus postitse", AnswerBy.PAPER),
        ("svaret per brev tack", AnswerBy.PAPER),
        ("please answer by post", AnswerBy.PAPER),
        ("vastatkaa sähköpostilla", AnswerBy.MAIL),
        ("svara per e-post", AnswerBy.MAIL),
        ("answer by encrypted e-mail", AnswerBy.MAIL),
        ("by post or by e-mail", None),
        ("Sähköposti: aino@example.fi", None),
    ],
)
def test_the_wish_for_paper(text: str, wish: AnswerBy | None) -> None:
    assert read(text).answer_by is wish


@pytest.mark.parametrize(
    ("text", "for_child"),
    [("Pyydän tyttäreni tietoja", True), ("my son's records, please", True), ("Pyydän isäni asiakirjat", False)],
)
def test_a_child_is_told_from_others(text: str, for_child: bool) -> None:
    request = read(text)

    assert (request.on_behalf, request.for_child) == (True, for_child)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Rajoittakaa tietojeni käsittelyä", (RequestKind.RESTRICTION,)),
        ("Överför min journal till en annan klinik", (RequestKind.PORTABILITY,)),
        ("I object to the use of my records for research", (RequestKind.OBJECTION,)),
        ("Send me a copy of my records and then delete my data", (INSPECTION, ERASURE)),
        ("Send me a copy of my records. Then delete them.", (INSPECTION,)),  # "them" alone says too little
        ("I would like more information about your services", ()),
    ],
)
def test_other_rights_and_mixtures(text: str, kinds: tuple[RequestKind, ...]) -> None:
    assert read(text).kinds == kinds


def test_contacts_are_read_from_labelled_lines() -> None:
    request = read("Sähköposti: Aino@Example.fi (koti)\nOsoite: Katu 1 A 2\n00100 Helsinki\n")

    assert (request.email, request.address) == ("Aino@example.fi", "Katu 1 A 2, 00100 Helsinki")
    assert read("Osoite: aino@example.fi\nE-post: nej").email is None


def test_the_language_follows_the_words_and_then_the_hint() -> None:
    assert read("12345", language="sv").language == "sv"
    assert read("Hello, please send me my data. Regards", language="sv").language == "en"
    assert read("", language="xx").language == "fi"


@pytest.mark.parametrize(
    "piece",
    [
        "tieto minusta kaikki ",
        "potilas",
        "who read records ",
        "vem har min journal. ",
        "koodi ",
        "DSR-2026-",
        "nimi: ",
        "a" * 50,
        "<>@,;:",
        "kopia av ",
        ">",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    start = time.monotonic()
    read(piece * (60_000 // len(piece)))
    assert time.monotonic() - start < 5


def test_control_characters_do_not_get_through() -> None:
    assert "\x1b" not in read("Nimi: Aino \x1b[31mVirtanen\nTietopyyntö").text
