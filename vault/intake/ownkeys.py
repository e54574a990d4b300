"""What the controller's own mail keys are: which open mail, which are given out, until when, what to do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

WARN = timedelta(days=60)  # before a key expires: time to rotate it and for others to fetch the new one
LIFETIME = timedelta(days=730)
OPENPGP, SMIME = "openpgp", "smime"


class KeyState(StrEnum):
    """How one key of ours stands; all but the awaited ones open mail as long as their private half is here."""

    CURRENT = "current"  # given out; others encrypt to it, or we sign with it
    OLDER = "older"  # still valid, with a newer one beside it
    EXPIRED = "expired"  # opens late mail
    REVOKED = "revoked"  # opens late mail
    UNNAMED = "unnamed"  # stands ready; the settings do not name it
    AWAITED = "awaited"  # its certificate has not come yet


_ALIVE = (KeyState.CURRENT, KeyState.OLDER)


@dataclass(frozen=True, slots=True)
class OwnKey:
    """One key of ours, by its public facts.

    :param kind: ``openpgp`` or ``smime``.
    :param name: an OpenPGP fingerprint (40 hexadecimal digits), or the name of the S/MIME key's file.
    :param uses: of ``certify``, ``sign`` and ``encrypt``.
    :param made: when it begins to be valid; None where no certificate says so.
    :param expires: None when it never does.
    :param held: whether its private half is here.
    """

    kind: str
    name: str
    uses: frozenset[str]
    made: datetime | None
    expires: datetime | None
    state: KeyState
    held: bool = True

    @property
    def opens(self) -> bool:
        """Tell whether mail that was encrypted to it is opened."""
        return self.held and "encrypt" in self.uses and self.state not in (KeyState.UNNAMED, KeyState.AWAITED)

    def to_json(self) -> dict[str, object]:
        """Give it as the command prints it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "uses": sorted(self.uses),
            "made": self.made.isoformat() if self.made else None,
            "expires": self.expires.isoformat() if self.expires else None,
            "state": self.state.value,
            "opens": self.opens,
        }


def aged(key: OwnKey, now: datetime) -> OwnKey:
    """Call a key that was alive and whose time is over expired."""
    over = key.expires is not None and key.expires <= now
    return replace(key, state=KeyState.EXPIRED) if over and key.state in _ALIVE else key


def ranked(keys: Iterable[OwnKey], now: datetime) -> list[OwnKey]:
    """Say of keys with the same use which is current: the newest that is alive; the others are older or expired."""
    found = [aged(key, now) for key in sorted(keys, key=lambda key: key.made or now)]
    alive = [key for key in found if key.state in _ALIVE]
    states = {key.name: KeyState.CURRENT if key is alive[-1] else KeyState.OLDER for key in alive}
    return [replace(key, state=states.get(key.name, key.state)) for key in found]


def complaints(keys: Sequence[OwnKey], now: datetime, kinds: Sequence[str] = (OPENPGP, SMIME)) -> list[str]:
    """Say what is to be done: a kind without a key that others can encrypt to, one that soon expires, one not here."""
    said = []
    for kind in kinds:
        mine = [key for key in keys if key.kind == kind]
        current = [key for key in mine if key.state is KeyState.CURRENT]
        waits = any(key.state is KeyState.AWAITED for key in mine)
        if not waits and not any("encrypt" in key.uses for key in current):
            said.append(f"{kind}: no valid key that others can encrypt to; run `dsr keys mail rotate`")
        said += [_soon(key, now) for key in current if key.expires is not None and key.expires - now < WARN]
        said += [
            f"{kind} {key.name}: its private half is not here; mail to it can't be opened"
            for key in mine
            if not key.held
        ]
        said += [_unfinished(key) for key in mine if key.state in (KeyState.AWAITED, KeyState.UNNAMED)]
    return said


def endings(keys: Sequence[OwnKey], now: datetime, kinds: Sequence[str] = (OPENPGP, SMIME)) -> dict[str, str]:
    """Tell of each kind whose current keys end within :data:`WARN` the first day that they lack, or ``ended``.

    :returns: by kind, a day in ISO form; a kind whose certificate is awaited, or whose keys last, is left out.
    """
    found: dict[str, str] = {}
    for kind in kinds:
        mine = [key for key in keys if key.kind == kind]
        current = [key for key in mine if key.state is KeyState.CURRENT]
        ends = [key.expires for key in current if key.expires is not None and key.expires - now < WARN]
        if any("encrypt" in key.uses for key in current):
            found |= {kind: min(ends).date().isoformat()} if ends else {}
        elif all(key.state is not KeyState.AWAITED for key in mine):
            found[kind] = "ended"
    return found


def _soon(key: OwnKey, now: datetime) -> str:
    days = (key.expires - now).days if key.expires else 0
    return f"{key.kind} {key.name}: expires in {days} days; run `dsr keys mail rotate`, then export and publish"


def _unfinished(key: OwnKey) -> str:
    if key.state is KeyState.AWAITED:
        return f"{key.kind} {key.name}: waits for its certificate; send the request to your certificate authority"
    return f"{key.kind} {key.name}: stands ready; name it in [smime] of the settings, and the one before under older"
