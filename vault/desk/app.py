"""The desk's web application: one table of routes with their roles, and one way through which every request goes.

Nobody passes without a session, nobody acts without the role, no form counts without its token,
and what goes wrong becomes a page with a code and advice.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from vault.desk.airflow import AirflowWord
from vault.desk.drafts import OpenDrafts
from vault.desk.render import LANGUAGE_COOKIE, LANGUAGES, Page, Renderer, texts
from vault.desk.sessions import COOKIE, LONGEST_SESSION, Session, Sessions
from vault.domain.roles import Role
from vault.errors import ConflictError, NotAllowedError, OutOfReachError, RefusedError, VaultError
from vault.steps.parts import Parts

EVERYBODY = frozenset(Role)
_LONGEST_FORM = 200_000  # bytes
_STATUS: tuple[tuple[type[VaultError], int], ...] = (
    (NotAllowedError, 403),
    (ConflictError, 409),
    (OutOfReachError, 503),
    (RefusedError, 422),
    (VaultError, 400),
)


class Desk:
    """What every page works with."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.sessions = Sessions(parts)
        self.renderer = Renderer(parts.settings.desk.airflow_url)
        self.airflow = AirflowWord(parts.settings.desk)
        self.drafts = OpenDrafts(parts)
        self.secure = parts.settings.desk.url.startswith("https://")


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of one member of staff."""

    desk: Desk
    request: Request
    session: Session
    form: FormData

    def path(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])

    def field(self, name: str) -> str:
        """Return a field of the form, or ''."""
        value = self.form.get(name)
        return value if isinstance(value, str) else ""


Handler = Callable[[Visit], "Page | Response"]


@dataclass(frozen=True, slots=True)
class Route:
    """One way to one page."""

    method: str
    path: str
    roles: frozenset[Role]
    handler: Handler


def create_app(parts: Parts) -> FastAPI:
    """Make the application.

    :param parts: of the office ``desk``.
    :raises WrongUseError: a secret is missing, empty or a default.
    """
    from vault.desk.routes import ROUTES

    desk = Desk(parts)
    app = FastAPI(title="DSR Vault desk", openapi_url=None, docs_url=None, redoc_url=None)
    static = resources.files("vault.desk").joinpath("static")
    app.mount("/static", StaticFiles(directory=str(static)), name="static")
    app.add_api_route("/healthz", _health, methods=["GET"])
    app.add_api_route("/session", _enter(desk), methods=["POST"], response_model=None)
    app.add_api_route("/leave", _leave(desk), methods=["POST"], response_model=None)
    app.add_api_route("/language", _language(desk), methods=["POST"], response_model=None)
    for route in ROUTES:
        app.add_api_route(route.path, _guarded(desk, route), methods=[route.method], response_model=None)
    app.middleware("http")(_with_headers(desk))
    app.add_exception_handler(404, _missing(desk))
    return app


def _health() -> PlainTextResponse:
    return PlainTextResponse("ok\n")


def _guarded(desk: Desk, route: Route) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        session = desk.sessions.read(request.cookies.get(COOKIE))
        if session is None:
            return desk.renderer.page(request, Page("enter.html", {}, 401), None)
        try:
            form = await _form(desk, request, session)
            if not session.staff.roles & route.roles:
                raise NotAllowedError("role_refused", "your role does not open this page")
            made = await run_in_threadpool(route.handler, Visit(desk, request, session, form))
        except VaultError as error:
            made = problem(error)
        return _finish(desk, request, session, made)

    return answer


async def _form(desk: Desk, request: Request, session: Session) -> FormData:
    if request.method != "POST":
        return FormData()
    _check_origin(desk, request)
    if int(request.headers.get("content-length") or 0) > _LONGEST_FORM:
        raise RefusedError("form_too_large", "write less")
    form = await request.form(max_files=0, max_fields=500)
    desk.sessions.check_form(session, form.get("token"))
    return form


def _check_origin(desk: Desk, request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is not None and origin.rstrip("/") != desk.parts.settings.desk.url.rstrip("/"):
        raise NotAllowedError("origin_refused", "this form came from another site; open the desk itself")


def problem(error: VaultError) -> Page:
    """Make a page of an error: its code and what to do."""
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    return Page("problem.html", {"error": error}, status)


def _finish(desk: Desk, request: Request, session: Session, made: Page | Response) -> Response:
    token = desk.sessions.form_token(session)
    response = desk.renderer.page(request, made, session, token) if isinstance(made, Page) else made
    _set_cookie(desk, response, desk.sessions.renew(session))
    return response


def _set_cookie(desk: Desk, response: Response, value: str) -> None:
    response.set_cookie(
        COOKIE,
        value,
        httponly=True,
        secure=desk.secure,
        samesite="strict",
        max_age=int(LONGEST_SESSION.total_seconds()),
    )


def _enter(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    async def enter(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=5)
        try:
            session = await run_in_threadpool(desk.sessions.enter, str(form.get("assertion") or ""))
        except VaultError as error:
            return desk.renderer.page(request, problem(error), None)
        response = RedirectResponse(_room_of(session), status_code=303)
        _set_cookie(desk, response, desk.sessions.seal(session))
        return response

    return enter


def _room_of(session: Session) -> str:
    if Role.CLINICIAN in session.staff.roles and Role.DPO not in session.staff.roles:
        return "/review"
    return "/identity" if session.staff.roles == {Role.REGISTRAR} else "/"


def _leave(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    async def leave(request: Request) -> Response:
        session = desk.sessions.read(request.cookies.get(COOKIE))
        if session is not None:
            desk.drafts.forget(session.ref)
        response = desk.renderer.page(request, Page("enter.html", {}), None)
        response.delete_cookie(COOKIE)
        return response

    return leave


def _language(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    async def choose(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=5)
        wanted, back = str(form.get("language")), str(form.get("back") or "/")
        response = RedirectResponse(back if back.startswith("/") and not back.startswith("//") else "/", 303)
        if wanted in LANGUAGES:
            response.set_cookie(LANGUAGE_COOKIE, wanted, samesite="strict", secure=desk.secure, httponly=True)
        return response

    return choose


def _missing(desk: Desk) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def missing(request: Request, _: Exception) -> Response:
        error = RefusedError("no_such_page", texts("en")["problem"]["no_such_page"])
        session = desk.sessions.read(request.cookies.get(COOKIE))
        if session is None:
            return desk.renderer.page(request, Page("enter.html", {}, 401), None)
        return desk.renderer.page(request, Page("problem.html", {"error": error}, 404), session)

    return missing


def _with_headers(desk: Desk) -> Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]:
    frames = f"'self' {desk.parts.settings.desk.airflow_url}"
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; object-src 'none'; base-uri 'none'; "
        f"form-action 'self'; frame-ancestors {frames}"
    )
    headers: dict[str, Any] = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }

    async def add(request: Request, following: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await following(request)
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    return add
