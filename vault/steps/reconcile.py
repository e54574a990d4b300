"""Reconcile: the key service's own audit and the access log are held against each other; what one lacks rings.

The keeper does it and opens nothing: leaves name their use, subject's tag and case. A page of the audit, the looks
whose receipts have expired by then, their alarms and the new places stand in one transaction, so that a kill
repeats a page whole or not at all. :mod:`vault.steps.uses` has the rules.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from vault.accesslog.leaves import TAG_BYTES, Leaf, parse_leaf
from vault.accesslog.log import LONGEST_LIFETIME, READER
from vault.crypto.auditlines import GRANTED, AuditLine, AuditPage, parse_lines
from vault.domain.alarms import AlarmCode
from vault.domain.roles import OfficeName
from vault.errors import ConflictError
from vault.steps.parts import Parts
from vault.steps.uses import CLOCKS, KeyUse, Lack, Standing, Window, concerns, lack_of, told
from vault.storage.alarms import raise_alarm
from vault.storage.database import Connection
from vault.storage.progress import advance, position
from vault.storage.reconcile import (
    FoundLeaf,
    Span,
    answered_subjects,
    cases_of_arrivals,
    cases_of_letters,
    leaves_from,
    leaves_of,
    searches,
)

USES: Final = "reconcile-uses"  # the audit's bytes whose uses were held against the log
WINDOW: Final = "reconcile-window"  # where in the audit the uses begin that looks still wait for
ENTRIES: Final = "reconcile-entries"  # the log's first leaf that was not held against the audit
_READERS: Final = (OfficeName.COLLECTOR, OfficeName.SEALER, OfficeName.REGISTRY)  # offices that read the register
_PIECE: Final = 1000  # leaves
_SETTLED: Final = LONGEST_LIFETIME + CLOCKS  # after that nothing spends a receipt any more


def reconcile(parts: Parts) -> dict[str, int]:
    """Hold what is new in the key service's audit and in the log against each other.

    :returns: how many uses and entries were held, lines that no release of this audit wrote, entries that stand
        otherwise than used, and alarms.
    :raises RefusedError: ``key_audit_cut``: the audit no longer holds what was read of it.
    :raises ConflictError: another process does the same.
    """
    run = _Run(parts)
    while not run.page():
        pass
    return dict(run.counts)


class _Run:
    """One walk through the audit from where the window of the last one begins."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._window = Window()
        self._reads = parts.settings.register.kind == "own"  # another system's register needs no key of ours
        marks = _marks(parts, [f"{READER}office:{office.value}" for office in _READERS])
        self._readers = dict(zip(marks.values(), _READERS, strict=True))
        with parts.database.connect() as connection:
            self._place, self._done = position(connection, WINDOW), position(connection, USES)
        self.counts: Counter[str] = Counter(uses=0, entries=0, unreadable=0, refused=0, unused=0, alarms=0)

    def page(self) -> bool:
        """Take one page; True after the last one."""
        page = self._parts.service.audit(self._place)
        read_at = self._parts.now()
        lines = list(parse_lines(page.lines, self._place))
        with self._parts.database.connect() as connection:
            if position(connection, USES) != self._done:
                raise ConflictError("reconciling", "another process reconciles now; the step runs again")
            self._lines(connection, lines)
            self._entries(connection, self._horizon(page, read_at))
            for task, place in ((USES, max(page.end, self._done)), (WINDOW, self._window.begins(page.end))):
                position(connection, task)
                advance(connection, task, place, read_at)
        self._place, self._done = page.end, max(page.end, self._done)
        return page.last

    def _lines(self, connection: Connection, lines: Sequence[tuple[int, AuditLine | None]]) -> None:
        """Keep every use of the page, and hold those that are new against the log."""
        uses = _uses(self._parts, connection, [(place, line) for place, line in lines if line and concerns(line)])
        for place, use in uses:
            self._window.add(place, use)
        new = [use for place, use in uses if place >= self._done and use.line.outcome == GRANTED]
        self.counts["unreadable"] += sum(line is None and place >= self._done for place, line in lines)
        self.counts["uses"] += len(new)
        leaves = _leaves(connection, new)
        answered = answered_subjects(connection, {use.line.ref for use in new if use.writes})
        for use in new:
            leaf = leaves.get(use.line.use)
            lack = lack_of(use, leaf, answered)
            if lack is not None:
                self._lacks(connection, use, lack, leaf)

    def _lacks(self, connection: Connection, use: KeyUse, lack: Lack, leaf: Leaf | None) -> None:
        self.counts["alarms"] += 1
        detail = {"why": lack.value, **told(use.line), **(_entry(leaf) if leaf else {})}
        actor = f"office:{use.line.office}"
        raise_alarm(
            connection,
            AlarmCode.UNWRAP_WITHOUT_ENTRY,
            at=self._parts.now(),
            actor=actor,
            case=use.case,
            detail=detail,
        )

    def _entries(self, connection: Connection, horizon: datetime | None) -> None:
        """Hold the looks whose receipts have expired against the uses in the window."""
        first = position(connection, ENTRIES)
        latest = self._parts.now() + CLOCKS
        while horizon is not None and (found := leaves_from(connection, first, Span(horizon, latest), _PIECE)):
            for row in found:
                self._held(connection, row)
            first = found[-1].index + 1
        advance(connection, ENTRIES, first, self._parts.now())
        if horizon is not None:
            self._window.forget(horizon - CLOCKS)

    def _held(self, connection: Connection, row: FoundLeaf) -> None:
        office, leaf = self._readers.get(row.reader), parse_leaf(row.leaf)
        if office is None or not self._reads:
            return
        self.counts["entries"] += 1
        standing = self._window.standing(leaf, office)
        if standing in (Standing.REFUSED, Standing.UNUSED):
            self.counts[standing.value] += 1
        elif standing is Standing.MISSING:
            self.counts["alarms"] += 1
            detail = {"index": str(row.index), **_entry(leaf)}
            raise_alarm(
                connection,
                AlarmCode.ENTRY_WITHOUT_UNWRAP,
                at=self._parts.now(),
                actor=f"office:{office}",
                case=leaf.case,
                detail=detail,
            )

    def _horizon(self, page: AuditPage, read_at: datetime) -> datetime | None:
        """Return up to when looks were made whose uses all stand in what was read of the audit."""
        until = read_at if page.last else self._window.latest
        return until - _SETTLED if until is not None else None


