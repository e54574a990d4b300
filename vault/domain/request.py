"""A request as understood: what is asked, by whom, in which language; its JSON is read strictly.

All of it is personal, so ``repr`` shows nothing. ``from_json`` takes exactly what ``to_json``
writes and refuses everything else, and no message repeats what it read.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final

from vault.domain.private import Private
from vault.domain.records import Json
from vault.errors import RefusedError

LANGUAGES = ("fi", "sv", "en")


class RequestKind(StrEnum):
    """What a requester asks for."""

    INSPECTION = "inspection"  # what do you hold about me (GDPR 15)
    LOG = "log"  # who has read it (Act 703/2023 s. 11)
    RECTIFICATION = "rectification"  # GDPR 16
    ERASURE = "erasure"  # GDPR 17
    RESTRICTION = "restriction"  # keep the data, but do not use them (GDPR 18)
    PORTABILITY = "portability"  # give the data on in a machine's form (GDPR 20)
    OBJECTION = "objection"  # stop using the data for this (GDPR 21)
    OTHER = "other"  # a person reads it


ANSWERED: Final = frozenset({RequestKind.INSPECTION, RequestKind.LOG})  # other rights are a person's work


class AnswerBy(StrEnum):
    """How the requester chose to be answered, on record."""

    MAIL = "mail"
    PAPER = "paper"


def _malformed() -> RefusedError:
    return RefusedError("request_malformed", "this is no request as the program writes it; enter its particulars again")


@dataclass(frozen=True, slots=True)
class Request(Private):
    """What a message asks for; every value is the requester's claim, nothing here is proved.

    :param kinds: what is asked, each once; empty when no request was found.
    :param confidence: 0 to 1, how sure the reading is; a person looks at unsure ones.
    :param language: ``fi``, ``sv`` or ``en``, the language of the answer.
    :param on_behalf: somebody writes for the data subject; ``for_child`` when that is her child.
    :param name: of the data subject, as written; likewise ``code`` (personal identity code), ``email``, ``address``.
    :param answer_by: the recorded choice, None when none was made.
    :param text: the request's own words.
    :param case_ref: the case that a reply names.
    :param one_time_code: the posted code that a reply brings back.
    :raises RefusedError: a value of another type or range (code ``request_malformed``).
    """

    kinds: tuple[RequestKind, ...]
    confidence: float
    language: str
    on_behalf: bool
    name: str | None
    code: str | None
    email: str | None
    address: str | None
    answer_by: AnswerBy | None
    text: str
    case_ref: str | None
    one_time_code: str | None
    for_child: bool = False

    def __post_init__(self) -> None:
        texts = (self.name, self.code, self.email, self.address, self.case_ref, self.one_time_code)
        fits = (
            _are_kinds(self.kinds)
            and _is_share(self.confidence)
            and isinstance(self.language, str)
            and self.language in LANGUAGES
            and isinstance(self.on_behalf, bool)
            and isinstance(self.for_child, bool)
            and (self.on_behalf or not self.for_child)
            and isinstance(self.answer_by, AnswerBy | None)
            and _is_text(self.text)
            and all(text is None or _is_text(text) for text in texts)
        )
        if not fits:
            raise _malformed()

    def to_json(self) -> dict[str, Json]:
        """Write the request as a JSON object: every field by its name."""
        return {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "kinds": [kind.value for kind in self.kinds],
            "answer_by": None if self.answer_by is None else self.answer_by.value,
        }

    @classmethod
    def from_json(cls, value: object) -> "Request":
        """Read what :meth:`to_json` wrote.

        :param value: a parsed JSON object; a confidence of 0 or 1 may have lost its ``.0`` on the way, and what
            was written before ``for_child`` was told has none.
        :raises RefusedError: anything else: a field missing, unknown, of another type (code ``request_malformed``).
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(value, Mapping) or {*value, "for_child"} != names:
            raise _malformed()
        kinds, answer_by, confidence = value["kinds"], value["answer_by"], value["confidence"]
        if not isinstance(kinds, list) or isinstance(confidence, bool) or not isinstance(confidence, int | float):
            raise _malformed()
        try:
            read = {
                "kinds": tuple(RequestKind(kind) for kind in kinds),
                "answer_by": None if answer_by is None else AnswerBy(answer_by),
                "confidence": float(confidence),
            }
        except (ValueError, OverflowError):
            raise _malformed() from None
        return cls(**{**value, **read})


def _are_kinds(kinds: object) -> bool:
    return (
        isinstance(kinds, tuple)
        and all(isinstance(kind, RequestKind) for kind in kinds)
        and len(set(kinds)) == len(kinds)
    )


def _is_share(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value) and 0 <= value <= 1


def _is_text(value: object) -> bool:
    """Tell whether ``value`` is text that UTF-8 can carry (no lone surrogates)."""
    try:
        return isinstance(value, str) and value.encode("utf-8") is not None
    except UnicodeEncodeError:
        return False
