"""How one kind of input is understood: who an item is about, and what records a person's items make."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from vault.domain.records import Record
from vault.errors import RefusedError
from vault.register.imports.inputs import Format, Place, Read
from vault.register.tally import Tally

Refuse = Callable[[Place, RefusedError], None]


class Recipe(Protocol):
    """One kind of input."""

    @property
    def form(self) -> Format:
        """How the input's files are cut into items."""
        ...

    def mark(self) -> bytes:
        """Return what makes another reading of the same input."""
        ...

    def look(self, read: Read) -> "tuple[Sequence[str], bool] | None":
        """Return the names of the persons that an item is about, and whether it says who they are.

        Professionals are remembered. None means that there is nothing to store for anybody.

        :raises RefusedError: the item can't be read, or is about nobody.
        """
        ...

    def code(self, reads: Sequence[Read]) -> str:
        """Return the personal identity code of the person who these items say they are about.

        :raises RefusedError: there is none, or they differ.
        """
        ...

    def records(
        self, subject: str, reads: Sequence[Read], present: Iterable[str], tally: Tally, refuse: Refuse
    ) -> list[Record]:
        """Return what these items make and what is not stored yet."""
        ...
