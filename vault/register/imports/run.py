"""The import: an index of whose what is, then person by person; a kill at any place costs a batch and no more.

Memory holds one batch: the index stands in the database, by MACs, and is emptied at the end. What can't
be stored is counted and told by its place and a code; the rest goes on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from vault.domain.private import Private
from vault.errors import RefusedError
from vault.register.imports.inputs import Files, Place, Read
from vault.register.imports.people import Group, People
from vault.register.imports.recipe import Recipe
from vault.register.imports.refs import KeyedRefs
from vault.register.tally import Tally
from vault.storage.imports import DONE, INDEX, ImportTable, Item, LeftOut

_INDEXED: Final = 20_000  # items a transaction of the index
_PERSONS: Final = 200  # looked at for a batch
_ITEMS: Final = 6_000
_BYTES: Final = 16 << 20  # likewise
UNKNOWN: Final = "patient_unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an import did, over all its runs.

    :param refused: how much was left out, by code.
    :param before: whether all of it had been done by an earlier run.
    """

    tally: Tally
    refused: Mapping[str, int]
    before: bool = False


class Import(Private):
    """One import.

    :param people: stores subjects and records.
    :param progress: told how many items and persons are done.
    :param batch: items of one transaction, unless one person has more.
    """

    __slots__ = ("_batch", "_files", "_now", "_people", "_progress", "_recipe", "_refs", "table")

    def __init__(
        self,
        files: Files,
        recipe: Recipe,
        people: People,
        *,
        now: Callable[[], datetime],
        progress: Callable[[str, int, int], None],
        batch: int = _ITEMS,
    ) -> None:
        self._files = files
        self._recipe = recipe
        self._people = people
        self._refs: KeyedRefs = people.refs
        self._now = now
        self._progress = progress
        self._batch = batch
        self.table = ImportTable(people.database, self._refs.source(files.digest(), recipe.mark()))

    def run(self, *, again: bool = False) -> Outcome:
        """Store what is not stored yet.

        :param again: go through a finished import once more.
        :raises ConflictError: another import runs, or somebody adds the same persons meanwhile.
        """
        with self.table.alone():
            state = self.table.state()
            if state is not None and state.phase == DONE and not again:
                return Outcome(Tally.from_json(state.tally), self.table.refused(), before=True)
            if state is None or state.phase in (INDEX, DONE):
                self._index()
            else:
                self._learn()
            return self._work()

    def _index(self) -> None:
        self.table.restart(self._now())
        items: list[Item] = []
        refusals: list[LeftOut] = []
        for done, read in enumerate(self._files.items(), 1):
            items += self._look(read, refusals)
            if len(items) + len(refusals) >= _INDEXED:
                self.table.add_items(items, refusals)
                items, refusals = [], []
                self._progress("index", done, 0)
        self.table.add_items(items, refusals)
        self.table.indexed(Tally().to_json(), UNKNOWN)

    def _learn(self) -> None:
        """Remember professionals again; the index of an earlier run stands."""
        for read in self._files.items():
            self._look(read, [])

    def _look(self, read: Read, refusals: list[LeftOut]) -> Iterator[Item]:
        place = read.place
        try:
            if read.refused is not None:
                raise read.refused
            found = self._recipe.look(read)
        except RefusedError as error:
            refusals.append(LeftOut(place.file, place.number, error.code))
            return
        names, patient = found or ((), False)
        for person in dict.fromkeys(self._refs.person(name) for name in names):
            yield Item(person, place.file, place.number, place.at, place.size, patient)

    def _work(self) -> Outcome:
        state = self.table.state()
        tally = Tally.from_json(state.tally if state else {})
        position = state.position if state else b""
        done = persons = 0
        while wanted := self._next(position):
            groups = self._groups(wanted)
            self._people.store(self.table, self._recipe, groups, tally, wanted[-1])
            position = wanted[-1]
            done, persons = done + sum(len(group.reads) for group in groups), persons + len(groups)
            self._progress("people", done, persons)
        self.table.finish(position, tally.to_json(), self._now())
        return Outcome(tally, self.table.refused())

    def _next(self, position: bytes) -> list[bytes]:
        """Return the persons of the next batch."""
        batch, items, size = list[bytes](), 0, 0
        for person, count, total in self.table.people(position, _PERSONS):
            items, size = items + count, size + total
            if batch and (items > self._batch or size > _BYTES):
                break
            batch.append(person)
        return batch

    def _groups(self, persons: list[bytes]) -> list[Group]:
        items = self.table.items(persons)
        places = [Place(item.file, item.number, item.at, item.size) for item in items]
        read: dict[tuple[int, int], Read] = {}
        for found in self._files.fetch(sorted(set(places), key=lambda place: (place.file, place.at))):
            read[found.place.file, found.place.number] = found
        groups: dict[bytes, Group] = {person: Group([], []) for person in persons}
        for item in items:
            group, found = groups[item.person], read[item.file, item.number]
            group.reads.append(found)
            if item.patient:
                group.patients.append(found)
        return list(groups.values())


def report(outcome: Outcome, refusals: Iterator[LeftOut], files: int) -> Iterator[tuple[str, Any]]:
    """Yield the parts of the report; the places of what was left out come last, one by one."""
    yield "ok", not outcome.refused
    yield "before", outcome.before
    yield "files", files
    counts = outcome.tally.to_json()
    yield from ((name, counts[name]) for name in ("read", "written", "kept", "missing", "others"))
    yield "refused", dict(outcome.refused)
    yield "places", ({"file": item.file, "number": item.number, "code": item.code} for item in refusals)
