"""What stands at the head of everything that we write: whose case, in which language, from whom, to whom."""

from dataclasses import dataclass
from datetime import datetime

from vault.domain.private import Private
from vault.package.language import check_language
from vault.settings import Controller


@dataclass(frozen=True, slots=True)
class Heading:
    """What a document, letter or notice belongs to.

    :param at: the time that it is dated with; a moment that knows its zone, the same again when a step runs again,
        so that the bytes are the same too.
    """

    case_ref: str
    language: str
    controller: Controller
    at: datetime

    def __post_init__(self) -> None:
        check_language(self.language)


@dataclass(frozen=True, slots=True)
class Recipient(Private):
    """Whom a letter is for, as the address window shows it.

    :param name: as on the register or on the request.
    :param lines: street, postal code and city, and the country, by name or by its code of two letters; at most
        five are printed.
    """

    name: str
    lines: tuple[str, ...] = ()
