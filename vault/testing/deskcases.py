"""A desk over HTTP with cases in every state that its pages know, on real servers, for tests."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import uvicorn
from PIL import Image

from vault.desk.app import create_app
from vault.domain.case import Channel
from vault.domain.request import Request, RequestKind
from vault.steps.check import ask, prove_identity
from vault.steps.collect import collect
from vault.steps.identify import identify
from vault.steps.parts import Parts, Staff
from vault.steps.receive import Incoming, take
from vault.testing import processes
from vault.testing.fill import fill
from vault.testing.installation import Installation, installed, to_toml
from vault.testing.patients import Patient, patients
from vault.testing.staff import StaffClient

HOSTILE_NAME = "Maija \"><b onmouseover='x()'>Meikäläinen</b>"
HOSTILE_MAIL = (
    "From: =?utf-8?q?Matti_=3Cb=3E_Meik=C3=A4l=C3=A4inen?= <matti@requester.example>\r\n"
    "To: vault@controller.example\r\n"
    "Subject: <script>alert('subject')</script>\r\n"
    "X-Long: " + "x" * 300 + "\r\n"
    'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "P\u00e4iv\u00e4\u00e4, \u202eottod\u202c <img src=x onerror=alert(2)>\r\n"
    "--b\r\nContent-Type: text/html\r\n\r\n"
    "<html><script>alert(3)</script><img src='http://tracker.example/1.png'><p>Seen by a browser</p></html>\r\n"
    '--b\r\nContent-Type: application/pgp-encrypted; name="\\"><svg onload=alert(4)>.asc"\r\n\r\nVersion: 1\r\n'
    "--b--\r\n"
).encode()
HOSTILE_TEXT = "Hei,\npyydän kaikki tietoni.\n<script>alert(1)</script> {{ 7*7 }}"
REGISTRAR = Staff("9", "Rekka Registrar", frozenset({"registrar"}))


@dataclass(frozen=True, slots=True)
class RunningDesk:
    """A desk, its installation and the references of its cases by what they wait for."""

    url: str
    installation: Installation
    parts: Parts
    cases: dict[str, str]

    def staff(self, *roles: str, sub: str = "7", name: str = "Sari Staff") -> StaffClient:
        """Let a member of staff come in."""
        return StaffClient.with_key(self.url, self.installation.assertion_key, roles, sub=sub, name=name)


@contextmanager
def running_desk(**limits: int) -> Iterator[RunningDesk]:
    """Run a desk over an installation of its own while inside.

    :param limits: settings of ``limits`` that differ from the defaults.
    """
    with installed() as installation:
        installation.config.write_text(installation.config.read_text("utf-8") + to_toml({"limits": limits}), "utf-8")
        cases = _seed(installation)
        with installation.office("desk") as parts, installation.office("audit") as audit, _served(parts, audit):
            yield RunningDesk(parts.settings.desk.url, installation, parts, cases)


@contextmanager
def _served(parts: Parts, audit: Parts) -> Iterator[None]:
    place = parts.settings.desk
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(parts, audit), host=place.host, port=place.port, access_log=False, log_level="warning"
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        processes.wait_until(lambda: server.started, "the desk")
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=15)


def _seed(installation: Installation) -> dict[str, str]:
    people = list(patients(1, 4))
    with installation.office("registry") as parts:
        if parts.register is not None:
            fill(parts.register, people)
    with installation.office("intake") as parts:
        cases = _arrivals(parts, people)
    with installation.office("collector") as parts:
        identify(parts, list(cases.values()))
    with installation.office("desk") as parts:
        for name in ("draft", "draft_too"):
            prove_identity(parts, REGISTRAR, cases[name], "known_in_person", "Known from care.")
        ask(parts, REGISTRAR, cases["asked"], "Who are you?")
    with installation.office("collector") as parts:
        collect(parts, [cases["draft"], cases["draft_too"]])
    return cases


def _arrivals(parts: Parts, people: list[Patient]) -> dict[str, str]:
    plans = {
        "draft": (_request(people[1]), 3, None),
        "draft_too": (_request(people[3]), 45, None),
        "asked": (_request(people[2]), 5, None),
        "name_differs": (_request(people[0], name=HOSTILE_NAME), 27, None),
        "unknown": (_request(None), 1, None),
        "unknown_too": (_request(None), 1, None),
        "undecryptable": (_request(None, kinds=(), confidence=0.0, text=""), 2, "mail_undecryptable"),
        "to_close": (_request(None, kinds=(), text="Are you open?"), 2, "no_request_found"),
        "to_clear": (_request(None), 2, "automatic_message"),
        "strange": (_request(None), 2, "a_code_from_next_year"),
    }
    cases = {name: _take(parts, name, request, days, why) for name, (request, days, why) in plans.items()}
    empty = _request(None, kinds=(), confidence=0.0, text="", name=None)
    return {**cases, "scan": _take(parts, "scan", empty, 4, "scan_weak_code", scan=a_scan())}


def _request(patient: Patient | None, **changes: object) -> Request:
    values: dict[str, Any] = {
        "kinds": (RequestKind.INSPECTION, RequestKind.LOG),
        "confidence": 0.9,
        "language": patient.language if patient else "fi",
        "on_behalf": False,
        "name": patient.name if patient else HOSTILE_NAME,
        "code": patient.code if patient else None,
        "email": "someone@requester.example",
        "address": None,
        "answer_by": None,
        "text": HOSTILE_TEXT,
        "case_ref": None,
        "one_time_code": None,
        **changes,
    }
    return Request(**values)


def _take(parts: Parts, name: str, request: Request, days: int, why: str | None, *, scan: bytes | None = None) -> str:
    particulars: dict[str, Any] = {
        "request": request.to_json(),
        "reply_to": request.email,
        "from": request.email,
        "subject": HOSTILE_NAME,
        "attachments": [{"name": HOSTILE_NAME, "type": "text/plain", "size": 12}],
        "sender_proof": {"kind": "valid", "fingerprint": 40 * "A", "from_matches": True},
        "keys": [],
    }
    incoming = Incoming(
        channel=Channel.POST if scan else Channel.MAIL,
        source=f"test|{name}",
        same=name.encode(),
        original=scan or HOSTILE_MAIL,
        received_at=parts.now() - timedelta(days=days),
        language=request.language,
        particulars={"request": request.to_json(), "reply_to": None, "pages": [1]} if scan else particulars,
        exception=why,
    )
    return take(parts, incoming).case.ref


def a_scan() -> bytes:
    """Return a scanned page: white, with a dark band."""
    page = Image.new("L", (826, 1169), 255)
    page.paste(40, (100, 100, 700, 140))
    target = io.BytesIO()
    page.save(target, "PNG")
    return target.getvalue()
