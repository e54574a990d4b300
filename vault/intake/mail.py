"""Opens one mail: every byte sequence gives an outcome, and only what was inside one sound encryption is joined.

The layers are taken off one by one. A signature around ciphertext proves nothing about who wrote the
text, so it is forgotten when the encryption comes off. Whatever is broken, hostile or too large is
``refused`` with a code; only a fault of ours (no gpg, a wrong passphrase) is an error.
"""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from vault.domain.private import Private
from vault.errors import OutOfReachError, UnreadableError, VaultError, WrongUseError
from vault.intake.apart import Apart
from vault.intake.armour import message_packets
from vault.intake.cms import decompressed
from vault.intake.contents import public_keys, read_contents
from vault.intake.gpg import Read
from vault.intake.headers import mailbox
from vault.intake.held import Raw, start_of, whole
from vault.intake.layers import Inside, Layer, LayerKind, find_layer
from vault.intake.mailheaders import read_headers
from vault.intake.mime import MimeLimits, Part, bare_part, head, parse
from vault.intake.opened import Encryption, MailHeaders, OpenedMail, Outcome, ProofKind, SenderProof, SignedContent
from vault.intake.openpgp import OpenPgp
from vault.intake.smime import Signed, Smime

_MOST_LAYERS = 6
_LONGEST_HEAD = 4000  # bytes in which an entity's Content-Type must stand
_ENTITY = re.compile(rb"(?:[!-9;-~]+:[^\n]*(?:\n[ \t][^\n]*)*\n)*content-type:[ \t\n]*[a-z]+/[a-z]", re.IGNORECASE)
_NOT_FOR_US = frozenset(
    [
        *("pgp_no_key", "pgp_password_only", "pgp_unprotected", "pgp_not_sound", "pgp_malformed"),
        *("smime_no_key", "smime_password_only", "smime_cipher", "smime_not_sound", "key_not_configured"),
    ]
)


@dataclass(frozen=True, slots=True)
class MailTools(Private):
    """What may be used to open mail.

    :param known_keys: OpenPGP public keys, beside those in our home, that signatures are checked with.
    :param apart: where mails are opened in processes with limits, by the same keys; None to open them in this one.
    """

    openpgp: OpenPgp = field(default_factory=lambda: OpenPgp(None))
    smime: Smime = field(default_factory=Smime)
    limits: MimeLimits = field(default_factory=MimeLimits)
    known_keys: tuple[bytes, ...] = ()
    apart: Apart | None = None


def open_mail(raw: Raw, tools: MailTools) -> OpenedMail:
    """Open a mail as it arrived.

    :param raw: a large one comes to a child in pieces, and stands whole in that child alone.
    :raises WrongUseError: a program or a passphrase of ours is missing or wrong; the mail is untouched.
    :raises OutOfReachError: gpg's agent does not answer.
    """
    if tools.apart is not None:
        return _opened_apart(raw, tools, tools.apart)
    opening = _Opening(tools)
    try:
        return opening.open(whole(raw))
    except (WrongUseError, OutOfReachError):
        raise
    except VaultError as error:
        return opening.failed(error.code)
    except Exception:  # noqa: BLE001 - a fault of this reader must not stop a batch; a person looks at the mail
        return opening.failed("mail_reader_failed")


def _opened_apart(raw: Raw, tools: MailTools, apart: Apart) -> OpenedMail:
    """Let a child open it; what crossed a limit there is refused, and still says who sent it."""
    with contextlib.suppress(OutOfReachError, OSError):  # a mail that is not encrypted needs none
        tools.openpgp.start_agent()
    try:
        return apart.open(raw)
    except UnreadableError as error:
        headers = MailHeaders()
        with contextlib.suppress(UnreadableError):
            headers = read_headers(head(_start(raw, tools.limits), tools.limits))
        return OpenedMail(Outcome.REFUSED, error.code, headers=headers)


