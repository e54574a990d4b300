"""The registrar's look at a letter as it was scanned; one logged opening shows all of its pages."""

from fastapi.responses import Response

from vault.desk.board import reference_of
from vault.desk.numbers import number_in
from vault.desk.render import Page
from vault.desk.visit import Visit
from vault.errors import RefusedError, UnreadableError
from vault.intake.pagepictures import picture
from vault.steps.original import Original, open_original


def show(visit: Visit) -> Page:
    """Show the letter's pages; the look is logged."""
    ref = reference_of(visit)
    original = _opened(visit, ref)
    pictures = [f"/identity/{ref}/original/pages/{number}.png" for number in original.pages]
    return Page("original.html", {"case": original.case, "pictures": pictures})


def image(visit: Visit) -> Response:
    """Give one page as a picture."""
    ref, number = reference_of(visit), number_in(visit.path("page"))
    original = visit.desk.originals.get(visit.session.ref, ref) or _opened(visit, ref)
    if number not in original.pages:
        raise RefusedError("no_such_page", "the letter has no such page", ref=ref)
    try:
        png = picture(original.data, number, visit.desk.parts.settings.limits)
    except UnreadableError:
        raise RefusedError("no_original", "this scan can't be drawn", ref=ref) from None
    return Response(png, media_type="image/png")


def _opened(visit: Visit, ref: str) -> Original:
    original = open_original(visit.desk.parts, visit.session.staff, ref)
    return visit.desk.originals.put(visit.session.ref, ref, original)
