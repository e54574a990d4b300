"""The key service: a stranger, a wrong context and a verb beyond an office's rights are all refused.

Where this machine's settings name KMS or a token, what stands behind the service is looked at too.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping

from vault.accesslog.notes import parse_vkeys
from vault.cli.probes import custody
from vault.cli.probes.finding import Finding, Trial, UnfitError, tried
from vault.crypto.local import KeyServiceStatus, LocalKeyService
from vault.crypto.policy import POLICY
from vault.crypto.signers import held
from vault.domain.roles import OfficeName
from vault.errors import NotAllowedError, OutOfReachError, TamperedError, VaultError, WrongUseError
from vault.settings import Settings, read_secret
from vault.settings_keys import KeySettings

_REF = "dsr-doctor/2000"  # no subject of anybody's
_BOTH = {("wrap", "log"), ("unwrap", "log")}


def probe(settings: Settings) -> Iterator[Finding]:
    """Try the key service with the tokens that this account may read."""
    yield from tried("keys", _trials(settings.keys))
    if settings.log.public_key_file.exists():  # not every machine checks the log
        yield from tried(
            "keys", iter([("whoever checks the log knows who signs it", lambda: _lists_signers(settings))])
        )


def _trials(settings: KeySettings) -> Iterator[Trial]:
    yield "answers an office", lambda: _answers(settings)
    yield "refuses a stranger's token", lambda: _refuses_strangers(settings)
    yield "refuses a wrong context", lambda: _refuses_wrong_context(settings)
    yield "refuses a verb that is not the office's", lambda: _refuses_wrong_verb(settings)
    yield from custody.trials(settings, lambda: _status(settings))


def _answers(settings: KeySettings) -> str:
    status = _status(settings)
    held = ", ".join(map(str, status.roots.held))
    roots = f"custody {status.custody}, root {status.roots.primary} wraps, held: {held}"
    return f"up since {status.since.isoformat(timespec='seconds')}, asked as {status.office}; {roots}"


def _status(settings: KeySettings) -> KeyServiceStatus:
    services = _services(settings)
    if not services:
        raise WrongUseError("no_token", "this account can read no token of any office; run it as one that can")
    return next(iter(services.values())).status()


def _refuses_strangers(settings: KeySettings) -> str:
    stranger = LocalKeyService(settings.socket, secrets.token_urlsafe(32))
    return _refused(stranger.status, NotAllowedError, "a made-up token was let in; stop the key service")


def _refuses_wrong_context(settings: KeySettings) -> str:
    for office, service in _services(settings).items():
        if POLICY[office] >= _BOTH:
            wrapped = service.wrap("log", _REF, secrets.token_bytes(32))
            service.unwrap("log", _REF, wrapped)
            other = f"{_REF}1"
            unfit = "a key was opened under another reference; stop the key service"
            return _refused(lambda: service.unwrap("log", other, wrapped), TamperedError, unfit)  # noqa: B023 - called at once
    raise WrongUseError("no_token", "no readable token of an office that wraps log keys; run it as one that can")


def _refuses_wrong_verb(settings: KeySettings) -> str:
    acts: Mapping[tuple[str, str], Callable[[LocalKeyService], bytes]] = {
        ("wrap", "record"): lambda service: service.wrap("record", _REF, secrets.token_bytes(32)),
        ("sign", "log"): lambda service: service.sign("log", b"dsr doctor"),
    }
    for office, service in _services(settings).items():
        for right, act in acts.items():
            if right not in POLICY[office]:
                unfit = f"the office {office} may {' '.join(right)}; the key service does not keep its policy"
                return _refused(lambda: act(service), NotAllowedError, unfit)  # noqa: B023 - called at once
    raise WrongUseError("no_token", "no readable token of an office with few rights; run it as one that can")


def _lists_signers(settings: Settings) -> str:
    listed = {key.key for key in parse_vkeys(settings.log.public_key_file.read_text(encoding="utf-8"))}
    service = next(iter(_services(settings.keys).values()), None)
    if service is None:
        raise WrongUseError("no_token", "this account can read no token of any office; run it as one that can")
    signing = held(service, "log")
    unknown = [name for name in signing if service.public(name) not in listed]
    if unknown:
        file = settings.log.public_key_file.name
        raise UnfitError(f"{', '.join(unknown)} is not listed in {file}; put the line of `dsr keys signer add` there")
    return f"{', '.join(signing)} of {len(listed)} listed"


def _refused(act: Callable[[], object], kind: type[VaultError], unfit: str) -> str:
    try:
        act()
    except kind as error:
        return f"refused: {error.code}"
    raise UnfitError(unfit)


def _services(settings: KeySettings) -> dict[OfficeName, LocalKeyService]:
    """Give a client for each office whose token this account may read."""
    found: dict[OfficeName, LocalKeyService] = {}
    for name, file in settings.token_files.items():
        try:
            found[OfficeName(name)] = LocalKeyService(settings.socket, read_secret(file), patience=5)
        except (WrongUseError, ValueError):
            continue
    if found and not settings.socket.exists():
        raise OutOfReachError("keys_away", "the key service does not answer; start it with dsr keys serve")
    return found