def _start(raw: Raw, limits: MimeLimits) -> bytes:
    """Return a mail's first bytes, in which its headers end or break a limit."""
    return raw if isinstance(raw, bytes) else start_of(raw, limits.headers + _LONGEST_HEAD)


class _Opening(Private):
    """One mail on its way through its layers."""

    def __init__(self, tools: MailTools) -> None:
        self._tools = tools
        self._headers = MailHeaders()
        self._encryption = Encryption.NONE
        self._proof = SenderProof()
        self._key: str | None = None
        self._signed: SignedContent | None = None
        self._certificate: bytes | None = None
        self._outer_keys: tuple[bytes, ...] = ()
        self._remarks: dict[str, None] = {}  # in order, each once
        self._entities: list[Part] = []  # what each layer held, the innermost last
        self._take_off: dict[LayerKind, Callable[[Layer], Part]] = {
            LayerKind.PGP_ENCRYPTED: self._pgp_encrypted,
            LayerKind.PGP_DETACHED: self._pgp_detached,
            LayerKind.PGP_CLEARSIGNED: self._pgp_clearsigned,
            LayerKind.CMS_ENCRYPTED: self._cms_encrypted,
            LayerKind.CMS_DETACHED: self._cms_detached,
            LayerKind.CMS_OPAQUE: self._cms_opaque,
            LayerKind.CMS_COMPRESSED: self._cms_compressed,
        }

    def open(self, raw: bytes) -> OpenedMail:
        self._headers = read_headers(head(raw, self._tools.limits))  # to be answered even if the rest is refused
        root = parse(raw, self._tools.limits)
        self._outer_keys = public_keys(root)
        content = self._peel(root)
        opened = self._encryption is not Encryption.NONE
        protected = next((entity for entity in reversed(self._entities) if entity.header("subject")), None)
        if protected is not None or self._headers.auto:  # a report is read from the parts
            self._headers = read_headers(root, protected)
        keys = tuple(dict.fromkeys((*public_keys(content), *self._outer_keys)))
        self._check_again(keys)
        found = read_contents(content)
        self._remark("html_unreadable", when=found.html_unreadable)
        self._remark("signature_partial", when=found.partly_signed)
        self._remark("text_cut", when=found.text_cut)
        if any(_names_another(entity, self._headers.from_address) for entity in self._entities):
            self._remark("from_differs")
            self._proof = replace(self._proof, from_matches=False)
        remarks = tuple(self._remarks)
        return OpenedMail(
            Outcome.OPENED if opened else Outcome.PLAIN,
            next(iter(remarks), ""),
            self._encryption,
            self._proof,
            found.text,
            tuple(found.attachments),
            self._headers,
            keys,
            self._key,
            self._certificate,
            self._signed,
            remarks,
        )

    def _remark(self, code: str, *, when: bool = True) -> None:
        if when and code:
            self._remarks[code] = None

    def failed(self, reason: str) -> OpenedMail:
        sealed = self._encryption is not Encryption.NONE and reason in _NOT_FOR_US
        outcome = Outcome.UNDECRYPTABLE if sealed else Outcome.REFUSED
        return OpenedMail(outcome, reason, self._encryption, headers=self._headers)

    def _peel(self, root: Part) -> Part:
        content = root
        for _ in range(_MOST_LAYERS):
            layer = find_layer(content, opened=self._encryption is not Encryption.NONE)
            if layer is None:
                return content
            content = self._take_off[layer.kind](layer)
            self._entities.append(content)
            if content.type == "message/rfc822":  # a whole mail, wrapped to protect its headers (RFC 8551 section 3.1)
                content = self._entity(content.content)
                self._entities.append(content)
        raise UnreadableError("mail_too_many_layers", "the mail is wrapped too often; a person must look at it")

    def _entity(self, content: bytes) -> Part:
        return parse(content, self._tools.limits, whole_mail=False)

    def _enter(self, layer: Layer, encryption: Encryption) -> None:
        """Go inside an encryption: signatures outside of it and text beside it count no more."""
        if self._encryption is Encryption.NONE:
            self._encryption = encryption
        self._proof, self._key, self._signed, self._certificate = SenderProof(), None, None, None
        self._entities.clear()
        self._remark("outside_ignored", when=not layer.alone)

    def _pgp_encrypted(self, layer: Layer) -> Part:
        self._enter(layer, Encryption.PGP_MIME if layer.inside is Inside.ENTITY else Encryption.PGP_INLINE)
        found = self._tools.openpgp.decrypt(message_packets(layer.message))
        self._remark(found.remark)
        read = self._read(found.content)
        self._signed = None if read.proof.kind is ProofKind.NONE else SignedContent(found.content)
        return self._inside(layer, read.content)

    def _inside(self, layer: Layer, content: bytes) -> Part:
        if layer.inside is Inside.ENTITY or _is_entity(content):
            return self._entity(content)
        if layer.inside is Inside.TEXT:
            return bare_part(content, "text/plain")
        with contextlib.suppress(UnicodeDecodeError):
            if "\x00" not in content.decode("utf-8"):
                return bare_part(content, "text/plain")
        name = layer.part.name.rpartition(".")[0] or "attachment"
        return bare_part(content, "application/octet-stream", name)

    def _pgp_detached(self, layer: Layer) -> Part:
        self._signed = SignedContent(layer.message, layer.signed)
        self._pgp_check(self._signed, self._outer_keys)
        return layer.content or layer.part

    def _pgp_clearsigned(self, layer: Layer) -> Part:
        self._remark("outside_ignored", when=not layer.alone)
        self._signed = SignedContent(layer.message)
        read = self._read(layer.message)
        return bare_part(read.content, "text/plain")

    def _read(self, message: bytes) -> Read:
        keys = (*self._tools.known_keys, *self._outer_keys)
        read = self._tools.openpgp.read(message, self._headers.from_address, keys)
        self._proof, self._key = read.proof, read.key
        return read

    def _pgp_check(self, signed: SignedContent, keys: tuple[bytes, ...]) -> None:
        read = self._tools.openpgp.check(signed, self._headers.from_address, (*self._tools.known_keys, *keys))
        self._proof, self._key = read.proof, read.key

    def _check_again(self, keys: tuple[bytes, ...]) -> None:
        """Check a signature once more when its key came with the content."""
        if self._signed and self._proof.kind is ProofKind.UNKNOWN_KEY and set(keys) - set(self._outer_keys):
            self._pgp_check(self._signed, keys)

    def _cms_encrypted(self, layer: Layer) -> Part:
        self._enter(layer, Encryption.SMIME)
        found = self._tools.smime.decrypt(layer.message)
        self._remark(found.remark)
        content = self._entity(found.content)
        if not content.fields:
            raise UnreadableError("smime_not_sound", "what was inside is no mail; ask for another")
        return content

    def _cms_detached(self, layer: Layer) -> Part:
        self._take(self._tools.smime.check(layer.signed, layer.message, self._headers.from_address))
        return layer.content or layer.part

    def _cms_opaque(self, layer: Layer) -> Part:
        self._remark("outside_ignored", when=not layer.alone)
        found = self._tools.smime.read_signed(layer.message, self._headers.from_address)
        self._take(found)
        return self._entity(found.content)

    def _cms_compressed(self, layer: Layer) -> Part:
        self._remark("outside_ignored", when=not layer.alone)
        return self._entity(decompressed(layer.message, self._tools.limits.size))

    def _take(self, found: Signed) -> None:
        self._signed, self._key = None, None
        self._proof, self._certificate = found.proof, found.certificate


def _is_entity(content: bytes) -> bool:
    """Tell a MIME entity, which some servers make look like an encrypted file, from a text."""
    head = content[:_LONGEST_HEAD].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    return _ENTITY.match(head) is not None


def _names_another(content: Part, outside: str | None) -> bool:
    """Tell whether the protected From is another address than the one outside (RFC 9788 section 4.4)."""
    inside = content.headers("from")
    return bool(inside) and (len(inside) > 1 or mailbox(inside[0]) != outside)
