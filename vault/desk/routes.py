"""Every page of the desk and who may open it: this table is the whole of it, and a test walks it."""

from vault.desk import alarms, audit, board, emergency, identity, originals, review
from vault.desk.visit import EVERYBODY, Route
from vault.domain.emergencies import MAY_BREAK
from vault.domain.roles import Role
from vault.steps.audit import MAY_SEARCH

_REGISTRAR = frozenset({Role.REGISTRAR})
_CLINICIAN = frozenset({Role.CLINICIAN})
_OFFICER = frozenset({Role.DPO})
_LOOKS_TOO = board.LOOKS | _CLINICIAN  # a clinician who broke the glass for the case; the step asks for that

ROUTES: tuple[Route, ...] = (
    Route("GET", "/", EVERYBODY, board.show_board),
    Route("GET", "/cases/{ref}", EVERYBODY, board.show_case),
    Route("POST", "/cases/{ref}/clear", board.CLEARS, board.clear),
    Route("GET", "/cases/{ref}/emergency", MAY_BREAK, emergency.show_form),
    Route("POST", "/cases/{ref}/emergency", MAY_BREAK, emergency.break_glass),
    Route("GET", "/emergencies/{ref}", _OFFICER, emergency.show_review),
    Route("POST", "/emergencies/{ref}", _OFFICER, emergency.review),
    Route("GET", "/alarms/{ref}", board.SEES_ALARMS, alarms.show),
    Route("POST", "/alarms/{ref}/close", _OFFICER, alarms.close),
    Route("GET", "/audit", MAY_SEARCH, audit.show_form),
    Route("POST", "/audit", MAY_SEARCH, audit.search),
    Route("GET", "/identity", board.LOOKS, identity.show_list),
    Route("GET", "/identity/{ref}", _LOOKS_TOO, identity.show_case),
    Route("GET", "/identity/{ref}/original", _LOOKS_TOO, originals.show),
    Route("GET", "/identity/{ref}/original/pages/{page}.png", _LOOKS_TOO, originals.image),
    Route("GET", "/identity/{ref}/attachments/{arrival}/{place}", _LOOKS_TOO, originals.show_attachment),
    Route(
        "GET", "/identity/{ref}/attachments/{arrival}/{place}/pages/{page}.png", _LOOKS_TOO, originals.attachment_image
    ),
    Route("GET", "/identity/{ref}/mails/{arrival}", _LOOKS_TOO, originals.show_mail),
    Route("POST", "/identity/{ref}/mails/{arrival}/file", _LOOKS_TOO, originals.mail_file),
    Route("POST", "/identity/{ref}/prove", _REGISTRAR, identity.prove),
    Route("POST", "/identity/{ref}/ask", _REGISTRAR, identity.ask),
    Route("POST", "/identity/{ref}/correct", _REGISTRAR, identity.correct),
    Route("POST", "/identity/{ref}/close", _REGISTRAR, identity.close),
    Route("GET", "/review", _CLINICIAN, review.show_list),
    Route("GET", "/review/{ref}", _CLINICIAN, review.show_draft),
    Route("GET", "/review/{ref}/documents/{document}.pdf", _CLINICIAN, review.pdf),
    Route("GET", "/review/{ref}/documents/{document}/pages/{page}.png", _CLINICIAN, review.image),
    Route("POST", "/review/{ref}", _CLINICIAN, review.decide),
)
