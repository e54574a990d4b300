"""Every page of the desk and who may open it: this table is the whole of it, and a test walks it."""

from vault.desk import board, identity, originals, review
from vault.desk.visit import EVERYBODY, Route
from vault.domain.roles import Role

_REGISTRAR = frozenset({Role.REGISTRAR})
_CLINICIAN = frozenset({Role.CLINICIAN})

ROUTES: tuple[Route, ...] = (
    Route("GET", "/", EVERYBODY, board.show_board),
    Route("GET", "/cases/{ref}", EVERYBODY, board.show_case),
    Route("POST", "/cases/{ref}/clear", board.CLEARS, board.clear),
    Route("GET", "/identity", board.LOOKS, identity.show_list),
    Route("GET", "/identity/{ref}", board.LOOKS, identity.show_case),
    Route("GET", "/identity/{ref}/original", board.LOOKS, originals.show),
    Route("GET", "/identity/{ref}/original/pages/{page}.png", board.LOOKS, originals.image),
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
