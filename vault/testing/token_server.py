"""A token server on this machine (OAuth2 over HTTPS), and what makes Dovecot believe its tokens: JWTs that it signs."""

import base64
import json
import shutil
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import RSAKey

from vault.testing import places
from vault.testing.certificates import make_certificates

CLIENT = "vault:intake"
SECRET = "a secret + of the / client"  # noqa: S105 - a test's own
_CONFIGURATION = """
auth_failure_delay = 0
service anvil {{
  # else each refusal makes the next one wait longer
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
auth_mechanisms = plain login {mechanisms}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
"""
_VALIDATION = """\
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={folder}/keys/
username_attribute = sub
"""


@dataclass(slots=True)
class TokenServer:
    """A running token server.

    :param home: its certificate's authority (`ca.pem`), and Dovecot's half of the key.
    :param refresh: the refresh token that it takes; each use changes it when `rotates` is set.
    :param answer: instead of a token: a status and a body.
    :param seconds: that a token lives.
    :param told: seconds that the answer tells.
    """

    port: int
    home: Path
    signer: RSAKey
    refresh: str = "the-first-refresh-token"
    rotates: bool = False
    answer: tuple[int, bytes] | None = None
    seconds: int = 3600
    told: float | str = 3600
    user: str = "inbox"
    asked: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where tokens are given out."""
        return f"https://localhost:{self.port}/token"

    def configuration(self, mechanisms: str = "xoauth2 oauthbearer") -> str:
        """Give the lines that make Dovecot take this server's tokens."""
        return _CONFIGURATION.format(mechanisms=mechanisms, folder=self.home)

    def token(self, seconds: int) -> str:
        """Sign a token for the mailbox's user."""
        now = int(time.time())
        claims = {"sub": self.user, "iat": now, "nbf": now - 5, "exp": now + seconds}
        return jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, self.signer)

    def reply(self, authorization: str, form: dict[str, str]) -> tuple[int, bytes]:
        """Answer one question as RFC 6749 s. 5 says."""
        self.asked.append(form)
        if self.answer is not None:
            return self.answer
        granted = {
            "client_credentials": authorization == _basic(CLIENT, SECRET),
            "refresh_token": form.get("refresh_token") == self.refresh,
        }
        if not granted.get(form.get("grant_type", ""), False):
            return 401, b'{"error": "invalid_client"}'
        given: dict[str, Any] = {"access_token": self.token(self.seconds), "token_type": "Bearer"}
        if self.rotates:
            self.refresh = given["refresh_token"] = f"refresh-token-{len(self.asked):04d}"
        return 200, json.dumps(given | {"expires_in": self.told}).encode()


@contextmanager
def token_server() -> Iterator[TokenServer]:
    """Run one while inside; Dovecot's account may read its home, where the private key is not."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    home = places.private_directory("dsr-oauth-")
    try:
        _publish(home, key.public_key())
        with _Listener(home) as listener:
            server = listener.tokens = TokenServer(int(listener.server_address[1]), home, RSAKey.import_key(pem))
            thread = threading.Thread(target=listener.serve_forever, daemon=True)
            thread.start()
            try:
                yield server
            finally:
                listener.shutdown()
                thread.join()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _publish(home: Path, key: rsa.RSAPublicKey) -> None:
    """Write what Dovecot checks tokens with: its settings, and the key under ``client/algorithm/key id``."""
    home.chmod(0o755)
    public = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    path = home / "keys" / "default" / "RS256" / "default"
    path.parent.mkdir(parents=True)
    path.write_bytes(public)
    (home / "oauth2.conf").write_text(_VALIDATION.format(folder=home), encoding="utf-8")


def _basic(user: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{quote_plus(user)}:{quote_plus(secret)}".encode()).decode()


class _Listener(ThreadingHTTPServer):
    """Listens over TLS."""

    tokens: TokenServer

    def __init__(self, home: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        certificates = make_certificates(home / "tls")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate, certificates.key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)


class _Handler(BaseHTTPRequestHandler):
    """Answers one question."""

    server: _Listener

    def do_POST(self) -> None:
        """Give out a token, or say no."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        status, answer = self.server.tokens.reply(self.headers.get("Authorization", ""), form)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
