"""Uses of keys as the key service's audit tells them, kept as long as a log receipt lives; the rules of reconciling.

1. Whoever opens an identity, a record or an owner's key, or tries the collector's blind index, names the log
   receipt that allowed it: the log holds a leaf with that use, of that subject or case, from before, and no
   older than a receipt may be.
2. Keys that are opened to write are named ``write``: by the registry, which fills the register, and by the sealer,
   who enters that the right was used, for subjects whose package was sealed. Nobody else writes.
3. Where an office that reads the register logged a look, the key service had that use. One that it refused was
   no look; one that another use of the same subject stands for was killed and done again; a sealer's entry of the
   hand-over opens nothing that her use for the same case did not.
"""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from vault.accesslog.leaves import Leaf
from vault.accesslog.log import LONGEST_LIFETIME
from vault.crypto.auditlines import GRANTED, AuditLine
from vault.crypto.keyservice import WRITE
from vault.domain.roles import OfficeName

CLOCKS: Final = timedelta(minutes=5)  # by which two machines' clocks may differ
_OWN: Final = ("identity", "record")
_WRITERS: Final = (OfficeName.REGISTRY, OfficeName.SEALER)


class Lack(StrEnum):
    """Why a use of a key has no entry."""

    USE_MISSING = "use_missing"  # it names no receipt
    NOBODY_WRITES = "nobody_writes"  # this office has nothing to write there
    NO_ENTRY = "no_entry"  # the log has no such use
    ELSEWHERE = "elsewhere"  # the entry is of another subject or case
    TOO_LATE = "too_late"  # the receipt had expired, or the entry came after


class Standing(StrEnum):
    """How an entry of the log stands in the key service's audit."""

    USED = "used"
    REFUSED = "refused"  # the key service refused
    UNUSED = "unused"  # killed, and done again
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One line of the audit with what its entry must say.

    :param tag: the subject's tag, where a subject's key was opened.
    :param case: the case whose owner's key was opened.
    """

    line: AuditLine
    tag: bytes | None = None
    case: str | None = None

    @property
    def writes(self) -> bool:
        """Tell whether the key was opened to write."""
        return self.line.use == WRITE


def concerns(line: AuditLine) -> bool:
    """Tell whether a use opens what only a receipt opens."""
    searches = (line.verb, line.name, line.office) == ("mac", "subject", OfficeName.COLLECTOR)
    return line.verb == "unseal" or (line.verb == "unwrap" and line.name in _OWN) or searches


def lack_of(use: KeyUse, leaf: Leaf | None, answered: Collection[str]) -> Lack | None:
    """Say what a granted use lacks; None where its entry stands.

    :param leaf: the look that bears the use's name, if there is one.
    :param answered: references of subjects whose package was sealed.
    """
    line = use.line
    if use.writes:
        allowed = line.verb == "unwrap" and line.office in _WRITERS
        noted = line.name == "record" and line.ref in answered
        return None if allowed and (line.office == OfficeName.REGISTRY or noted) else Lack.NOBODY_WRITES
    if not line.use:
        return Lack.USE_MISSING
    if leaf is None:
        return Lack.NO_ENTRY
    if (use.tag, use.case) != (leaf.tag if use.tag else None, leaf.case if use.case else None):
        return Lack.ELSEWHERE
    in_time = -CLOCKS <= line.at - leaf.time <= LONGEST_LIFETIME + CLOCKS
    return None if in_time else Lack.TOO_LATE


@dataclass(slots=True)
class Window:
    """The uses of the last while, in the order of the audit, for looks that came before them."""

    _kept: deque[tuple[datetime, int]] = field(default_factory=deque)
    _uses: dict[str, tuple[datetime, bool]] = field(default_factory=dict)  # when last, and whether ever granted
    _opened: dict[tuple[str, bytes | str], datetime] = field(default_factory=dict)  # by office, and subject or case
    latest: datetime | None = None

    def add(self, place: int, use: KeyUse) -> None:
        """Keep a use that concerns us.

        :param place: where its line stands in the audit.
        """
        line = use.line
        self.latest = max(self.latest or line.at, line.at)  # a clock that was set back shortens no window
        granted = line.outcome == GRANTED
        self._uses[line.use] = (self.latest, granted or self._uses.get(line.use, (None, False))[1])
        if granted and not use.writes:
            self._opened |= {(line.office, mark): self.latest for mark in (use.tag, use.case) if mark is not None}
        self._kept.append((self.latest, place))

    def standing(self, leaf: Leaf, office: OfficeName) -> Standing:
        """Say how a register-reading office's look stands in the audit."""
        known = self._uses.get(leaf.use.hex())
        if known is not None:
            return Standing.USED if known[1] else Standing.REFUSED
        by_case = office is OfficeName.SEALER or leaf.tag is None
        marks: list[bytes | str | None] = [leaf.tag, leaf.case if by_case else None]
        again = any((office, mark) in self._opened for mark in marks if mark is not None)
        return Standing.UNUSED if again else Standing.MISSING

    def forget(self, before: datetime) -> None:
        """Drop the uses from before a moment."""
        while self._kept and self._kept[0][0] < before:
            self._kept.popleft()
        self._uses = {use: known for use, known in self._uses.items() if known[0] >= before}
        self._opened = {key: at for key, at in self._opened.items() if at >= before}

    def begins(self, end: int) -> int:
        """Tell where the oldest kept line stands; ``end`` where none is kept."""
        return self._kept[0][1] if self._kept else end


def told(line: AuditLine) -> Mapping[str, str]:
    """Write a line's references for an alarm."""
    words = {"at": line.at.isoformat(timespec="seconds"), "verb": line.verb, "name": line.name}
    return words | {"ref": line.ref, "use": line.use}
