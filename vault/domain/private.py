"""Values that don't leak: whatever shows, formats, logs, pickles or copies one gives its type and reference at most."""

from collections.abc import Mapping
from enum import Enum
from typing import ClassVar, NoReturn, SupportsIndex

from vault.errors import WrongUseError


class Private:
    """A value that holds personal data or a secret; a subclass is shown by its type and by nothing else.

    ``class Record(Private, shows=("ref", "kind"))`` names the attributes that may be shown besides:
    references, kinds, states and counts, never a name, a contact, a code, a text or a key. A dataclass
    takes this ``repr`` in place of its own. Pickle and copy are refused, and so is Airflow's XCom, because
    what is passed on outside the process is a reference (:mod:`json` refuses by itself; ``dataclasses.asdict``
    is how a value is written on purpose, before it is sealed).
    """

    __slots__ = ()
    _shows: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, *, shows: tuple[str, ...] | None = None, **kwargs: object) -> None:
        """Put ``repr`` into the class itself, where a dataclass leaves it alone.

        :param shows: the attributes that may be shown; None where slots make the class a second time.
        """
        super().__init_subclass__(**kwargs)
        if shows is not None or "_shows" not in vars(cls):
            cls._shows = shows or ()
        type.__setattr__(cls, "__repr__", Private.__repr__)

    def __repr__(self) -> str:
        shown = (f"{name}={_plain(getattr(self, name, None))}" for name in self._shows)
        return f"{type(self).__name__}({', '.join(shown)})"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise WrongUseError("private_not_copied", "a private value is not pickled or copied; pass its reference")

    def serialize(self) -> NoReturn:
        """Refuse Airflow's XCom, which asks a value for this before it takes a dataclass apart.

        :raises WrongUseError: always (code ``private_not_copied``).
        """
        self.__reduce_ex__(0)


def _plain(value: object) -> str:
    """Show what can be a reference, a kind, a state or a count; of anything else the type."""
    if isinstance(value, Enum):
        return repr(value.value)
    if value is None or isinstance(value, str | int | float):
        return repr(value)
    if isinstance(value, tuple | list | frozenset | Mapping):
        return f"<{len(value)}>"
    return f"<{type(value).__name__}>"
