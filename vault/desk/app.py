"""The desk's web application: one way through which every request goes.

Nobody passes without a session, nobody acts without the role, no form counts without its token,
and what goes wrong becomes a page with a code and advice.
"""

import logging
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from importlib import resources

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from vault.desk import entry
from vault.desk.forms import check_origin, read_form
from vault.desk.headers import with_headers
from vault.desk.problems import problem, problem_with, unexpected
from vault.desk.render import Page
from vault.desk.routes import ROUTES
from vault.desk.sessions import COOKIE, Session
from vault.desk.visit import Desk, Route, Visit
from vault.errors import NotAllowedError, VaultError
from vault.steps.parts import Parts

_LOG = logging.getLogger("vault.desk")


def create_app(parts: Parts, audit: Parts | None = None) -> FastAPI:
    """Make the application.

    :param parts: of the office ``desk``.
    :param audit: of the office ``audit``, where this machine may use it: then the log can be searched here.
    :raises WrongUseError: a secret is missing, empty or a default.
    """
    desk = Desk(parts, audit)
    app = FastAPI(title="DSR Vault desk", openapi_url=None, docs_url=None, redoc_url=None)
    static = resources.files("vault.desk").joinpath("static")
    app.mount("/static", StaticFiles(directory=str(static)), name="static")
    app.add_api_route("/healthz", _health, methods=["GET"])
    for path, answer in (("/session", entry.enter), ("/leave", entry.leave), ("/language", entry.choose_language)):
        app.add_api_route(path, answer(desk), methods=["POST"], response_model=None)
    for route in ROUTES:
        app.add_api_route(route.path, _guarded(desk, route), methods=[route.method], response_model=None)
    app.middleware("http")(with_headers(desk))
    app.add_exception_handler(HTTPException, _missing(desk))
    return app


def _health() -> PlainTextResponse:
    return PlainTextResponse("ok\n")


def _guarded(desk: Desk, route: Route) -> entry.Answer:
    async def answer(request: Request) -> Response:
        session: Session | None = None
        try:
            session = await run_in_threadpool(desk.sessions.current, request.cookies.get(COOKIE))
            if session is None:
                return desk.renderer.page(request, Page("enter.html", {"left": False}, 401), None)
            form = await _form(desk, request, session)
            _check_role(session, route)
            made = await run_in_threadpool(route.handler, Visit(desk, request, session, form))
            response = _finish(desk, request, session, made)
        except VaultError as error:
            response = _finish(desk, request, session, problem(error))
        except Exception as error:  # noqa: BLE001 - a fault of ours becomes a page, and its values stay out of the log
            _LOG.error("%s in %s %s", type(error).__name__, route.method, _place(error))
            response = _finish(desk, request, session, unexpected())
        return response

    return answer


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-4:]))


def _check_role(session: Session, route: Route) -> None:
    if not session.staff.roles & route.roles:
        raise NotAllowedError("role_refused", "your role does not open this page")


async def _form(desk: Desk, request: Request, session: Session) -> FormData:
    if request.method != "POST":
        return FormData()
    check_origin(request, (desk.parts.settings.desk.url,))
    form = await read_form(request)
    desk.sessions.check_form(session, form.get("token"))
    return form


def _finish(desk: Desk, request: Request, session: Session | None, made: Page | Response) -> Response:
    token = desk.sessions.form_token(session) if session else ""
    response = desk.renderer.page(request, made, session, token) if isinstance(made, Page) else made
    if session is not None:
        entry.set_cookie(desk, response, desk.sessions.renew(session))
    return response


def _missing(desk: Desk) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def missing(request: Request, error: Exception) -> Response:
        session = desk.sessions.read(request.cookies.get(COOKIE))
        if session is None:
            return desk.renderer.page(request, Page("enter.html", {"left": False}, 401), None)
        status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
        page = problem_with(status, "no_such_page", "there is no such page; go back to the board")
        return desk.renderer.page(request, page, session)

    return missing
