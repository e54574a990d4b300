"""The Finnish personal identity code: read strictly, never shown, never proof of who is asking.

``DDMMYY`` + sign + ``NNN`` + check character (Decree 690/2022, in force 1 January 2023). The sign
tells the century and does not enter the check, but it is part of the identity: codes that differ
in the sign only belong to two persons, so the key is all 11 characters. A valid code says that
it is well formed; it proves neither that it was issued nor that its owner is writing.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

from vault.domain.private import Private
from vault.errors import RefusedError

Fault: TypeAlias = Literal["shape", "check", "date", "future", "individual"]
Kind: TypeAlias = Literal["register", "temporary"]

SIGNS: dict[int, str] = {1800: "+", 1900: "-YXWVU", 2000: "ABCDEF"}
_CENTURIES = {sign: century for century, signs in SIGNS.items() for sign in signs}
_CHECKS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_SHAPE = re.compile(rf"[0-9]{{6}}[{re.escape(''.join(_CENTURIES))}][0-9]{{3}}[{_CHECKS}]")
_FIRST_ISSUED = 2
_FIRST_TEMPORARY = 900
_LAST = 999

_ADVICE: dict[Fault, str] = {
    "shape": "a personal identity code has 11 characters: six digits, a sign, three digits, a check character",
    "check": "the check character does not fit; read the code again",
    "date": "the first six digits are no day of the calendar; read the code again",
    "future": "the birth date lies in the future; read the code again",
    "individual": "individual numbers 000 and 001 are never issued; read the code again",
}


class HetuError(RefusedError):
    """The value is no personal identity code; ``fault`` says at what it failed, never what it was."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"hetu_{fault}", _ADVICE[fault])
        self.fault: Fault = fault


@dataclass(frozen=True, slots=True)
class PersonalIdentityCode(Private, shows=("kind",)):
    """A well-formed code.

    :param value: all 11 characters, the key of a person; personal, so ``repr`` hides it.
    :param birth_date: the day that the code spells; personal.
    :param kind: ``register`` (002-899), or ``temporary`` (900-999: temporary or artificial, no real person's proof).
    """

    value: str
    birth_date: date
    kind: Kind


def check_character(digits: str) -> str:
    """Return the check character of the nine digits ``DDMMYYNNN``: their number modulo 31."""
    return _CHECKS[int(digits) % len(_CHECKS)]


def parse(value: str, today: date) -> PersonalIdentityCode:
    """Read a personal identity code; outer blanks and lower case are forgiven, nothing else.

    :param today: the Helsinki date after which nobody is born yet.
    :raises HetuError: not a code; faults are looked for in the order shape, check, date, future, individual.
    """
    code = value.strip()
    # upper() turns some letters of other alphabets into ASCII ones, so look before
    code = code.upper() if code.isascii() else ""
    if not _SHAPE.fullmatch(code):
        raise HetuError("shape")
    individual = int(code[7:10])
    if check_character(code[:6] + code[7:10]) != code[10]:
        raise HetuError("check")
    born = _born(code)
    if born > today:
        raise HetuError("future")
    if individual < _FIRST_ISSUED:
        raise HetuError("individual")
    return PersonalIdentityCode(code, born, "temporary" if individual >= _FIRST_TEMPORARY else "register")


def spell(born: date, individual: int, sign: str | None = None) -> str:
    """Spell the code of a birth date and an individual number; the inverse of :func:`parse`.

    :param individual: 2 to 999; 900 and above never belong to a real person.
    :param sign: one of the century's signs; the century's first when left out.
    :raises HetuError: no such code can be issued.
    """
    signs = SIGNS.get(born.year // 100 * 100, "")
    if not signs:
        raise HetuError("date")
    sign = sign or signs[0]
    if len(sign) != 1 or sign not in signs:
        raise HetuError("shape")
    if not _FIRST_ISSUED <= individual <= _LAST:
        raise HetuError("individual")
    day = f"{born:%d%m}{born.year % 100:02d}"
    return f"{day}{sign}{individual:03d}{check_character(f'{day}{individual:03d}')}"


def _born(code: str) -> date:
    try:
        return date(_CENTURIES[code[6]] + int(code[4:6]), int(code[2:4]), int(code[:2]))
    except ValueError:
        raise HetuError("date") from None
