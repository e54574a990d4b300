"""A FHIR R4 server in a process of its own: real-shaped bundles, HAPI's pages and errors, OAuth2, faults on demand.

It is no FHIR implementation: it knows what a register is asked for, in the way HAPI FHIR answers, and
notes every request, so that a test can look at what left the product.
"""

import base64
import json
import secrets
import shutil
import ssl
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from vault.settings import RegisterSettings
from vault.testing.certificates import make_certificates
from vault.testing.places import guarded, private_directory, write_private
from vault.testing.ports import answers, free_port
from vault.testing.processes import launch, stop, wait_until

Resource = dict[str, Any]
_CLIENT: Final = "dsr-vault"
_PAGE: Final = 20  # entries, as HAPI's own default


@dataclass(frozen=True, slots=True)
class FhirServer:
    """A server that runs now.

    :param home: its certificates and the client's secret.
    """

    home: Path
    port: int

    @property
    def url(self) -> str:
        """The base URL."""
        return f"https://127.0.0.1:{self.port}/fhir"

    def settings(self, **changes: Any) -> RegisterSettings:
        """Return the settings with which the product reaches it."""
        values: dict[str, Any] = {
            "kind": "fhir",
            "url": self.url,
            "token_url": f"https://127.0.0.1:{self.port}/token",
            "client_id": _CLIENT,
            "client_secret_file": self.home / "secret",
            "ca_file": self.home / "ca.pem",
            "timeout_seconds": 5.0,
        }
        return RegisterSettings(**values | changes)

    def fault(self, name: str, times: int = 1) -> None:
        """Have the next requests for data fail in this way."""
        self._control({"fault": name, "times": times})

    def requests(self) -> list[dict[str, str]]:
        """Return every request so far: method, path with query, and body."""
        return list(self._control({})["requests"])

    def created(self) -> list[Resource]:
        """Return what clients have created."""
        return list(self._control({})["created"])

    def _control(self, body: Resource) -> Resource:
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}/control", json.dumps(body).encode())
        context = ssl.create_default_context(cafile=str(self.home / "ca.pem"))
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:  # noqa: S310 - https
            return dict(json.load(answer))


@contextmanager
def fhir_server(resources: Sequence[Resource]) -> Iterator[FhirServer]:
    """Run a server over these resources while inside."""
    home = private_directory("dsrf-")
    server = FhirServer(home, free_port())
    try:
        make_certificates(home)
        write_private(home / "secret", secrets.token_urlsafe(24))
        write_private(home / "data", json.dumps(resources))
        command = [sys.executable, "-m", "vault.testing.fhir_server", str(home), str(server.port)]
        process = launch(command, log=home / "log", cwd=Path.cwd())
        try:
            wait_until(lambda: answers(server.port), "the FHIR server", process=process)
            with guarded([process], home):
                yield server
        finally:
            stop(process)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@dataclass(slots=True)
