"""Our keys for mail: each opens what is encrypted to it now, and will for sixty days; older ones are whole."""

import base64
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from vault.cli.probes.finding import Finding, Trial, UnfitError, tried
from vault.intake.mail import MailTools, open_mail
from vault.intake.mailkeystore import MailKeys, in_settings
from vault.intake.opened import Outcome
from vault.intake.openpgp import OpenPgp
from vault.intake.ownkeys import OPENPGP, SMIME, KeyState, complaints
from vault.intake.ownsmime import OwnSmime
from vault.intake.sandbox import ChildLimits
from vault.intake.smime import Smime
from vault.intake.smimekey import load_key
from vault.intake.smimesigner import addresses
from vault.intake.tool import run_tool
from vault.settings import Settings, read_secret

_PART = "mailkeys"
_LIMITS = ChildLimits(seconds=30.0, output=1_000_000)
_ENCRYPT = ("openssl", "cms", "-encrypt", "-binary", "-aes256", "-outform", "DER", "-recip", "{recipient}")
_SMIME_HEAD = (
    b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n"
)


def probe(settings: Settings) -> Iterator[Finding]:
    """Try the keys whose private half lies on this machine."""
    keys = in_settings(settings)
    here = {OPENPGP: keys.pgp.home.is_dir(), SMIME: keys.named[0].key_file.is_file()}
    trials = {OPENPGP: _openpgp_trials(keys), SMIME: _smime_trials(keys, settings.mailbox.address)}
    for kind, found in here.items():
        if found:
            yield from tried(_PART, trials[kind])
        else:
            yield Finding(_PART, f"{kind} opens what is encrypted to it", fit=True, why="not on this machine")


def _openpgp_trials(keys: MailKeys) -> Iterator[Trial]:
    yield "openpgp opens what is encrypted to it", lambda: _openpgp_opens(keys)
    yield "openpgp.home is private", lambda: _private(keys.pgp.home)
    yield "openpgp will for 60 days", lambda: _lasts(keys, OPENPGP)


def _smime_trials(keys: MailKeys, address: str) -> Iterator[Trial]:
    current = keys.named[0]
    yield "smime opens what is encrypted to it", lambda: _smime_opens(current)
    yield "smime.certificate_file names the mailbox", lambda: _names(current, address)
    yield "smime will for 60 days", lambda: _lasts(keys, SMIME)


def _openpgp_opens(keys: MailKeys) -> str:
    trial = secrets.token_hex(32)
    sealed = keys.pgp.sealed_to_us(keys.fingerprint or "", trial.encode())
    openpgp = OpenPgp(keys.pgp.home, read_secret(keys.pgp.passphrase_file))
    try:
        _opens(b"Content-Type: text/plain\r\n\r\n" + sealed, trial, MailTools(openpgp))
    finally:
        openpgp.close()
    return f"fingerprint {keys.fingerprint}"


def _smime_opens(current: OwnSmime) -> str:
    certificate = current.certificate()
    if certificate is None:
        raise UnfitError("its certificate is missing; put it where smime.certificate_file says")
    trial = secrets.token_hex(32)
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    content = f"Content-Type: text/plain\r\n\r\n{trial}\r\n".encode()
    sealed = run_tool(_ENCRYPT, content, cwd=Path("/"), limits=_LIMITS, files={"recipient": pem}).output
    key = load_key(current.key_file.read_bytes() + pem, read_secret(current.passphrase_file))
    _opens(_SMIME_HEAD + base64.encodebytes(sealed), trial, MailTools(OpenPgp(None), Smime([key])))
    return "self-signed: others' mail programs will warn" if certificate.issuer == certificate.subject else "opened"


def _opens(mail: bytes, trial: str, tools: MailTools) -> None:
    opened = open_mail(b"From: doctor@localhost\r\nMIME-Version: 1.0\r\n" + mail, tools)
    if opened.outcome is not Outcome.OPENED or trial not in opened.text:
        raise UnfitError(f"a mail to this key is not opened ({opened.reason}); see that key and passphrase fit")


def _names(current: OwnSmime, address: str) -> str:
    certificate = current.certificate()
    if certificate is None or address.lower() not in addresses(certificate):
        raise UnfitError("it lacks mailbox.address, so mail programs will not use it; ask for another certificate")
    return "it does"


def _private(home: Path) -> str:
    if home.stat().st_mode & 0o077:
        raise UnfitError("others may look into it; run chmod 700 on it")
    return "mode 700"


def _lasts(keys: MailKeys, kind: str) -> str:
    now = datetime.now(UTC)
    mine = [key for key in keys.keys(now) if key.kind == kind]
    said = complaints(mine, now, [kind])
    if said:
        raise UnfitError("; ".join(said))
    ends = [key.expires for key in mine if key.state is KeyState.CURRENT and key.expires]
    opening = sum(key.opens for key in mine)
    return f"{opening} open mail; valid until {min(ends).date().isoformat() if ends else 'for ever'}"
