"""Between a request and a key: who asks, may they, how often; and the audit has it before the answer leaves."""

import hmac
import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from vault.crypto.audit import Audit
from vault.crypto.auditlines import GRANTED, render_page
from vault.crypto.frames import PROTOCOL, Message, malformed, read_bytes, write_bytes
from vault.crypto.holder import Holder, Versions
from vault.crypto.keyservice import BOXES, SIGNERS, check_use, owner_of
from vault.crypto.ledger import Ledger
from vault.crypto.policy import Limiter, check
from vault.crypto.signers import ROTATING
from vault.domain.private import Private
from vault.domain.roles import OfficeName
from vault.errors import LimitError, NotAllowedError, RefusedError, UnknownFormatError, VaultError, WrongUseError

_POSITION = re.compile(r"0|[1-9][0-9]{0,17}")
_HELLO = frozenset({"hello", "token"})


@dataclass(slots=True)  # not frozen: one is made for each use of a key
class _Request(Private, shows=("verb", "name")):
    verb: str
    name: str
    ref: str
    data: bytes
    use: str


@dataclass(frozen=True, slots=True)
class Books:
    """What a key service writes down: each use, and each key that was destroyed."""

    audit: Audit
    ledger: Ledger


class Warden(Private):
    """Answers requests for one holder of the root keys.

    :param custody: what kind of holder it is: ``local``, ``aws-kms`` or ``pkcs11``.
    :param tokens: each office's token.
    """

    def __init__(
        self, custody: str, holder: Holder, tokens: Mapping[OfficeName, str], books: Books, limiter: Limiter
    ) -> None:
        self._custody = custody
        self._holder = holder
        self._tokens = _digests(tokens)
        self._audit = books.audit
        self._ledger = books.ledger
        self._limiter = limiter
        self._since = datetime.now(UTC)
        self._granted = 0
        self._refused = 0

    def admit(self, message: Mapping[str, object]) -> OfficeName:
        """Find the office that a hello's token belongs to; every token is compared, in constant time.

        :raises NotAllowedError: no office has this token.
        :raises UnknownFormatError: another protocol.
        """
        hello, token = message.get("hello"), message.get("token")
        if set(message) != _HELLO or not isinstance(token, str):
            raise malformed()
        if hello != PROTOCOL:
            raise UnknownFormatError("key_protocol", "the key service speaks another protocol; use the same release")
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        found = [office for office, known in self._tokens.items() if hmac.compare_digest(known, digest)]
        if not found:
            raise NotAllowedError("key_token_refused", "no office has this token; take the file that keys init made")
        self._audit.write(found[0], "hello", "", "", "granted")
        return found[0]

    def together(self) -> AbstractContextManager[None]:
        """Audit what is answered inside the block at its end, in one write; no answer may leave before."""
        return self._audit.together()

    def take(self, holder: Holder) -> None:
        """Go on with a holder that was opened anew: other roots, and else the same keys.

        :raises RefusedError: its public halves are others, so it holds another installation's keys.
        """
        if _foreign(self._holder, holder):
            advice = "these are another installation's keys; put back the key file that this service was started with"
            raise RefusedError("key_reload_foreign", advice)
        self._holder = holder

    def answer(self, office: OfficeName, message: Mapping[str, object]) -> Message:
        """Do what the office asks for, or say why not; either way the audit has it first.

        :raises OutOfReachError: the audit can't be written.
        """
        request = _Request("?", "", "", b"", "")
        try:
            request = _read(message)
            value = self._use(office, request)
        except VaultError as error:
            self._refused += 1
            self._note(office, request, error.code)
            return refusal(error)
        self._note(office, request, GRANTED)
        self._granted += 1
        return {"value": write_bytes(value)}

    def refuse(self, office: str, verb: str, error: VaultError) -> None:
        """Put into the audit that somebody was turned away before a request of hers was read.

        :raises OutOfReachError: the audit can't be written.
        """
        self._refused += 1
        self._audit.write(office, verb, "", "", error.code)

    def _note(self, office: OfficeName, request: _Request, outcome: str) -> None:
        self._audit.write(office, request.verb, request.name, request.ref, outcome, use=request.use)

    def _use(self, office: OfficeName, request: _Request) -> bytes:
        wait = self._limiter.take(office, request.verb, request.name)
        if wait:
            raise LaterError(wait)
        check(office, request.verb, request.name)
        return self._perform(office, request)

    def _perform(self, office: OfficeName, request: _Request) -> bytes:
        match request.verb:
            case "wrap" | "unwrap" | "rotate" as verb:
                self._ledger.check(request.name, request.ref)
                return bytes(getattr(self._holder, verb)(request.name, request.ref, request.data))
            case "unwrap_tagged":
                owner = owner_of(request.ref)
                self._ledger.check(request.name, request.ref)
                key = self._holder.unwrap(request.name, request.ref, request.data)
                return key + self._holder.mac("log-tag", owner.encode("ascii"))
            case "destroy":
                self._ledger.add(request.name, request.ref)
                return b""
            case "unseal":
                return self._holder.unseal(request.name, request.ref, request.data)
            case "mac" | "sign" as verb:
                return bytes(getattr(self._holder, verb)(request.name, request.data))
            case _:
                return self._tell(office, request)

    def _tell(self, office: OfficeName, request: _Request) -> bytes:
        """Answer what needs no key."""
        match request.verb:
            case "public":
                return self._holder.public(request.name)
            case "signers":
                return _render_versions(self._holder.signers(request.name))
            case "audit":
                return render_page(self._audit.page(_position(request.ref)))
            case _:
                return self._status(office)

    def _status(self, office: OfficeName) -> bytes:
        roots = self._holder.roots()
        body = {
            "office": office,
            "since": self._since.isoformat(timespec="seconds"),
            "granted": self._granted,
            "refused": self._refused,
            "custody": self._custody,
            "primary": roots.primary,
            "held": roots.held,
            "destroyed": len(self._ledger),
        }
        return json.dumps(body).encode("ascii")


