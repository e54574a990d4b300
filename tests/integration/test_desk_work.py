"""Work at the desk on real servers: boards, identity, letters, drafts and decisions, as staff do it with forms."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from vault.domain.case import Channel, Event
from vault.domain.grounds import GROUNDS
from vault.domain.request import Request, RequestKind
from vault.domain.roles import Purpose
from vault.intake.opened import Attachment
from vault.steps.receive import Incoming, take
from vault.steps.review import open_draft, proved_decision
from vault.storage.cases import events, get_case
from vault.testing.deskcases import HOSTILE_NAME, HOSTILE_TEXT, RunningDesk, a_scan, running_desk
from vault.testing.htmlpage import Element
from vault.testing.staff import DeskError


@pytest.fixture(scope="module")
def desk() -> Iterator[RunningDesk]:
    with running_desk() as running:
        yield running


def events_of(page: Element) -> list[str]:
    return [row.attributes["data-event"] for row in page.all("tr", data_event=None)]


def looks(desk: RunningDesk) -> int:
    with desk.installation.owner() as connection:
        row = connection.execute("select count(*) from log_leaves").fetchone()
    return int(row[0]) if row else 0


def test_the_board_shows_exceptions_first_in_words_and_what_to_do(desk: RunningDesk) -> None:
    dpo = desk.staff("dpo")
    lines = dpo.board("?closed=yes")
    page = dpo.page("/")

    marks = [line.exception is not None for line in lines]
    assert marks == sorted(marks, reverse=True)
    assert "Mail can't be decrypted" in page.text
    assert "Wait for a new mail." in page.text
    assert "A person must look" in page.text  # the code that no text knows
    assert page.all(data_count="late")[0].text == "1"


def test_the_board_is_filtered_without_a_script(desk: RunningDesk) -> None:
    dpo = desk.staff("dpo")

    undecryptable = dpo.board("?exception=mail_undecryptable")
    asked = dpo.board("?stage=asked")

    assert [line.ref for line in undecryptable] == [desk.cases["undecryptable"]]
    assert desk.cases["asked"] in [line.ref for line in asked]
    assert {line.stage for line in asked} == {"asked"}


@pytest.mark.parametrize("role", ["dpo", "clinician", "registrar", "auditor", "operator"])
def test_board_and_cases_hold_nothing_personal(desk: RunningDesk, role: str) -> None:
    staff = desk.staff(role)
    shown = staff.page("/").raw + "".join(staff.page(f"/cases/{ref}").raw for ref in desk.cases.values())

    assert "Meikäläinen" not in shown
    assert "requester.example" not in shown


def test_a_case_explains_its_clock(desk: RunningDesk) -> None:
    page = desk.staff("auditor").page(f"/cases/{desk.cases['asked']}")

    why = [item.text for item in page.all("ul", class_="why")[0].all("li")]
    assert "Rule art12_first_month" in why[0]
    assert any("is open: there is no due date until the answer comes" in line for line in why)


def test_what_requesters_write_is_shown_and_never_run(desk: RunningDesk) -> None:
    registrar = desk.staff("registrar")
    particulars = registrar.open_identity(desk.cases["name_differs"])
    page = registrar.page(f"/identity/{desk.cases['name_differs']}")

    assert particulars["name"] == HOSTILE_NAME
    assert particulars["text"] == HOSTILE_TEXT
    assert page.all("script") == []
    assert [item for item in page.walk() if any(name.startswith("on") for name in item.attributes)] == []


def test_each_look_at_particulars_is_logged(desk: RunningDesk) -> None:
    registrar = desk.staff("registrar")
    before = looks(desk)

    registrar.open_identity(desk.cases["unknown"])

    assert looks(desk) == before + 1


def test_a_registrar_proves_identity_on_evidence(desk: RunningDesk) -> None:
    page = desk.staff("registrar", sub="21").prove(desk.cases["name_differs"], "portal_login", "Seen at the portal.")

    assert events_of(page)[0] == "identity_proved"
    assert "staff no. 21" in page.text


def test_evidence_is_needed_to_prove(desk: RunningDesk) -> None:
    registrar, ref = desk.staff("registrar"), desk.cases["unknown"]

    with pytest.raises(DeskError, match="404 no_such_form"):  # nobody was found: there is nobody to prove
        registrar.prove(ref, "portal_login", "seen")
    with pytest.raises(DeskError, match="422 nothing_changed"):
        registrar.correct(ref)
    with pytest.raises(DeskError, match="422 reason_missing"):
        registrar.close(ref, "answered", "because")


def test_asking_pauses_the_clock_and_sends_the_question(desk: RunningDesk) -> None:
    sink = desk.installation.sink()
    before = len(sink.messages())

    page = desk.staff("registrar").ask(desk.cases["unknown_too"], "Kuka olet?")

    assert "question_sent" in events_of(page)
    assert "notice_sent" in events_of(page)
    assert "paused" in desk.staff("dpo").page("/").text
    assert len(sink.messages()) == before + 1


def test_correcting_sends_the_case_back_to_the_machine(desk: RunningDesk) -> None:
    registrar, ref = desk.staff("registrar"), desk.cases["scan"]

    page = registrar.correct(ref, name="Matti Meikäläinen", code="131052-308T")

    assert events_of(page)[0] == "particulars_entered"
    assert registrar.open_identity(ref)["name"] == "Matti Meikäläinen"


def test_a_scanned_letter_is_seen_with_one_logged_look(desk: RunningDesk) -> None:
    registrar, ref = desk.staff("registrar"), desk.cases["scan"]
    before = looks(desk)

    pictures = [item.attributes["src"] for item in registrar.page(f"/identity/{ref}/original").all("img", alt=None)]
    shown = [url for url in pictures if "/pages/" in url]
    png = registrar.raw(shown[0])

    assert looks(desk) == before + 1
    assert png.startswith(b"\x89PNG")
    with pytest.raises(DeskError, match="404"):
        registrar.raw(f"/identity/{ref}/original/pages/2.png")
    with pytest.raises(DeskError, match="404 no_original"):
        registrar.page(f"/identity/{desk.cases['unknown']}/original")


def test_a_case_is_closed_with_a_reason(desk: RunningDesk) -> None:
    page = desk.staff("registrar").close(desk.cases["to_close"], "no_request", "Spam.")

    assert events_of(page)[0] == "found_no_request"
    assert "Spam" not in page.text


def test_an_exception_is_cleared_once(desk: RunningDesk) -> None:
    dpo, ref = desk.staff("dpo"), desk.cases["to_clear"]

    page = dpo.clear(ref)

    assert events_of(page)[0] == "exception_cleared"
    with pytest.raises(DeskError, match="no_such_form"):
        dpo.clear(ref)


def test_a_draft_is_shown_whole_with_one_logged_look(desk: RunningDesk) -> None:
    clinician, ref = desk.staff("clinician"), desk.cases["draft_too"]
    before = looks(desk)

    documents = clinician.open_review(ref)
    first = next(iter(documents.values()))
    png = clinician.raw(f"/review/{ref}/documents/{first.id}/pages/1.png")
    pdf = clinician.raw(f"/review/{ref}/documents/{first.id}.pdf")

    assert looks(desk) == before + 1
    assert all(document.pages and document.text.strip() for document in documents.values())
    assert Image.open(io.BytesIO(png)).width > 700
    assert pdf.startswith(b"%PDF-")


@pytest.mark.parametrize("tail", ["nope.pdf", "nope/pages/1.png", "visits/pages/0.png", "visits/pages/9999.png"])
def test_a_draft_has_no_other_documents_and_pages(desk: RunningDesk, tail: str) -> None:
    with pytest.raises(DeskError, match="404 no_such_"):
        desk.staff("clinician").raw(f"/review/{desk.cases['draft_too']}/documents/{tail}")


def test_a_ruling_or_ground_that_is_missing_is_shown_where_it_is_missing(desk: RunningDesk) -> None:
    clinician, ref = desk.staff("clinician"), desk.cases["draft_too"]
    form = clinician.page(f"/review/{ref}").all("form", id="review")[0]

    answer = clinician.http.post(f"/review/{ref}", data={**form.fields(), "ruling-visits": "refuse"})

    assert answer.status_code == 422
    assert "Choose the ground of this refusal." in answer.text
    assert "Choose release or refuse." in answer.text
    assert 'value="refuse" checked' in answer.text


def test_a_decision_about_another_digest_is_refused(desk: RunningDesk) -> None:
    clinician, ref = desk.staff("clinician"), desk.cases["draft_too"]
    form = clinician.page(f"/review/{ref}").all("form", id="review")[0].fields()
    names = [document.id for document in clinician.open_review(ref).values()]
    rulings = {f"ruling-{name}": "release" for name in names}

    answers = [
        clinician.http.post(f"/review/{ref}", data={**form, **rulings, "confirm": "yes", "digest": digest})
        for digest in ("00" * 32, "no digest", "")
    ]

    assert [answer.status_code for answer in answers] == [409, 422, 409]


def test_a_clinician_decides_after_a_summary_and_the_decision_is_signed(desk: RunningDesk) -> None:
    clinician, ref = desk.staff("clinician", sub="31", name="Liisa Lääkäri"), desk.cases["draft"]
    documents = list(clinician.open_review(ref))
    ground = next(iter(GROUNDS))

    page = clinician.decide(ref, {documents[0]: ("refuse", ground)})

    assert "decision_made" in events_of(page)
    assert ref not in clinician.review_list()
    public = desk.parts.service.public("desk")
    with desk.installation.office("sealer") as parts:
        rulings = proved_decision(parts, open_draft(parts, ref, Purpose.REVIEW), public)
    assert (rulings[documents[0]].ruling, rulings[documents[0]].ground) == ("refuse", ground)
    assert {rulings[name].ruling for name in documents[1:]} == {"release"}
    with pytest.raises(DeskError, match="409 not_open"):
        clinician.decide(ref, {})


def test_the_summary_names_the_signer_and_signs_nothing(desk: RunningDesk) -> None:
    clinician, ref = desk.staff("clinician", name="Liisa Lääkäri"), desk.cases["draft_too"]
    page = clinician.page(f"/review/{ref}")
    fields = {f"ruling-{item.attributes['data-document']}": "release" for item in page.all("article")}

    summary = clinician.send(page.all("form", id="review")[0], fields)
    changed = clinician.send(summary.all("form", id="confirm")[0], {"change": "yes"})

    assert "Liisa Lääkäri" in summary.all(class_="note sign")[0].text
    assert len(summary.all(data_released=None)) == len(fields)
    assert len(changed.all("input", checked=None)) == len(fields)
    assert ref in clinician.review_list()


FILES = (
    Attachment("scan.png", "image/png", a_scan()),
    Attachment(f"{HOSTILE_NAME}.txt", "text/plain", HOSTILE_TEXT.encode()),
    Attachment("song.mp3", "audio/mpeg", b"ID3\0\xff"),
)


def arrive(desk: RunningDesk, name: str, case_ref: str | None = None) -> str:
    """Take in a mail with files; return its case."""
    request = Request((), 0.0, "fi", False, None, None, None, None, None, HOSTILE_TEXT, case_ref, None)  # noqa: FBT003 - in the dataclass's order
    files = [{"name": file.name, "type": file.type, "size": len(file.data)} for file in FILES]
    with desk.installation.office("intake") as parts:
        incoming = Incoming(
            channel=Channel.MAIL,
            source=f"test|{name}",
            same=name.encode(),
            original=b"a mail",
            received_at=parts.now(),
            language="fi",
            particulars={"request": request.to_json(), "reply_to": "x@requester.example", "attachments": files},
            case_ref=case_ref,
            exception="no_request_found",
            attachments=FILES,
        )
        return take(parts, incoming).case.ref


def test_attachments_are_shown_drawn_or_as_words_and_each_look_is_logged(desk: RunningDesk) -> None:
    ref = arrive(desk, "attached")
    registrar = desk.staff("registrar")
    links = [
        link.attributes["href"]
        for link in registrar.page(f"/identity/{ref}").all("a")
        if "/attachments/" in link.attributes["href"]
    ]
    assert len(links) == len(FILES)
    before = looks(desk)

    picture, words, nothing = (registrar.page(link) for link in links)
    (source,) = [item.attributes["src"] for item in picture.all("img") if "/pages/" in item.attributes["src"]]
    image = registrar.raw(source)

    assert Image.open(io.BytesIO(image)).format == "PNG"
    assert words.all(data_field="words")[0].text.split() == HOSTILE_TEXT.split()
    assert words.all("script") == []
    assert "not shown here" in nothing.text
    assert looks(desk) == before + 3  # the picture belongs to the page's look
    with pytest.raises(DeskError, match="404 no_attachment"):
        registrar.page(links[0][:-1] + "9")
    with pytest.raises(DeskError, match="404 no_attachment"):
        registrar.page(links[0].replace(ref, desk.cases["unknown_too"]))


def test_a_reply_can_be_read_with_its_files(desk: RunningDesk) -> None:
    ref = arrive(desk, "answered")
    assert arrive(desk, "answer", ref) == ref

    page = desk.staff("registrar").page(f"/identity/{ref}")

    (reply,) = page.all(data_reply=None)
    assert reply.text.split() == HOSTILE_TEXT.split()
    assert len(page.all(data_attachment=None)) == 2 * len(FILES)


def test_a_registrar_chooses_what_is_asked_for_whom_and_in_which_language(desk: RunningDesk) -> None:
    ref = arrive(desk, "chosen")
    registrar = desk.staff("registrar")

    page = registrar.correct(ref, kinds="inspection", whose="child", language="sv")

    assert events_of(page)[0] == "particulars_entered"
    with desk.installation.office("desk") as parts, parts.database.connect() as connection:
        case = get_case(connection, ref)
        happened = events(connection, ref)
    assert (case.exception, case.language) == (None, "sv")
    assert happened[-1].detail == {"fields": "kinds,language,whose"}
    shown = registrar.page(f"/identity/{ref}")
    assert "own data" in shown.all(data_field="kinds")[0].text
    assert "custody" in shown.all(data_field="on_behalf")[0].text


def test_what_no_machine_answers_keeps_waiting_for_a_person(desk: RunningDesk) -> None:
    ref = arrive(desk, "beyond")

    desk.staff("registrar").correct(ref, kinds=RequestKind.ERASURE)

    with desk.installation.office("desk") as parts, parts.database.connect() as connection:
        assert get_case(connection, ref).exception == "other_right_asked"
        assert events(connection, ref)[-1].event is Event.PARTICULARS_ENTERED


@pytest.mark.parametrize("fields", [{"kinds": "everything"}, {"whose": "nobody"}, {"language": "de"}], ids=str)
def test_only_what_the_lists_offer_is_taken(desk: RunningDesk, fields: dict[str, str]) -> None:
    ref = arrive(desk, str(fields))

    with pytest.raises(DeskError, match="422 request_malformed"):
        desk.staff("registrar").correct(ref, **fields)
