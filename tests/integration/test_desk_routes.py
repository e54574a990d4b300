"""The table of routes is the whole of the desk: each route for each role, and what every answer forbids the browser."""

from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount

from vault.desk.app import create_app
from vault.desk.routes import ROUTES
from vault.desk.visit import Route
from vault.domain.roles import Role
from vault.testing.deskcases import RunningDesk, running_desk
from vault.testing.staff import StaffClient

DOORS = {("GET", "/healthz"), ("POST", "/session"), ("POST", "/leave"), ("POST", "/language")}
CASE = "DSR-2026-000000"  # no such case: who may pass is told 404, 409 or 422, who may not 403


@pytest.fixture(scope="module")
def desk() -> Iterator[RunningDesk]:
    with running_desk() as running:
        yield running


@pytest.fixture(scope="module")
def staff(desk: RunningDesk) -> dict[Role, StaffClient]:
    return {role: desk.staff(role.value) for role in Role}


def url_of(route: Route) -> str:
    return route.path.format(ref=CASE, document="visits", page="1", arrival="0123456789abcdef", place="1")


def ask_for(desk: RunningDesk, route: Route, client: StaffClient | None) -> int:
    http = client.http if client else httpx.Client(base_url=desk.url)
    if route.method == "GET":
        return http.get(url_of(route)).status_code
    return http.post(url_of(route), data={"token": client.token() if client else ""}).status_code


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_each_route_opens_for_its_roles_and_no_others(
    desk: RunningDesk, staff: dict[Role, StaffClient], route: Route
) -> None:
    answers = {role: ask_for(desk, route, client) for role, client in staff.items()}

    assert {role for role, status in answers.items() if status != 403} == route.roles
    assert all(status in (200, 403, 404, 409, 422) for status in answers.values()), answers
    assert ask_for(desk, route, None) == 401


def test_nothing_is_served_beside_the_table(desk: RunningDesk) -> None:
    app = create_app(desk.parts)

    served = {(method, item.path) for item in app.routes if isinstance(item, APIRoute) for method in item.methods}

    assert served == {(route.method, route.path) for route in ROUTES} | DOORS
    assert [item.path for item in app.routes if isinstance(item, Mount)] == ["/static"]
    assert len(app.routes) == len(served) + 1


def test_only_reading_is_open_to_the_auditor_and_the_operator() -> None:
    forms = [route.path for route in ROUTES if route.roles & {Role.AUDITOR, Role.OPERATOR} and route.method != "GET"]

    assert forms == ["/audit"]  # a search, whose terms belong into no address


@pytest.mark.parametrize("token", ["", "0" * 64, None])
def test_a_form_without_its_sessions_token_is_refused(
    desk: RunningDesk, staff: dict[Role, StaffClient], token: str | None
) -> None:
    data = {} if token is None else {"token": token}

    answer = staff[Role.DPO].http.post(f"/cases/{desk.cases['unknown']}/clear", data=data)

    assert (answer.status_code, "form_refused" in answer.text) == (403, True)


def test_a_form_of_another_session_is_refused(desk: RunningDesk, staff: dict[Role, StaffClient]) -> None:
    foreign = {"token": desk.staff("dpo").token()}

    answer = staff[Role.DPO].http.post(f"/cases/{desk.cases['unknown']}/clear", data=foreign)

    assert answer.status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_a_form_from_elsewhere_is_refused(desk: RunningDesk, staff: dict[Role, StaffClient], origin: str) -> None:
    form = {"token": staff[Role.DPO].token()}
    url = f"/cases/{desk.cases['unknown']}/clear"

    answer = staff[Role.DPO].http.post(url, data=form, headers={"Origin": origin})

    assert (answer.status_code, "origin_refused" in answer.text) == (403, True)


@pytest.mark.parametrize("path", ["/", "/nothing", "/healthz", "/static/desk.css"])
def test_every_answer_binds_the_browser(desk: RunningDesk, path: str) -> None:
    headers = httpx.get(desk.url + path).headers
    policy = headers["content-security-policy"]

    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert f"frame-ancestors 'self' {desk.parts.settings.desk.airflow_url}" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script" not in policy


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_no_way_in(desk: RunningDesk, staff: dict[Role, StaffClient], method: str) -> None:
    assert staff[Role.DPO].http.request(method, "/").status_code == 405
    assert httpx.request(method, f"{desk.url}/").status_code == 401


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"x" * 300_000, "application/x-www-form-urlencoded"),
        (b"--b\r\nrubbish", "multipart/form-data; boundary=b"),
        (
            b'--b\r\nContent-Disposition: form-data; name="a"; filename="x"\r\n\r\nz\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
        (b"\xff\xfe=%zz&&==", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
    ],
)
def test_a_form_that_is_none_is_refused_politely(
    desk: RunningDesk, staff: dict[Role, StaffClient], body: bytes, kind: str
) -> None:
    answer = staff[Role.DPO].http.post(
        f"/cases/{desk.cases['unknown']}/clear", content=body, headers={"Content-Type": kind}
    )

    assert answer.status_code in (403, 413, 422)


@pytest.mark.parametrize(
    "query",
    ["?page=0", "?page=-1", "?page=99999999999999", "?page=x", "?stage=nope&exception=%3Cscript%3E", "?%00=%ff"],
)
def test_a_strange_filter_is_no_fault(staff: dict[Role, StaffClient], query: str) -> None:
    assert staff[Role.DPO].http.get(f"/{query}").status_code == 200


@pytest.mark.parametrize(
    "path", ["/cases/x", "/cases/DSR-2026-ILOU00", "/cases/%00", "/nothing", "/cases/DSR-2026-000000"]
)
def test_what_is_not_there_is_a_page_that_says_so(staff: dict[Role, StaffClient], path: str) -> None:
    answer = staff[Role.DPO].http.get(path)

    assert answer.status_code == 404
    assert "no_such_" in answer.text
