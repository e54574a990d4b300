"""What a mail asks for by its form: in its own words, in an attached PDF, filled in on a screen or printed flat."""

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vault.cli import main
from vault.domain.request import AnswerBy, RequestKind
from vault.intake import asking
from vault.intake.asking import read_asked
from vault.intake.attachedforms import AttachedForm, read_attached
from vault.intake.opened import Attachment, MailHeaders, OpenedMail, Outcome
from vault.intake.textform import read_text_form, write_text_form
from vault.testing.mailtexts import request_text
from vault.testing.scans import as_pdf, fill_form, plain_letter, print_sheet

CODE = "131052-308T"
INSPECTION, LOG, ERASURE = RequestKind.INSPECTION, RequestKind.LOG, RequestKind.ERASURE
FILLED = {
    "name": "Aino Virtanen",
    "code": CODE,
    "street": "Katu 1 A 2",
    "postal_code": "00100",
    "city": "Helsinki",
    "email": "aino@example.fi",
}
TICKED: dict[str, str | tuple[str, ...]] = {
    **FILLED,
    "kinds": ("inspection", "log"),
    "answer_by": ("mail",),
    "language": ("sv",),
    "for_whom": ("self",),
}
LABELS = {
    "fi": ("Koko nimi", "Henkilötunnus", "Katuosoite", "Postinumero", "Postitoimipaikka", "Sähköposti"),
    "sv": ("Fullständigt namn", "Personbeteckning", "Gatuadress", "Postnummer", "Postanstalt", "E-post"),
}


def mail(text: str, *files: Attachment, subject: str = "", language: str | None = None) -> OpenedMail:
    headers = MailHeaders(subject=subject, language=language)
    return OpenedMail(Outcome.PLAIN, text=text, attachments=files, headers=headers)


def pdf(data: bytes, name: str = "lomake.pdf") -> Attachment:
    return Attachment(name, "application/pdf", data)


def filled(language: str, *ticks: str) -> str:
    """Fill the text form in as people do, and tick the lines that begin with these words."""
    text = write_text_form(language)
    for label, value in zip(LABELS[language], FILLED.values(), strict=True):
        text = text.replace(f"\n{label}: \n", f"\n{label}: {value}\n", 1)
    for tick in ticks:
        assert f"[ ] {tick}" in text
        text = text.replace(f"[ ] {tick}", f"[X] {tick}", 1)
    return text


@pytest.mark.parametrize(
    ("language", "ticks", "kinds"),
    [
        ("fi", ("Kaikki tallennetut", "Paperilla"), (INSPECTION,)),
        ("sv", ("Uppgift om vem", "På papper"), (LOG,)),
        ("fi", ("Kaikki tallennetut", "Tieto siitä", "Paperilla"), (INSPECTION, LOG)),
    ],
)
def test_the_form_in_a_mails_words_is_read(
    language: str, ticks: tuple[str, ...], kinds: tuple[RequestKind, ...]
) -> None:
    asked = read_asked(mail("Hei!\n\n" + filled(language, *ticks)))

    request = asked.request
    assert (asked.form, asked.sure, request.kinds, request.confidence) == ("text", True, kinds, 1.0)
    assert (request.language, request.answer_by) == (language, AnswerBy.PAPER)
    assert (request.name, request.code, request.email) == ("Aino Virtanen", CODE, "aino@example.fi")
    assert asked.address == ("Aino Virtanen", "Katu 1 A 2", "00100 Helsinki")


def test_the_form_is_found_in_a_quoted_reply() -> None:
    quoted = "\n".join(f"> {line}" for line in filled("fi", "Tieto siitä").split("\n"))

    assert read_asked(mail(f"Tässä, kiitos!\n\n{quoted}")).request.kinds == (LOG,)


