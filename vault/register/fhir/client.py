"""A FHIR R4 server over HTTPS: one token at a time, one server, pages that end, and errors that name nobody.

The token comes by OAuth2 client credentials (RFC 6749 s. 4.4) and is fetched anew when it has run out or is
refused. No redirect is followed and no page is taken from another origin, so that the token and the
question reach nobody else.
"""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, Self
from urllib.parse import urljoin, urlsplit

import httpx
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

from vault.domain.private import Private
from vault.errors import LimitError, NotAllowedError, OutOfReachError, RefusedError, VaultError
from vault.register.fhir.elements import Content
from vault.register.fhir.parse import parse
from vault.settings import RegisterSettings, read_secret

_JSON: Final = "application/fhir+json"
_OK, _CREATED, _UNAUTHORIZED, _FORBIDDEN, _TOO_MANY, _UNAVAILABLE, _ERRORS = 200, 201, 401, 403, 429, 503, 500
_GONE: Final = frozenset({404, 410})
_SHORTEST_WAIT: Final = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Response(Private, shows=("status",)):
    """What a server answered.

    :param content: the JSON object; empty where there is none.
    """

    status: int
    content: Content


class FhirClient(Private):
    """Asks one FHIR server.

    :param settings: where it is, and as whom we come.
    :param sleep: waits so many seconds; where the server asks for more than ``timeout_seconds``, nobody waits.
    """

    __slots__ = ("_client", "_origin", "_settings", "_sleep", "base")

    def __init__(self, settings: RegisterSettings, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.base = settings.url.rstrip("/")
        self._settings = settings
        self._sleep = sleep
        self._origin = _origin(self.base)
        self._client = _client(settings)

    def close(self) -> None:
        """Close the connections; the token is forgotten."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Response:
        """Read a resource; nothing personal belongs into the path or the parameters.

        :raises VaultError: see :meth:`search`; a resource that is not there answers with its status.
        """
        return self._ask("GET", f"{self.base}/{path}", params=dict(parameters or {}))

    def search(self, kind: str, form: Mapping[str, str]) -> Response:
        """Search by POST (R4 s. 3.1.1.4.1), so that what is sought stands in no address and no log of addresses.

        :raises OutOfReachError: the server does not answer in time, answers with 5xx, or wants us to wait longer.
        :raises NotAllowedError: it does not let us in.
        :raises RefusedError: it refuses the question.
        """
        return self._ask("POST", f"{self.base}/{kind}/_search", data=dict(form))

    def create(self, kind: str, content: Content, unless: str) -> Response:
        """Create a resource, unless one is there that fits a search (R4 s. 3.1.0.8.1)."""
        return self._ask("POST", f"{self.base}/{kind}", json=content, headers={"If-None-Exist": unless})

    def pages(self, first: Response) -> Iterator[Content]:
        """Yield a Bundle and the ones that follow, each from the same origin and each once.

        :raises OutOfReachError: a page is no Bundle, leads elsewhere, or leads in a ring.
        :raises LimitError: there are more pages than ``register.pages``.
        """
        seen: set[str] = set()
        answer = first
        while True:
            if answer.content.get("resourceType") != "Bundle":
                raise _broken("an answer is no Bundle")
            yield answer.content
            url = self._next(answer.content)
            if url is None:
                return
            if url in seen:
                raise _broken("its pages lead in a ring")
            seen.add(url)
            if len(seen) >= self._settings.pages:
                raise LimitError(
                    "fhir_too_many_pages", "the answer has more pages than register.pages allows; raise it"
                )
            answer = self._ask("GET", url)

    def _next(self, bundle: Content) -> str | None:
        links = bundle.get("link")
        found = [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []
        urls = [link.get("url") for link in found if link.get("relation") == "next"]
        if not urls:
            return None
        if not isinstance(urls[0], str):
            raise _broken("a page's link is no address")
        url = urljoin(f"{self.base}/", urls[0])
        if _origin(url) != self._origin:
            raise _broken("a page's link leads to another server")
        return url

    def _ask(self, method: str, url: str, **content: Any) -> Response:
        """Ask, wait as the server asks, and come with a new token once where the old one is refused."""
        patience, fresh = self._settings.timeout_seconds, False
        while True:
            status, headers, body = self._exchange(method, url, **content)
            if status == _UNAUTHORIZED and not fresh:
                fresh = True
                self._client.token = None
                continue
            wait = _retry_after(headers) if status in (_TOO_MANY, _UNAVAILABLE) else None
            if wait is not None and wait <= patience:
                patience -= max(wait, _SHORTEST_WAIT)
                self._sleep(max(wait, _SHORTEST_WAIT))
                continue
            return _judged(status, body)

    def _exchange(self, method: str, url: str, **content: Any) -> tuple[int, httpx.Headers, bytes]:
        headers = {"Accept": _JSON, **content.pop("headers", {})}
        try:
            self._hold_token()
            with self._client.stream(method, url, headers=headers, **content) as response:
                return response.status_code, response.headers, self._body(response)
        except OAuthError:
            raise NotAllowedError(
                "fhir_token_refused",
                "the FHIR server's token endpoint refuses us; check client_id, "
                "client_secret_file and scope in [register]",
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError):
            raise OutOfReachError(
                "fhir_away", "the FHIR server does not answer; check [register] and try again"
            ) from None

    def _hold_token(self) -> None:
        if not self._client.token:  # one that runs out is fetched anew by the library
            self._client.fetch_token(self._settings.token_url, grant_type="client_credentials")

    def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if len(body) > self._settings.answer_bytes:
                raise LimitError("fhir_too_large", "the answer is larger than register.answer_bytes allows; raise it")
        return bytes(body)


def _client(settings: RegisterSettings) -> Any:
    if settings.client_secret_file is None:
        raise NotAllowedError("fhir_no_secret", "set register.client_secret_file")
    context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    return OAuth2Client(
        client_id=settings.client_id,
        client_secret=read_secret(settings.client_secret_file),
        scope=settings.scope,
        token_endpoint=settings.token_url,
        grant_type="client_credentials",
        token_endpoint_auth_method="client_secret_basic",  # noqa: S106 - a method's name
        verify=context,
        timeout=settings.timeout_seconds,
        follow_redirects=False,
        trust_env=False,
    )


def _judged(status: int, body: bytes) -> Response:
    """Return what is an answer and raise what is none; the server's own words stay out, they may hold names."""
    if status in _GONE:
        return Response(status, {})
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        raise NotAllowedError(
            "fhir_refused", "the FHIR server does not let us do this; check the client's rights there"
        )
    if status == _TOO_MANY or status >= _ERRORS:
        raise OutOfReachError("fhir_unwell", f"the FHIR server answered {status}; the step runs again")
    if status not in (_OK, _CREATED):
        raise RefusedError("fhir_question_refused", f"the FHIR server answered {status}; does it know this search?")
    try:
        content = parse(body) if body.strip() else {}
    except RefusedError:
        raise _broken("an answer is no whole JSON") from None
    if content.get("resourceType") == "OperationOutcome" and _fatal(content):
        raise RefusedError("fhir_outcome", "the FHIR server answered with an error; see its own log")
    return Response(status, content)


def _fatal(outcome: Content) -> bool:
    issues = outcome.get("issue")
    found = issues if isinstance(issues, list) else []
    return any(isinstance(issue, dict) and issue.get("severity") in ("fatal", "error") for issue in found)


def _retry_after(headers: httpx.Headers) -> float | None:
    """Read RFC 9110 s. 10.2.3: seconds, or a date."""
    value = headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or 443


def _broken(what: str) -> VaultError:
    return OutOfReachError("fhir_answer_broken", f"the FHIR server can't be relied on: {what}; tell who runs it")
