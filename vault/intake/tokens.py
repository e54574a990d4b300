"""Access tokens for a mailbox (OAuth2, RFC 6749): fetched when needed, kept in memory a while, never written."""

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus

import httpx

from vault.domain.private import Private
from vault.errors import OutOfReachError, WrongUseError
from vault.intake.trust import trust
from vault.settings import read_secret
from vault.settings_mailbox import MailboxSettings

_SECONDS: Final = 30.0  # for the token server's answer
_LONGEST: Final = 3600.0  # seconds that a token is kept, whatever the server allows
_EARLY: Final = 60.0  # seconds before its end from which a token is not used any more
_UNTOLD: Final = 300.0  # seconds, where the server does not tell (RFC 6749 s. 5.1 only recommends it)
_ANSWER: Final = 65_536  # bytes
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # b64token, RFC 6750 s. 2.1
_OK: Final = 200
_REFUSALS: Final = frozenset({400, 401, 403})


class AccessTokens(Private):
    """Gives the access token of one mailbox.

    :param settings: the token server, and as whom we come.
    :param clock: seconds that only grow.
    """

    def __init__(self, settings: MailboxSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._token = ""
        self._until = 0.0

    @property
    def kept(self) -> bool:
        """Tell whether a token is at hand that should still be good."""
        return bool(self._token) and self._clock() < self._until

    def current(self) -> str:
        """Return a token, from memory while it is good.

        :raises OutOfReachError: the token server does not answer (``mailbox_token_away``), refuses us
            (``mailbox_token_refused``), or gives no token (``mailbox_token_malformed``).
        :raises WrongUseError: a secret's file can't be read.
        """
        if not self.kept:
            asked = self._clock()
            answer = self._ask()
            self._token, seconds = _token(answer), _seconds(answer)
            self._until = asked + min(seconds, _LONGEST) - _EARLY
            self._renew(answer.get("refresh_token"))
        return self._token

    def forget(self) -> None:
        """Forget the token, which was refused."""
        self._token = ""

    def _ask(self) -> dict[str, Any]:
        settings = self._settings
        context = trust(settings.token_ca_file, "mailbox.token_ca_file")
        form, headers = self._form()
        try:
            with (
                httpx.Client(verify=context, timeout=_SECONDS, follow_redirects=False, trust_env=False) as client,
                client.stream("POST", settings.token_url, data=form, headers=headers) as response,
            ):
                return _judged(response.status_code, _body(response))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError):
            msg = "the token server does not answer; check mailbox.token_url and its certificate"
            raise OutOfReachError("mailbox_token_away", msg) from None

    def _form(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Return the question: a refresh token where there is one (s. 6), else client credentials (s. 4.4)."""
        settings = self._settings
        form = {"grant_type": "client_credentials"}
        if settings.refresh_token_file is not None:
            form = {"grant_type": "refresh_token", "refresh_token": read_secret(settings.refresh_token_file)}
        if settings.scope:
            form["scope"] = settings.scope
        headers = {"Accept": "application/json"}
        if settings.client_secret_file is None:
            return {**form, "client_id": settings.client_id}, headers  # a public client (s. 3.2.1)
        basic = httpx.BasicAuth(  # both halves are form-encoded first (s. 2.3.1)
            quote_plus(settings.client_id), quote_plus(read_secret(settings.client_secret_file))
        )
        request = next(basic.auth_flow(httpx.Request("POST", settings.token_url)))
        return form, {**headers, "Authorization": request.headers["Authorization"]}

    def _renew(self, token: object) -> None:
        """Keep a refresh token that the server gave in the old one's place (s. 6)."""
        path = self._settings.refresh_token_file
        if path is None or not isinstance(token, str) or not _TOKEN.fullmatch(token) or token == read_secret(path):
            return
        try:
            _replace(path, token)
        except OSError:
            msg = "the token server changed the refresh token; make the folder of mailbox.refresh_token_file writable"
            raise WrongUseError("mailbox_refresh_token", msg) from None


def _replace(path: Path, token: str) -> None:
    """Write a secret in one step, as readable as the old one was."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    old = path.stat()
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(token)
            file.flush()
            os.fchmod(file.fileno(), old.st_mode & 0o660)
            with suppress(PermissionError):  # we are not in that group
                os.fchown(file.fileno(), -1, old.st_gid)
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > _ANSWER:
            raise _malformed()
    return bytes(body)


def _judged(status: int, body: bytes) -> dict[str, Any]:
    """Return the answer of s. 5.1; the server's own words stay out, they may hold a name or the secret."""
    if status in _REFUSALS:
        msg = "the token server refuses us; check mailbox.client_id, its secret, the refresh token and the scope"
        raise OutOfReachError("mailbox_token_refused", msg)
    if status != _OK:
        raise OutOfReachError("mailbox_token_away", f"the token server answered {status}; the next run tries again")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise _malformed() from None
    if not isinstance(answer, dict):
        raise _malformed()
    return answer


def _token(answer: Mapping[str, Any]) -> str:
    token, kind = answer.get("access_token"), answer.get("token_type")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token) or str(kind).lower() != "bearer":
        raise _malformed()
    return token


def _seconds(answer: Mapping[str, Any]) -> float:
    told = answer.get("expires_in", _UNTOLD)
    try:
        return max(0.0, float(told))  # some servers write the number as a string
    except (TypeError, ValueError):
        raise _malformed() from None


def _malformed() -> OutOfReachError:
    return OutOfReachError("mailbox_token_malformed", "the token server's answer is no bearer token; check its address")