def test_a_form_for_a_child_asks_about_the_child() -> None:
    text = filled("fi", "Huollettavani lapsen").replace("Hänen koko nimensä: ", "Hänen koko nimensä: Eetu Virtanen")

    request = read_asked(mail(text)).request

    assert (request.on_behalf, request.for_child, request.name, request.code) == (True, True, "Eetu Virtanen", None)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("dsr-form:inspection:1:fi", "dsr-form:inspection:7:fi"),
        lambda text: text + "\ndsr-form:inspection:1:sv",
        lambda text: text.replace("dsr-form", "form"),
    ],
    ids=["unknown version", "two forms", "no mark"],
)
def test_what_is_not_one_form_of_ours_is_none(change: Any) -> None:
    assert read_text_form(change(filled("fi", "Kaikki"))) is None


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
def test_an_empty_form_says_nothing(language: str) -> None:
    assert read_text_form(write_text_form(language)) is None
    assert read_text_form(re.sub(": \n", ": ____\n", write_text_form(language)).replace("[ ]", "[_]")) is None


def test_the_command_writes_the_form_for_mails(tmp_path: Path) -> None:
    out = tmp_path / "form.txt"

    done = CliRunner().invoke(main, ["form", "--text", "--language", "sv", "--out", str(out), "--json"])

    assert (done.exit_code, out.read_text("utf-8")) == (0, write_text_form("sv"))


def test_two_answers_where_one_may_stand_are_none() -> None:
    text = filled("fi", "Salattuna", "Paperilla") + "\nKoko nimi: Toinen Nimi\n"

    found = read_text_form(text)

    assert found is not None
    assert not {"answer_by", "name"} & set(found.values)


def test_a_pdf_form_filled_in_on_a_screen_is_read() -> None:
    asked = read_asked(mail("Liitteenä lomake.", pdf(fill_form(TICKED))))

    request = asked.request
    assert (asked.form, asked.sure, request.kinds, request.language) == ("pdf", True, (INSPECTION, LOG), "sv")
    assert (request.name, request.code, request.answer_by) == ("Aino Virtanen", CODE, AnswerBy.MAIL)
    assert "Liitteenä lomake." in request.text


def test_a_pdf_form_printed_flat_is_read() -> None:
    flat = as_pdf([print_sheet(fill_form(TICKED), 200)], 200)

    asked = read_asked(mail("Hei, ohessa.", pdf(flat)))

    assert (asked.form, asked.request.kinds, asked.request.code) == ("pdf", (INSPECTION, LOG), CODE)


def test_words_beside_a_form_add_what_they_plainly_ask() -> None:
    asked = read_asked(mail("Ohessa lomake. Poistakaa lisäksi kaikki tietoni.", pdf(fill_form(TICKED))))

    assert asked.request.kinds == (INSPECTION, LOG, ERASURE)


def test_two_forms_in_one_mail_are_a_persons_work() -> None:
    form = pdf(fill_form(TICKED))

    asked = read_asked(mail("Lomakkeet.", form, form))

    assert (asked.form, asked.sure) == ("pdf", False)


def test_an_attached_letter_speaks_where_the_mail_says_too_little() -> None:
    letter = as_pdf([plain_letter(request_text("fi", "Aino Virtanen", CODE).split("\n"))], 200)

    request = read_asked(mail("Katso liite.", pdf(letter, "kirje.pdf"))).request

    assert request.kinds == (INSPECTION,)


@pytest.mark.parametrize(
    "data", [b"%PDF-1.7\n", b"%PDF-1.4 \xff" * 1000, b"", b"GIF89a"], ids=["empty", "broken", "nothing", "no pdf"]
)
def test_a_file_that_can_not_be_read_changes_nothing(data: bytes) -> None:
    words = request_text("en", "Aino Virtanen", None)

    assert read_attached([pdf(data)]) == AttachedForm()
    assert read_asked(mail(words, pdf(data))) == read_asked(mail(words, pdf(b"", "lomake.pdf")))


def test_files_are_left_alone_where_the_words_say_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> AttachedForm:
        raise AssertionError

    monkeypatch.setattr(asking, "read_attached", never)

    assert read_asked(mail(request_text("fi", "Aino Virtanen", CODE), pdf(b"%PDF-"))).sure


def test_the_headers_language_counts_where_words_are_few() -> None:
    assert read_asked(mail("", language="sv")).request.language == "sv"
    assert read_asked(mail(request_text("en", "Aino", None), language="sv")).request.language == "en"
