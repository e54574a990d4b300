"""The registrar's look at a scanned letter, a mail as it came, or an attachment; each opening is logged."""

from fastapi.responses import Response

from vault.desk.board import reference_of
from vault.desk.numbers import number_in
from vault.desk.render import Page
from vault.desk.visit import Visit
from vault.errors import RefusedError, UnreadableError
from vault.intake.pagepictures import picture
from vault.steps.original import MailOriginal, Original, open_attachment, open_mail_original, open_original

_MOST_PICTURES = 20  # pages of an attachment that are shown
SHOWN_FIELDS = ("from", "sender", "reply-to", "to", "cc", "date", "subject", "auto-submitted")  # the others on demand


def show(visit: Visit) -> Page:
    """Show the letter's pages; the look is logged."""
    ref = reference_of(visit)
    original = _opened(visit, ref)
    pictures = [f"/identity/{ref}/original/pages/{number}.png" for number in original.pages]
    return Page("original.html", {"case": original.case, "pictures": pictures})


def image(visit: Visit) -> Response:
    """Give one page as a picture."""
    ref = reference_of(visit)
    return _drawn(visit, visit.desk.originals.get(visit.session.ref, ref) or _opened(visit, ref))


def show_mail(visit: Visit) -> Page:
    """Show a mail's headers, parts and words as plain text; the look is logged."""
    mail = _opened_mail(visit)
    return Page("mail.html", {"case": mail.case, "mail": mail, "outline": mail.outline, "shown": SHOWN_FIELDS})


def mail_file(visit: Visit) -> Response:
    """Give a mail's exact bytes as a file that no browser shows; a look of its own."""
    mail = _opened_mail(visit)
    name = f'attachment; filename="{mail.case.ref}-{mail.arrival}.eml"'
    return Response(mail.data, media_type="application/octet-stream", headers={"Content-Disposition": name})


def _opened_mail(visit: Visit) -> MailOriginal:
    ref, arrival = reference_of(visit), visit.path("arrival")
    return open_mail_original(visit.desk.parts, visit.session.staff, ref, arrival)


def show_attachment(visit: Visit) -> Page:
    """Show an attachment's pages or words; the look is logged."""
    attachment = _opened_attachment(visit)
    pictures = [f"{_way(visit)}/pages/{number}.png" for number in attachment.pages[:_MOST_PICTURES]]
    return Page("attachment.html", {"case": attachment.case, "attachment": attachment, "pictures": pictures})


def attachment_image(visit: Visit) -> Response:
    """Give one page of an attachment as a picture."""
    return _drawn(visit, visit.desk.originals.get(visit.session.ref, _way(visit)) or _opened_attachment(visit))


def _way(visit: Visit) -> str:
    return f"/identity/{reference_of(visit)}/attachments/{visit.path('arrival')}/{visit.path('place')}"


def _opened_attachment(visit: Visit) -> Original:
    ref, arrival, place = reference_of(visit), visit.path("arrival"), visit.path("place")
    attachment = open_attachment(visit.desk.parts, visit.session.staff, ref, arrival, place)
    return visit.desk.originals.put(visit.session.ref, _way(visit), attachment)


def _drawn(visit: Visit, original: Original) -> Response:
    ref, number = original.case.ref, number_in(visit.path("page"))
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
