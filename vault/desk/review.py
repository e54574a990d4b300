"""The clinician's pages: the draft as the requester will see it, a ruling on each document, and a signature."""

from typing import Any

from fastapi.responses import RedirectResponse, Response

from vault.desk.board import reference_of, today_of
from vault.desk.drafts import Held
from vault.desk.numbers import number_in
from vault.desk.render import Page
from vault.desk.visit import Visit
from vault.domain.case import Stage
from vault.domain.grounds import GROUNDS
from vault.errors import RefusedError
from vault.steps.queue import board
from vault.steps.review import REFUSE, RELEASE, Ruling
from vault.steps.review import decide as record_decision


def show_list(visit: Visit) -> Page:
    """List the drafts that wait for a decision, most urgent first."""
    rows = [row for row in board(visit.desk.parts, only_open=True) if row.case.stage is Stage.DRAFTED]
    return Page("review_list.html", {"rows": rows, "today": today_of(visit)})


def show_draft(visit: Visit) -> Page:
    """Show a draft; the look is logged with the reader's name."""
    ref = reference_of(visit)
    return _draft_page(visit.desk.drafts.open(visit.session, ref), {}, None)


def _draft_page(held: Held, rulings: dict[str, Ruling], fault: str | None) -> Page:
    documents = [
        {
            "id": item["id"],
            "title": item["title"],
            "pages": held.pages(item["id"]),
            "text": held.text(item["id"]),
            "ruling": rulings.get(item["id"]),
            "fault": _fault_of(rulings[item["id"]]) if fault else None,
        }
        for item in held.draft.listing["documents"]
    ]
    return Page(
        "review.html",
        {
            "case": held.draft.case,
            "documents": documents,
            "digest": held.draft.row.digest.hex(),
            "grounds": GROUNDS,
            "decidable": held.draft.case.stage is Stage.DRAFTED,
            "fault": fault,
        },
        422 if fault else 200,
    )


def pdf(visit: Visit) -> Response:
    """Give one document as it would be sent."""
    held = visit.desk.drafts.held(visit.session, reference_of(visit))
    data = held.pdfs.get(visit.path("document"))
    if data is None:
        raise RefusedError("no_such_document", "the draft has no such document")
    return Response(data, media_type="application/pdf", headers={"Content-Disposition": "inline"})


def image(visit: Visit) -> Response:
    """Give one page of a document as a picture."""
    number = number_in(visit.path("page"))
    png = visit.desk.drafts.image(visit.session, reference_of(visit), visit.path("document"), number)
    return Response(png, media_type="image/png")


def decide(visit: Visit) -> Page | Response:
    """Show what would be signed; sign it once it is confirmed."""
    ref = reference_of(visit)
    held = visit.desk.drafts.held(visit.session, ref)
    rulings = _rulings(visit, held)
    fault = _fault(rulings)
    if fault or visit.field("change"):
        return _draft_page(held, rulings, fault)
    if visit.field("confirm") != "yes":
        return _confirm_page(held, rulings, visit.field("digest"))
    digest = _bytes(visit.field("digest"))
    record_decision(visit.desk.parts, visit.session.staff, ref, digest, list(rulings.values()))
    visit.desk.drafts.forget(visit.session.ref, ref)
    visit.desk.airflow.decided("review_drafts", ref, "dsr://decisions")
    return RedirectResponse(f"/cases/{ref}", 303)


def _rulings(visit: Visit, held: Held) -> dict[str, Ruling]:
    rulings = {}
    for item in held.draft.listing["documents"]:
        name = item["id"]
        ruling = visit.field(f"ruling-{name}")
        ground = visit.field(f"ground-{name}") or None
        rulings[name] = Ruling(name, ruling, ground if ruling == REFUSE else None)
    return rulings


def _fault(rulings: dict[str, Ruling]) -> str | None:
    return next((fault for fault in map(_fault_of, rulings.values()) if fault), None)


def _fault_of(ruling: Ruling) -> str | None:
    if ruling.ruling not in (RELEASE, REFUSE):
        return "ruling_missing"
    return "ground_missing" if ruling.ruling == REFUSE and ruling.ground not in GROUNDS else None


def _confirm_page(held: Held, rulings: dict[str, Ruling], digest: str) -> Page:
    lines: list[dict[str, Any]] = [
        {"id": item["id"], "title": item["title"], "ruling": rulings[item["id"]]}
        for item in held.draft.listing["documents"]
    ]
    return Page(
        "confirm.html",
        {
            "case": held.draft.case,
            "released": [line for line in lines if line["ruling"].ruling == RELEASE],
            "refused": [line for line in lines if line["ruling"].ruling == REFUSE],
            "digest": digest,
            "grounds": GROUNDS,
        },
    )


def _bytes(value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise RefusedError("digest_malformed", "open the draft again and decide on its own page") from None
