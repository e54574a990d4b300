"""Which office may use which key for what, how often, and nothing besides.

One table; what does not stand in it is refused. Public halves are no secret: every office may ask for them.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from vault.crypto.keyservice import BOXES, KINDS, LABELS, SIGNERS
from vault.crypto.signers import base_of
from vault.domain.roles import OfficeName
from vault.errors import NotAllowedError, WrongUseError

_LOGS: Final = "wrap:log unwrap:log unwrap_tagged:log mac:log-tag"  # whoever reads must log
_TABLE: Final[Mapping[OfficeName, str]] = {
    OfficeName.INTAKE: "mac:arrival",
    OfficeName.COLLECTOR: f"unwrap:identity unwrap:record {_LOGS} unseal:case mac:subject",
    OfficeName.DESK: f"{_LOGS} unseal:case sign:desk",
    OfficeName.SEALER: f"unwrap:identity wrap:record unwrap:record {_LOGS} unseal:case",
    OfficeName.PRINT: f"{_LOGS} unseal:print",
    OfficeName.KEEPER: (
        f"{_LOGS} sign:log rotate:identity rotate:record rotate:log destroy:identity destroy:record destroy:log audit"
    ),
    OfficeName.REGISTRY: f"wrap:identity unwrap:identity wrap:record unwrap:record {_LOGS} mac:subject",
    OfficeName.AUDIT: f"{_LOGS} audit",
    OfficeName.OPERATOR: "",
}
_FOR_ALL = (
    frozenset(("public", name) for name in (*BOXES, *SIGNERS))
    | frozenset(("signers", name) for name in SIGNERS)
    | {("status", "")}
)
NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "wrap": KINDS,
        "unwrap": KINDS,
        "unwrap_tagged": ("log",),
        "rotate": KINDS,
        "destroy": KINDS,
        "unseal": BOXES,
        "mac": LABELS,
        "sign": SIGNERS,
        "audit": ("",),
        "public": (*BOXES, *SIGNERS),
        "signers": SIGNERS,
        "status": ("",),
    }
)


def _rights(words: str) -> frozenset[tuple[str, str]]:
    pairs = (word.partition(":") for word in words.split())
    return frozenset((verb, name) for verb, _, name in pairs) | _FOR_ALL


POLICY: Final[Mapping[OfficeName, frozenset[tuple[str, str]]]] = MappingProxyType(
    {office: _rights(words) for office, words in _TABLE.items()}
)


def check(office: OfficeName, verb: str, name: str) -> None:
    """Let pass what the table allows; a version of a signer is allowed as the signer is.

    :raises NotAllowedError: anything else.
    """
    signer = base_of(name) if verb in ("sign", "public") else name
    if (verb, signer) not in POLICY[office]:
        raise NotAllowedError("key_use_refused", "this office may not use that key so; ask under the right office")


@dataclass(frozen=True, slots=True)
class Rate:
    """How often: a bucket of ``burst`` uses that refills by ``per_second``."""

    per_second: float
    burst: float


class Use(NamedTuple):
    """A place in the table of rates; an empty name stands for all the verb's names together."""

    # a tuple, because each use of a key looks it up four times

    office: OfficeName
    verb: str
    name: str = ""


USUAL: Final = Rate(20_000, 40_000)
# All 41.6 million identity codes could be tried against the blind index: with a stolen token that takes
# a day (registry) or five (collector), while a month's 33,000 cases pass in minutes.
RATES: Final[Mapping[Use, Rate]] = MappingProxyType(
    {
        Use(OfficeName.COLLECTOR, "mac", "subject"): Rate(100, 2_000),
        Use(OfficeName.REGISTRY, "mac", "subject"): Rate(500, 20_000),
        # destroying can't be undone: a stolen token must not do it to everybody in one second
        Use(OfficeName.KEEPER, "destroy"): Rate(10, 50),
        # a page holds more than a thousand lines and is work for the one process that serves everybody
        Use(OfficeName.KEEPER, "audit"): Rate(20, 40),
        Use(OfficeName.AUDIT, "audit"): Rate(20, 40),
    }
)


def parse_rate(text: str) -> tuple[Use, Rate]:
    """Read ``OFFICE:VERB[:NAME]=PER_SECOND``; the burst is twice as much.

    :raises WrongUseError: anything else.
    """
    place, _, number = text.partition("=")
    office, verb, name, *more = (*place.split(":"), "", "")
    try:
        use, per_second = Use(OfficeName(office), verb, name), float(number)
    except ValueError:
        raise _malformed_rate() from None
    fitting = verb in NAMES and (not name or name in NAMES[verb]) and not any(more)
    if not fitting or not 0 < per_second < float("inf"):
        raise _malformed_rate()
    return use, Rate(per_second, max(1.0, 2 * per_second))


class Limiter:
    """Counts uses per office and verb, and per name where the table of rates names one."""

    __slots__ = ("_buckets", "_clock", "_rates")

    def __init__(self, rates: Mapping[Use, Rate] = RATES, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = rates
        self._clock = clock
        self._buckets: dict[Use, tuple[float, float]] = {}  # what is left, and when that was so

    def take(self, office: OfficeName, verb: str, name: str) -> float:
        """Take one use; 0 means granted, else the seconds until the next one."""
        use = Use(office, verb, name)
        if use not in self._rates:
            use = Use(office, verb if verb in NAMES else "")
        rate = self._rates.get(use, USUAL)
        now = self._clock()
        left, since = self._buckets.get(use, (rate.burst, now))
        left = min(rate.burst, left + (now - since) * rate.per_second)
        if left < 1:
            self._buckets[use] = (left, now)
            return (1 - left) / rate.per_second
        self._buckets[use] = (left - 1, now)
        return 0.0


def _malformed_rate() -> WrongUseError:
    return WrongUseError("rate_malformed", "write a rate as OFFICE:VERB=PER_SECOND, for instance desk:unwrap=50")