def _uses(parts: Parts, connection: Connection, lines: Sequence[tuple[int, AuditLine]]) -> list[tuple[int, KeyUse]]:
    """Find the tag or case that each line's entry must name."""
    tags = _marks(parts, sorted({line.ref for _, line in lines if line.verb == "unwrap"}))
    owners = [line.ref.partition(":") for _, line in lines if line.verb == "unseal"]
    cases = {f"case:{ref}": ref for kind, _, ref in owners if kind == "case"}
    by_kind = {"arrival": cases_of_arrivals, "print": cases_of_letters}
    for kind, find in by_kind.items():
        named = {ref: ref.partition("/")[0] for of_kind, _, ref in owners if of_kind == kind}  # or one of its files
        found = find(connection, set(named.values()))
        cases |= {f"{kind}:{ref}": found[place] for ref, place in named.items() if place in found}
    return [
        (place, KeyUse(line, tags.get(line.ref) if line.verb == "unwrap" else None, cases.get(line.ref)))
        for place, line in lines
    ]


def _leaves(connection: Connection, uses: Sequence[KeyUse]) -> dict[str, Leaf]:
    """Find the looks that bear the names of these uses, where they must stand: at their subjects and cases."""
    if not uses:
        return {}
    times = [use.line.at for use in uses]
    span = Span(min(times) - _SETTLED, max(times) + CLOCKS)
    tags, cases = {use.tag for use in uses if use.tag}, {use.case for use in uses if use.case}
    rows = leaves_of(connection, tags, cases, span)
    if any(use.line.verb == "mac" for use in uses):
        rows += searches(connection, span)
    return {leaf.use.hex(): leaf for leaf in (parse_leaf(row.leaf) for row in rows)}


def _marks(parts: Parts, names: Sequence[str]) -> dict[str, bytes]:
    macs = parts.service.many("mac", "log-tag", [("", name.encode("ascii")) for name in names])
    return {name: mac[:TAG_BYTES] for name, mac in zip(names, macs, strict=True)}


def _entry(leaf: Leaf) -> dict[str, str]:
    words = {"entry_at": leaf.time.isoformat(timespec="seconds"), "entry_use": leaf.use.hex()}
    return words | ({"entry_case": leaf.case} if leaf.case else {})
