"""Staff at the desk, without a browser: comes in as a user of Airflow, reads pages, sends the forms that they hold."""

import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt

from vault.testing.htmlpage import Element, read_page

_SECONDS = 120.0


class DeskError(Exception):
    """The desk answered with a page that says no.

    :param code: the error's stable code, or ''.
    """

    def __init__(self, status: int, code: str) -> None:
        self.status = status
        self.code = code
        super().__init__(f"{status} {code}")


@dataclass(frozen=True, slots=True)
class BoardLine:
    """One row of the board."""

    ref: str
    stage: str
    exception: str | None


@dataclass(frozen=True, slots=True)
class ReviewDocument:
    """One document of a draft on its page."""

    id: str
    title: str
    pages: int
    text: str


def sign_assertion(
    key_file: Path, roles: Collection[str], *, sub: str = "7", name: str = "", claims: Mapping[str, Any] | None = None
) -> str:
    """Sign an assertion as Airflow's plugin does, for tests without Airflow.

    :param claims: what differs from a good assertion, such as ``aud``; None leaves a claim out.
    """
    now = int(time.time())
    body = {
        "sub": sub,
        "name": name or sub,
        "roles": sorted(roles),
        "aud": "dsr-desk",
        "iat": now,
        "exp": now + 60,
        "jti": secrets.token_hex(16),
        **(claims or {}),
    }
    present = {claim: value for claim, value in body.items() if value is not None}
    return jwt.encode(present, key_file.read_bytes(), algorithm="EdDSA")


def airflow_assertion(airflow_url: str, user: str, password: str) -> str:
    """Sign in to Airflow and take the assertion off its page for the desk.

    :raises httpx.HTTPStatusError: Airflow refuses.
    """
    with httpx.Client(base_url=airflow_url, timeout=_SECONDS) as client:
        answer = client.post("/auth/token", json={"username": user, "password": password}).raise_for_status()
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        page = read_page(client.get("/desk/open", headers=bearer).raise_for_status().text)
    return page.all("form")[0].fields()["assertion"]