class LaterError(LimitError):
    """The rate is used up for now.

    :param wait: seconds until the next use.
    """

    def __init__(self, wait: float) -> None:
        self.wait = wait
        super().__init__(
            "key_rate_reached", "this office used the key service too often; wait, or look who uses its token"
        )


def refusal(error: VaultError) -> Message:
    """Write an error as a reply."""
    family = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == VaultError.__module__)
    reply: dict[str, str | float | bool] = {"error": error.code, "family": family, "advice": error.advice}
    return reply | {"wait": error.wait} if isinstance(error, LaterError) else reply


def _read(message: Mapping[str, object]) -> _Request:
    match message:
        case {"verb": str(verb), "name": str(name), "ref": str(ref), "data": str(data), "use": str(use)}:
            if len(message) == len(_Request.__slots__):
                check_use(use)
                return _Request(verb, name, ref, read_bytes(data), use)
    raise malformed()


def _foreign(old: Holder, new: Holder) -> bool:
    """Tell whether a holder has another installation's keys; a signer's versions may come and go, not change."""
    fixed = (name for name in (*BOXES, *SIGNERS) if name not in ROTATING)
    if any(old.public(name) != new.public(name) for name in fixed):
        return True
    for name in ROTATING:
        both = set(old.signers(name).held) & set(new.signers(name).held)
        if not both or any(old.public(f"{name}-{each}") != new.public(f"{name}-{each}") for each in both):
            return True
    return False


def _render_versions(versions: Versions) -> bytes:
    return json.dumps({"primary": versions.primary, "held": versions.held}).encode("ascii")


def _position(text: str) -> int:
    if not _POSITION.fullmatch(text):
        raise RefusedError("audit_position", "a place in the audit is a number of bytes; begin at 0")
    return int(text)


def _digests(tokens: Mapping[OfficeName, str]) -> dict[OfficeName, bytes]:
    digests = {office: sha256(token.encode()).digest() for office, token in tokens.items()}
    if len(set(digests.values())) != len(digests):
        raise WrongUseError("key_tokens_equal", "two offices have the same token; make new ones with `dsr keys init`")
    return digests
