"""Sessions at the desk: opened by an assertion from Airflow, kept in a signed cookie, bound to a form token.

An assertion is an Ed25519-signed JWT (RFC 7519, RFC 8037) for the audience ``dsr-desk`` that lives at most
a minute and works once. Until passkeys come, whoever holds the assertion key can impersonate staff.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from vault.domain.private import Private
from vault.domain.roles import Role
from vault.errors import NotAllowedError
from vault.settings import DeskSettings, read_secret
from vault.steps.parts import Parts, Staff
from vault.storage.assertions import is_used, use_assertion
from vault.storage.readers import note_reader

COOKIE = "dsr_desk"
AUDIENCE = "dsr-desk"
LONGEST_ASSERTION = timedelta(seconds=60)
LONGEST_SESSION = timedelta(hours=8)
IDLE = timedelta(minutes=30)
_ROLES = frozenset(role.value for role in Role)


@dataclass(frozen=True, slots=True)
class Session(Private):
    """Who is at the desk, since when, and until when without a further page."""

    ref: str
    staff: Staff
    began: datetime
    seen: datetime


def _refused() -> NotAllowedError:
    return NotAllowedError("assertion_refused", "come in from Airflow again; the way in works once, for a minute")


class Sessions(Private):
    """Opens, reads and renews sessions."""

    def __init__(self, parts: Parts) -> None:
        """Read the plugin's public key and the cookie's secret.

        :raises WrongUseError: a secret is missing, empty or a default.
        """
        settings: DeskSettings = parts.settings.desk
        self._parts = parts
        self._public = settings.assertion_public_key_file.read_bytes()
        self._secret = read_secret(settings.session_secret_file)

    def enter(self, assertion: str) -> Session:
        """Open a session for the user that Airflow vouches for.

        :raises NotAllowedError: forged, ended, for somebody else, used before, or without a role here.
        """
        now = self._parts.now()
        try:
            claims = jwt.decode(
                assertion,
                self._public,
                algorithms=["EdDSA"],
                audience=AUDIENCE,
                options={"require": ["sub", "exp", "iat", "jti", "aud"]},
            )
        except jwt.PyJWTError:
            raise _refused() from None
        issued, until = (datetime.fromtimestamp(int(claims[name]), UTC) for name in ("iat", "exp"))
        roles = _known_roles(claims.get("roles"))
        if until - issued > LONGEST_ASSERTION or not roles:
            raise _refused()
        staff = Staff(str(claims["sub"]), str(claims.get("name") or claims["sub"]), roles)
        with self._parts.database.connect() as connection:
            if not use_assertion(connection, str(claims["jti"]), until, now):
                raise _refused()
            note_reader(connection, staff.actor, roles, now)
        return Session(secrets.token_hex(16), staff, now, now)

    def seal(self, session: Session) -> str:
        """Write a session as a cookie's value."""
        body = {
            "jti": session.ref,
            "sub": session.staff.ref,
            "name": session.staff.name,
            "roles": sorted(session.staff.roles),
            "began": int(session.began.timestamp()),
            "exp": int(min(session.seen + IDLE, session.began + LONGEST_SESSION).timestamp()),
        }
        return jwt.encode(body, self._secret, algorithm="HS256")

    def read(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie, or None when it is missing, forged or over."""
        if not cookie:
            return None
        try:
            body: dict[str, Any] = jwt.decode(cookie, self._secret, algorithms=["HS256"], options={"require": ["exp"]})
            staff = Staff(str(body["sub"]), str(body["name"]), _known_roles(body["roles"]))
            began = datetime.fromtimestamp(body["began"], UTC)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            return None
        return Session(str(body["jti"]), staff, began, began) if staff.roles else None

    def current(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie unless somebody left it.

        :raises OutOfReachError: the database, which knows who left, does not answer.
        """
        session = self.read(cookie)
        if session is None:
            return None
        with self._parts.database.connect() as connection:
            return None if is_used(connection, _left(session)) else session

    def end(self, session: Session) -> None:
        """End a session for good; a copy of its cookie opens nothing any more."""
        with self._parts.database.connect() as connection:
            use_assertion(connection, _left(session), session.began + LONGEST_SESSION, self._parts.now())

    def renew(self, session: Session) -> str:
        """Write the cookie anew with this moment as the last page."""
        return self.seal(replace(session, seen=self._parts.now()))

    def form_token(self, session: Session) -> str:
        """Return the token that every form of this session carries."""
        return hmac.new(self._secret.encode(), b"form\0" + session.ref.encode(), hashlib.sha256).hexdigest()

    def check_form(self, session: Session, token: object) -> None:
        """Let a form pass that was made for this session.

        :raises NotAllowedError: the token is missing or another session's.
        """
        if not isinstance(token, str) or not hmac.compare_digest(token, self.form_token(session)):
            raise NotAllowedError("form_refused", "open the page again and send its own form")


def _left(session: Session) -> str:
    return f"left:{session.ref}"


def _known_roles(value: object) -> frozenset[str]:
    return frozenset(str(role) for role in value) & _ROLES if isinstance(value, list) else frozenset()
