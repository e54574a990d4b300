"""Coming in: only a fresh assertion of the right key, for the desk, for one use; sessions end and are not forged."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from vault.desk.sessions import COOKIE, Session, Sessions
from vault.settings import read_secret
from vault.steps.parts import Staff
from vault.testing.deskcases import RunningDesk, running_desk
from vault.testing.staff import DeskError, StaffClient, sign_assertion


@pytest.fixture(scope="module")
def desk() -> Iterator[RunningDesk]:
    with running_desk() as running:
        yield running


def knock(desk: RunningDesk, assertion: str, origin: str | None = None) -> httpx.Response:
    headers = {"Origin": origin} if origin else {}
    return httpx.post(f"{desk.url}/session", data={"assertion": assertion}, headers=headers)


def browse(desk: RunningDesk, cookie: str, path: str = "/") -> int:
    return httpx.get(desk.url + path, headers={"Cookie": f"{COOKIE}={cookie}"}).status_code


def a_session(desk: RunningDesk, **changes: object) -> tuple[Sessions, Session]:
    now = desk.parts.now()
    session = Session("ab" * 16, Staff("7", "Sari Staff", frozenset({"dpo"})), now, now)
    return Sessions(desk.parts), replace(session, **changes)  # type: ignore[arg-type]  # fields of Session


@pytest.mark.parametrize(
    ("roles", "room"), [(["dpo"], "/"), (["clinician"], "/review"), (["registrar"], "/identity"), (["auditor"], "/")]
)
def test_an_assertion_opens_the_room_of_the_role(desk: RunningDesk, roles: list[str], room: str) -> None:
    answer = knock(desk, sign_assertion(desk.installation.assertion_key, roles))

    assert (answer.status_code, answer.headers["location"]) == (303, room)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-desk"},
        {"aud": None},
        {"exp": int(time.time()) - 5, "iat": int(time.time()) - 60},
        {"exp": int(time.time()) + 4000},
        {"iat": int(time.time()) + 4000, "exp": int(time.time()) + 4050},
        {"exp": None},
        {"jti": None},
        {"sub": None},
        {"roles": []},
        {"roles": ["admin", "root"]},
        {"roles": "dpo"},
        {"roles": None},
    ],
    ids=[
        *("audience", "no audience", "ended", "too long", "not yet", "no end", "no number", "nobody", "no role"),
        *("strange roles", "roles no list", "roles missing"),
    ],
)
def test_an_assertion_with_a_wrong_claim_is_refused(desk: RunningDesk, claims: dict[str, object]) -> None:
    answer = knock(desk, sign_assertion(desk.installation.assertion_key, ["dpo"], claims=claims))

    assert answer.status_code == 403
    assert "assertion_refused" in answer.text
    assert "set-cookie" not in answer.headers


def test_roles_that_the_desk_does_not_know_give_nothing(desk: RunningDesk) -> None:
    client = StaffClient(
        httpx.Client(base_url=desk.url), sign_assertion(desk.installation.assertion_key, ["auditor", "admin"])
    )

    with pytest.raises(DeskError, match="403 role_refused"):
        client.page("/identity")


def test_an_assertion_works_once(desk: RunningDesk) -> None:
    assertion = sign_assertion(desk.installation.assertion_key, ["dpo"])

    assert [knock(desk, assertion).status_code for _ in range(2)] == [303, 403]


def test_an_assertion_of_another_key_is_refused(desk: RunningDesk, tmp_path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key").write_bytes(pem)

    assert knock(desk, sign_assertion(tmp_path / "key", ["dpo"])).status_code == 403


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_an_assertion_without_an_ed25519_signature_is_refused(desk: RunningDesk, algorithm: str) -> None:
    now = int(time.time())
    claims = {"sub": "7", "roles": ["dpo"], "aud": "dsr-desk", "iat": now, "exp": now + 60, "jti": "0" * 32}

    forged = jwt.encode(claims, "k" * 32 if algorithm == "HS256" else "", algorithm=algorithm)

    assert knock(desk, forged).status_code == 403


@pytest.mark.parametrize("rubbish", ["", "x", "a.b.c", "é" * 200, "." * 5000])
def test_rubbish_is_refused(desk: RunningDesk, rubbish: str) -> None:
    assert knock(desk, rubbish).status_code == 403


def test_the_way_in_is_open_to_airflows_page_alone(desk: RunningDesk) -> None:
    places = desk.parts.settings.desk
    origins = (places.url, places.airflow_url, "null", "http://evil.example")

    answers = [knock(desk, sign_assertion(desk.installation.assertion_key, ["dpo"]), origin) for origin in origins]

    assert [answer.status_code for answer in answers] == [303, 303, 303, 403]


def test_a_session_ends_after_idle_and_after_eight_hours(desk: RunningDesk) -> None:
    now = desk.parts.now()
    sessions, fresh = a_session(desk)
    idle = replace(fresh, seen=now - timedelta(minutes=31))
    old = replace(fresh, began=now - timedelta(hours=8, seconds=5))

    assert [browse(desk, sessions.seal(one)) for one in (fresh, idle, old)] == [200, 401, 401]


def test_a_forged_cookie_opens_nothing(desk: RunningDesk) -> None:
    sessions, session = a_session(desk)
    good = sessions.seal(session)
    claims = jwt.decode(good, options={"verify_signature": False})
    cookies = {
        "changed": good[:-3] + ("aaa" if not good.endswith("aaa") else "bbb"),
        "none": jwt.encode(claims, "", algorithm="none"),
        "another secret": jwt.encode(claims, "x" * 40, algorithm="HS256"),
        "no name": jwt.encode({"exp": claims["exp"]}, _secret(desk), algorithm="HS256"),
        "no end": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, _secret(desk), algorithm="HS256"),
        "no role": jwt.encode({**claims, "roles": ["root"]}, _secret(desk), algorithm="HS256"),
        "strange roles": jwt.encode({**claims, "roles": 7}, _secret(desk), algorithm="HS256"),
    }

    assert browse(desk, good) == 200
    assert {name: browse(desk, cookie) for name, cookie in cookies.items()} == dict.fromkeys(cookies, 401)


def _secret(desk: RunningDesk) -> str:
    return read_secret(desk.parts.settings.desk.session_secret_file)


def test_leaving_ends_copies_of_the_cookie_too(desk: RunningDesk) -> None:
    sessions, session = a_session(desk, ref="cd" * 16)
    cookie = sessions.seal(session)

    before = browse(desk, cookie)
    left = httpx.post(f"{desk.url}/leave", headers={"Cookie": f"{COOKIE}={cookie}"})

    assert (before, left.status_code, browse(desk, cookie)) == (200, 200, 401)


@pytest.mark.parametrize("path", ["/leave", "/language"])
def test_leaving_and_choosing_a_language_are_not_for_other_sites(desk: RunningDesk, path: str) -> None:
    answers = [
        httpx.post(desk.url + path, data={"language": "sv"}, headers={"Origin": origin})
        for origin in ("http://evil.example", "null", desk.parts.settings.desk.airflow_url, desk.url)
    ]

    assert [answer.status_code >= 400 for answer in answers] == [True, True, True, False]


def test_a_language_is_chosen_by_the_reader_then_the_browser_then_finnish(desk: RunningDesk) -> None:
    chosen = httpx.post(f"{desk.url}/language", data={"language": "sv", "back": "/cases/x"})
    cookie = {"Cookie": chosen.headers["set-cookie"].split(";")[0], "Accept-Language": "en"}

    pages = [httpx.get(f"{desk.url}/", headers=headers).text for headers in (cookie, {"Accept-Language": "en-GB"}, {})]

    assert chosen.headers["location"] == "/cases/x"
    assert [page.split('lang="')[1][:2] for page in pages] == ["sv", "en", "fi"]


@pytest.mark.parametrize("back", ["http://evil.example/", "//evil.example", "/\\evil.example", "evil", "/a\r\nX: y"])
def test_choosing_a_language_leads_nowhere_else(desk: RunningDesk, back: str) -> None:
    answer = httpx.post(f"{desk.url}/language", data={"language": "sv", "back": back})

    assert answer.headers["location"] == "/"
