"""What holds the root keys: it is what the settings say, nothing can be taken out of it, and it is no stand-in."""

import secrets
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from vault.cli.probes.finding import Trial, UnfitError
from vault.crypto import kms_setup
from vault.crypto.kms_line import KmsLine
from vault.crypto.local import KeyServiceStatus
from vault.crypto.pkcs11_setup import describe_token, look_at_token
from vault.errors import NotAllowedError
from vault.settings_keys import KeySettings, KmsSettings, Pkcs11Settings

_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws", ".api.amazonwebservices.com.cn")
_STAND_IN = (
    "is not AWS: a stand-in such as moto still decrypts with disabled and deleted keys, so nothing that is "
    "destroyed stays destroyed, and whoever runs it has the keys; take keys.kms.endpoint out of the settings"
)


def trials(settings: KeySettings, status: Callable[[], KeyServiceStatus]) -> Iterator[Trial]:
    """List what to try, as far as this machine's settings say what holds the root keys."""
    if settings.key_file or settings.kms or settings.pkcs11:
        yield "its custody is the settings'", lambda: _agrees(settings, status())
    if settings.kms:
        yield from _kms_trials(settings.kms)
    if settings.pkcs11:
        yield from _token_trials(settings.pkcs11)


def _agrees(settings: KeySettings, status: KeyServiceStatus) -> str:
    if status.custody != settings.custody:
        advice = f"the service runs with custody {status.custody}, the settings say {settings.custody}; start it anew"
        raise UnfitError(advice)
    named = settings.kms or settings.pkcs11
    if named and named.primary != status.roots.primary:
        raise UnfitError(f"the service wraps under root {status.roots.primary}, not {named.primary}; send it SIGHUP")
    return status.custody


def _kms_trials(settings: KmsSettings) -> Iterator[Trial]:
    yield "KMS is AWS itself", lambda: _is_aws(settings)
    yield "KMS refuses made-up credentials", lambda: _refuses_strangers(settings)
    yield "KMS refuses a wrong encryption context", lambda: _refuses_wrong_context(settings)
    yield "KMS's roots are enabled and not about to be deleted", lambda: _roots_stand(settings)


def _is_aws(settings: KmsSettings) -> str:
    endpoint = urlsplit(KmsLine(settings).endpoint)
    host = endpoint.hostname or ""
    if endpoint.scheme != "https" or not host.endswith(_AWS):
        raise UnfitError(f"{endpoint.scheme}://{host} {_STAND_IN}")
    return host


def _refuses_strangers(settings: KmsSettings) -> str:
    stranger = KmsLine(settings, (f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)))
    try:
        stranger.ask("describe_key", KeyId=settings.roots[settings.primary])
    except NotAllowedError as error:
        return f"refused: {error.code}"
    raise UnfitError("it let a made-up account in; do not use it")


def _refuses_wrong_context(settings: KmsSettings) -> str:
    if kms_setup.opens_in_another_place(settings):
        raise UnfitError("it opened a key under another encryption context; do not use it")
    return "refused: wrapped_key_tampered"


def _roots_stand(settings: KmsSettings) -> str:
    states = kms_setup.look_at_roots(settings)
    for state in states:
        if state.state != "Enabled":
            advice = f"root {state.number} is {state.state}: enable it or cancel its deletion, or remove the root first"
            raise UnfitError(advice)
        if state.spec != "SYMMETRIC_DEFAULT":
            raise UnfitError(f"root {state.number} is {state.spec}; a root is a SYMMETRIC_DEFAULT key")
        if state.origin == "EXTERNAL":
            raise UnfitError(f"root {state.number} was brought into KMS, and a copy stands outside; let KMS make one")
    told = (f"root {state.number} enabled, yearly rotation {'on' if state.rotates else 'off'}" for state in states)
    return "; ".join(told)


def _token_trials(settings: Pkcs11Settings) -> Iterator[Trial]:
    yield "the token's keys are sensitive and can't be extracted", lambda: _shut(settings)


def _shut(settings: Pkcs11Settings) -> str:
    states = look_at_token(settings)
    loose = [state.label for state in states if state.extractable or not state.sensitive]
    if loose:
        raise UnfitError(f"{', '.join(loose)} can be taken out of the token; make new keys inside it, and rotate")
    copied = [state.label for state in states if not state.own]
    if copied:
        raise UnfitError(f"{', '.join(copied)} came from outside, and a copy may stand there; make keys inside it")
    return f"{len(states)} keys in {describe_token(settings)}"