class StaffClient:
    """One member of staff at the desk.

    :param http: a client whose base URL is the desk's; without redirects followed.
    """

    def __init__(self, http: httpx.Client, assertion: str) -> None:
        """Come in.

        :raises DeskError: the desk refuses the assertion.
        """
        self.http = http
        self.http.headers["Accept-Language"] = "en"
        self._checked(http.post("/session", data={"assertion": assertion}, follow_redirects=False))

    @classmethod
    def through_airflow(cls, airflow_url: str, desk_url: str, user: str, password: str) -> "StaffClient":
        """Come in as a user of a running Airflow."""
        assertion = airflow_assertion(airflow_url, user, password)
        return cls(httpx.Client(base_url=desk_url, timeout=_SECONDS), assertion)

    @classmethod
    def with_key(
        cls, desk_url: str, key_file: Path, roles: Collection[str], *, sub: str = "7", name: str = ""
    ) -> "StaffClient":
        """Come in with an assertion of one's own."""
        assertion = sign_assertion(key_file, roles, sub=sub, name=name)
        return cls(httpx.Client(base_url=desk_url, timeout=_SECONDS), assertion)

    def page(self, path: str) -> Element:
        """Open a page.

        :raises DeskError: the desk says no.
        """
        return read_page(self._checked(self.http.get(path, follow_redirects=False)).text)

    def raw(self, path: str) -> bytes:
        """Fetch a picture or PDF file."""
        return self._checked(self.http.get(path, follow_redirects=False)).content

    def send(self, form: Element, fields: Mapping[str, str]) -> Element:
        """Send a form with these fields filled in; return the page it leads to."""
        sent = {**form.fields(), **fields}
        answer = self._checked(self.http.post(form.attributes["action"], data=sent, follow_redirects=False))
        return self.page(answer.headers["location"]) if answer.has_redirect_location else read_page(answer.text)

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code >= httpx.codes.BAD_REQUEST:
            codes = read_page(answer.text).all(data_code=None)
            raise DeskError(answer.status_code, codes[0].attributes["data-code"] if codes else "")
        return answer

    def token(self) -> str:
        """Read the session's form token off the first page that has a form; '' when the role sends none."""
        for path in (*(f"/cases/{line.ref}" for line in self.board("?exception=any")), "/audit"):
            found = self.page(path).all("input", name="token") if path != "/audit" or self.may(path) else []
            if found:
                return found[0].attributes["value"]
        return ""

    def may(self, path: str) -> bool:
        """Tell whether a page opens."""
        return self.http.get(path, follow_redirects=False).status_code == httpx.codes.OK

    def board(self, query: str = "") -> list[BoardLine]:
        """Read the board.

        :param query: a filter such as ``?exception=any``.
        """
        rows = self.page(f"/{query}").all("tr", data_ref=None)
        return [
            BoardLine(
                row.attributes["data-ref"], row.attributes["data-stage"], row.attributes["data-exception"] or None
            )
            for row in rows
        ]

    def identity_list(self) -> list[str]:
        """Read the references of cases whose requester is not identified."""
        return [row.attributes["data-ref"] for row in self.page("/identity").all("tr", data_ref=None)]

    def open_identity(self, ref: str) -> dict[str, str]:
        """Open a requester's particulars, and ``stage`` and ``exception`` beside them; what was not given is ''."""
        page = self.page(f"/identity/{ref}")
        case = page.all(data_case=ref)[0].attributes
        fields = {item.attributes["data-field"]: _given(item) for item in page.all(data_field=None)}
        return {**fields, "stage": case["data-stage"], "exception": case["data-exception"]}

    def prove(self, ref: str, evidence: str, note: str) -> Element:
        """Record that identity is proved."""
        return self._act(ref, "prove", {"evidence": evidence, "note": note})

    def ask(self, ref: str, question: str) -> Element:
        """Ask the requester; the clock pauses."""
        return self._act(ref, "ask", {"question": question})

    def correct(self, ref: str, **fields: str) -> Element:
        """Correct what a machine read."""
        return self._act(ref, "correct", fields)

    def close(self, ref: str, closing: str, reason: str) -> Element:
        """Close a case: ``no_request``, ``called_off`` or ``identity_refused``."""
        return self._act(ref, "close", {"closing": closing, "reason": reason})

    def clear(self, ref: str) -> Element:
        """Clear a case's exception."""
        page = self.page(f"/cases/{ref}")
        return self.send(_form(page, f"/cases/{ref}/clear"), {})

    def _act(self, ref: str, verb: str, fields: Mapping[str, str]) -> Element:
        return self.send(_form(self.page(f"/identity/{ref}"), f"/identity/{ref}/{verb}"), fields)

    def review_list(self) -> list[str]:
        """Read the references of drafts that wait for a decision."""
        return [row.attributes["data-ref"] for row in self.page("/review").all("tr", data_ref=None)]

    def open_review(self, ref: str) -> dict[str, ReviewDocument]:
        """Open a draft and read its documents by their ids, in the draft's order."""
        documents = map(_document, self.page(f"/review/{ref}").all("article"))
        return {document.id: document for document in documents}

    def decide(self, ref: str, rulings: Mapping[str, tuple[str, str | None]]) -> Element:
        """Rule on documents, confirm, and return the case's page.

        :param rulings: document -> (``release`` or ``refuse``, ground); documents not named are released.
        """
        page = self.page(f"/review/{ref}")
        fields: dict[str, str] = {}
        for item in page.all("article"):
            name = item.attributes["data-document"]
            ruling, ground = rulings.get(name, ("release", None))
            fields |= {f"ruling-{name}": ruling, f"ground-{name}": ground or ""}
        summary = self.send(_form(page, f"/review/{ref}"), fields)
        return self.send(_form(summary, f"/review/{ref}"), {"confirm": "yes"})

    def leave(self) -> None:
        """End the session."""
        self._checked(self.http.post("/leave"))


def _form(page: Element, action: str) -> Element:
    found = page.all("form", action=action)
    if not found:
        raise DeskError(404, "no_such_form")
    return found[0]


def _given(item: Element) -> str:
    if item.attributes.get("data-found"):
        return item.attributes["data-found"]
    if item.attributes.get("data-given") == "no":
        return ""
    return item.raw if item.tag == "blockquote" else item.text


def _document(item: Element) -> ReviewDocument:
    return ReviewDocument(
        item.attributes["data-document"],
        item.all("h2")[0].text,
        int(item.attributes["data-pages"]),
        item.all("pre")[0].raw,
    )
