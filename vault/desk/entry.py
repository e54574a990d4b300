"""The desk's door: coming in with Airflow's assertion, leaving, and choosing a language."""

from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from vault.desk.forms import check_origin, read_form
from vault.desk.problems import problem
from vault.desk.render import LANGUAGE_COOKIE, LANGUAGES, Page
from vault.desk.sessions import COOKIE, LONGEST_SESSION, Session
from vault.desk.visit import Desk
from vault.domain.roles import Role
from vault.errors import VaultError

Answer = Callable[[Request], Awaitable[Response]]
_YEAR = 365 * 24 * 3600  # seconds


def set_cookie(desk: Desk, response: Response, value: str) -> None:
    """Give the browser its session: unreadable to scripts, sent to this site alone."""
    response.set_cookie(
        COOKIE,
        value,
        httponly=True,
        secure=desk.secure,
        samesite="strict",
        max_age=int(LONGEST_SESSION.total_seconds()),
    )


def enter(desk: Desk) -> Answer:
    """Make the way in: an assertion becomes a session; the form comes from Airflow's page."""
    places = desk.parts.settings.desk

    async def answer(request: Request) -> Response:
        try:
            check_origin(request, (places.url, places.airflow_url, "null"))
            form = await read_form(request)
            session = await run_in_threadpool(desk.sessions.enter, str(form.get("assertion") or ""))
        except VaultError as error:
            return desk.renderer.page(request, problem(error), None)
        response = RedirectResponse(_room_of(session), status_code=303)
        set_cookie(desk, response, desk.sessions.seal(session))
        return response

    return answer


def _room_of(session: Session) -> str:
    roles = session.staff.roles
    if Role.DPO in roles:
        return "/"
    if Role.CLINICIAN in roles:
        return "/review"
    return "/identity" if Role.REGISTRAR in roles else "/"


def leave(desk: Desk) -> Answer:
    """Make the way out: the session ends for good, wherever its cookie still lies."""

    async def answer(request: Request) -> Response:
        try:
            check_origin(request, (desk.parts.settings.desk.url,))
            session = desk.sessions.read(request.cookies.get(COOKIE))
            if session is not None:
                desk.drafts.forget(session.ref)
                desk.originals.forget(session.ref)
                await run_in_threadpool(desk.sessions.end, session)
        except VaultError as error:
            return desk.renderer.page(request, problem(error), None)
        response = desk.renderer.page(request, Page("enter.html", {"left": True}), None)
        response.delete_cookie(COOKIE, httponly=True, secure=desk.secure, samesite="strict")
        return response

    return answer


def choose_language(desk: Desk) -> Answer:
    """Make the language switch, which works before coming in, too."""

    async def answer(request: Request) -> Response:
        try:
            check_origin(request, (desk.parts.settings.desk.url,))
            form = await read_form(request)
        except VaultError as error:
            return desk.renderer.page(request, problem(error), None)
        response = RedirectResponse(_own_path(str(form.get("back") or "/")), 303)
        wanted = str(form.get("language"))
        if wanted in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE, wanted, max_age=_YEAR, samesite="strict", secure=desk.secure, httponly=True
            )
        return response

    return answer


def _own_path(back: str) -> str:
    """Return a path on this site; ``//host`` and a backslash would lead elsewhere."""
    plain = back.isascii() and back.isprintable() and "\\" not in back
    return back if plain and back.startswith("/") and not back.startswith("//") else "/"