class _World:
    """What the server holds."""

    resources: list[Resource]
    secret: str
    base: str
    tokens: set[str] = field(default_factory=set)
    pages: dict[str, list[Resource]] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)
    created: list[Resource] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def everything(self, ident: str) -> list[Resource]:
        """Return a patient, all that refers to her, and all professionals."""
        own = json.dumps({"reference": f"Patient/{ident}"})[1:-1]
        shared = ("Practitioner", "Organization")
        return [
            item
            for item in self.resources
            if (item["resourceType"], item.get("id")) == ("Patient", ident)
            or item["resourceType"] in shared
            or own in json.dumps(item)
        ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write no log: requests are noted in memory."""

    def do_GET(self) -> None:
        """Answer a read or a page."""
        self._serve("")

    def do_POST(self) -> None:
        """Answer a token request, a search or a creation."""
        self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())

    def _serve(self, body: str) -> None:
        world, parts = self.server.world, urlsplit(self.path)
        if parts.path == "/control":
            return self._control(json.loads(body))
        world.requests.append({"method": self.command, "path": self.path, "body": body})
        if parts.path == "/token":
            return self._token(body)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in world.tokens:
            return self._outcome(401, "HAPI-0333: no token of ours")
        fault = world.faults.pop(0) if world.faults else ""
        if not self._fail(fault):
            self._answer(parts.path.removeprefix("/fhir").strip("/"), parse_qs(parts.query), body, fault)
        return None

    def _answer(self, path: str, query: dict[str, list[str]], body: str, fault: str) -> None:
        world = self.server.world
        if "_getpages" in query:
            return self._page(query["_getpages"][0], int(query["_getpagesoffset"][0]), fault)
        if path == "Patient/_search":
            wanted = parse_qs(body).get("identifier", [""])[0]
            known = [item for item in world.resources if item["resourceType"] == "Patient"]
            found = [p for p in known if wanted in [f"{i.get('system')}|{i['value']}" for i in p["identifier"]]]
            return self._bundle(known if fault == "ignored_search" else found, fault)
        if path == "Communication" and self.command == "POST":
            return self._create(json.loads(body))
        ident = path.removeprefix("Patient/").removesuffix("/$everything")
        found = [item for item in world.resources if (item["resourceType"], item.get("id")) == ("Patient", ident)]
        if not found:
            return self._outcome(404, f"HAPI-2001: Resource Patient/{ident} is not known")
        if path.endswith("/$everything"):
            return self._bundle(world.everything(ident), fault)
        return self._json(200, found[0])

    def _create(self, content: Resource) -> None:
        world, wanted = self.server.world, content.get("identifier")
        known = [item for item in world.created if item.get("identifier") == wanted]
        if not known:
            world.created.append(content)
        self._json(200 if known else 201, content)

    def _bundle(self, resources: list[Resource], fault: str) -> None:
        name = secrets.token_hex(8)
        self.server.world.pages[name] = resources
        self._page(name, 0, fault)

    def _page(self, name: str, offset: int, fault: str) -> None:
        world = self.server.world
        if name not in world.pages:
            return self._outcome(410, "HAPI-0417: Search ID does not exist and may have expired")
        resources = world.pages[name]
        total, step = len(resources), _PAGE
        if fault == "repeated":
            offset = max(0, offset - 5)
        shown = resources[offset : offset + step]
        if fault == "stranger":
            shown = [*shown, {"resourceType": "Observation", "id": "x", "subject": {"reference": "Patient/stranger"}}]
        links = [{"relation": "self", "url": f"{world.base}{self.path}"}]
        if offset + step < total and fault != "short":
            links.append({"relation": "next", "url": self._next(name, offset + step, fault)})
        entries = [_entry(world.base, item) for item in shown]
        bundle = {"resourceType": "Bundle", "id": name, "type": "searchset", "total": total, "link": links}
        return self._json(200, {**bundle, "entry": entries})

    def _next(self, name: str, offset: int, fault: str) -> str:
        world = self.server.world
        if fault == "ring":
            offset = 0
        base = "https://elsewhere.example/fhir" if fault == "elsewhere" else world.base
        query = f"_getpages={name}&_getpagesoffset={offset}&_count={_PAGE}&_bundletype=searchset"
        if fault == "ring":
            world.faults.insert(0, "ring")
        return f"{base}?{query}"

    def _fail(self, fault: str) -> bool:
        """Answer with a fault; False where the answer goes on."""
        status = {"unauthorized": 401, "forbidden": 403, "gone": 410, "unwell": 500, "busy": 429, "later": 429}
        if fault in status:
            more = {"busy": {"Retry-After": "1"}, "later": {"Retry-After": "3600"}}.get(fault, {})
            if fault == "unauthorized":
                self.server.world.tokens.clear()
            self._outcome(status[fault], "HAPI-0001: a fault was asked for", more)
        elif fault == "outcome":
            self._outcome(200, "HAPI-0389: failed to call access method")
        elif fault == "truncated":
            self._raw(200, b'{"resourceType": "Bundle", "entry": [{"res', {})
        elif fault == "cut":
            self._raw(200, b'{"resourceType"', {}, announced=5000)
        elif fault == "redirect":
            self._raw(302, b"", {"Location": "https://elsewhere.example/fhir"})
        elif fault == "silent":
            self.server.stopped.wait(20)
        else:
            return False
        return True

    def _token(self, body: str) -> None:
        world = self.server.world
        wanted = base64.b64encode(f"{_CLIENT}:{world.secret}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {wanted}" or "client_credentials" not in body:
            return self._json(401, {"error": "invalid_client"})
        token = secrets.token_urlsafe(24)
        world.tokens.add(token)
        return self._json(200, {"access_token": token, "token_type": "Bearer", "expires_in": 300})

    def _control(self, order: Resource) -> None:
        world = self.server.world
        if "fault" in order:
            world.faults = [order["fault"]] * order["times"]
        self._json(200, {"requests": world.requests, "created": world.created})

    def _outcome(self, status: int, words: str, headers: dict[str, str] | None = None) -> None:
        issue = {"severity": "error", "code": "processing", "diagnostics": words}
        self._json(status, {"resourceType": "OperationOutcome", "issue": [issue]}, headers)

    def _json(self, status: int, content: Resource, headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(content).encode(), headers or {})

    def _raw(self, status: int, body: bytes, headers: dict[str, str], announced: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/fhir+json;charset=UTF-8", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(announced or len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = announced is not None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    world: _World
    stopped: threading.Event


def _entry(base: str, resource: Resource) -> Resource:
    address = f"{base}/{resource['resourceType']}/{resource.get('id')}"
    mode = "include" if resource["resourceType"] in ("Practitioner", "Organization") else "match"
    return {"fullUrl": address, "resource": resource, "search": {"mode": mode}}


def main(home: Path, port: int) -> None:
    """Serve until the process ends."""
    server = _Server(("127.0.0.1", port), _Handler)
    secret = (home / "secret").read_text(encoding="utf-8").strip()
    data = json.loads((home / "data").read_text(encoding="utf-8"))
    server.world = _World(data, secret, f"https://127.0.0.1:{port}/fhir")
    server.stopped = threading.Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "server.pem", home / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
