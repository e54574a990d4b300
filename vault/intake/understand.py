"""Reads a request's text by plain rules in Finnish, Swedish and English; unsure readings go to a person.

Nothing is learnt and nothing is guessed: a rule found a phrase or it did not. What is read is the
requester's claim and proves nothing.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import TypeAlias

from vault.domain.calendar import HELSINKI
from vault.domain.codes import normalise_code
from vault.domain.hetu import HetuError, parse
from vault.domain.request import LANGUAGES, AnswerBy, Request, RequestKind
from vault.intake import phrases, rights
from vault.intake.headers import clean, mailbox

SURE = 0.5  # confidence below which a person reads what is asked
_LONGEST = 20_000  # characters of a text that are read
_DASH = re.compile("[\u2010-\u2014\u2212]")
_READ_AS = str.maketrans("OIL", "011")
_REFERENCE = re.compile(r"\bDSR ?- ?([0-9]{4}) ?- ?([0-9A-Z]{6})\b", re.IGNORECASE)
_CODE_LIKE = re.compile(r"(?<![\w+-])\d{6}[-+A-FYXWVUa-fyxwvu]\d{3}[0-9A-Za-z](?!\w)")
_GROUP = "([0-9A-Za-z]{5})"
_HYPHENED = re.compile(rf"(?<![\w-]){_GROUP}[ \t]?-[ \t]?{_GROUP}(?![\w-])")
_JOINED = re.compile(rf"(?<![\w-]){_GROUP}{_GROUP}(?![\w-])")
_SPACED = re.compile(rf"(?<![\w-])(?={_GROUP}[ \t]{_GROUP}(?![\w-]))")  # looks ahead: a word before may hide it
_LABELLED = re.compile(r"^[ \t>*•-]*([^\W\d_][\w /-]{1,40}?)[ \t]*:[ \t]*(\S.*?)[ \t]*$")
_NAME = re.compile(r"[^\W\d_][\w.'’-]*(?: [^\W\d_][\w.'’-]*){0,5}")
_POSTAL = re.compile(r"\b\d{5}\b")
_AUTHORISATION = re.compile(r"valtakirja|fullmakt|authori[sz]ation|power[ _-]of[ _-]attorney", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")
_SENTENCE = re.compile(r"[.!?;](?: |$)|\n")
_PLAIN, _HINT, _CLASH = 0.9, 0.6, 0.3  # confidence: said plainly; only hinted at; taken off for a contradiction
_SEPARATOR = 3  # characters at most between the groups of a code
_Labelled: TypeAlias = tuple[int, str, str]  # number of a line, its label, what stands behind that
_LONGEST_NAME, _FEWEST_NAMES, _MOST_NAMES = 80, 2, 4


def understand(
    text: str,
    *,
    subject: str = "",
    language: str | None = None,
    attachments: Iterable[str] = (),
    today: date | None = None,
) -> Request:
    """Read what a text asks for.

    :param text: the words of a mail or letter; what it quotes of earlier mail is not read for wishes.
    :param subject: the mail's subject.
    :param language: ``fi``, ``sv`` or ``en`` when the words themselves do not tell.
    :param attachments: names of the files that came with it.
    :param today: for the check of personal identity codes; else the Helsinki date.
    """
    today = today or datetime.now(HELSINKI).date()
    text, subject = clean(text)[:_LONGEST], clean(subject)[:_LONGEST]
    own = _own_words(text)
    words = " ".join(f"{subject}. {own}".lower().split())
    kinds, confidence = _kinds(words)
    for_child = rights.CHILD.search(words) is not None
    labelled = list(_labelled(own.split("\n")))
    codes = _identity_codes(own, labelled, today)
    return Request(
        kinds=kinds,
        confidence=round(max(0.0, confidence - (_CLASH if len(codes) > 1 else 0.0)), 2),
        language=_language(words, language),
        on_behalf=for_child
        or rights.SOMEBODY.search(words) is not None
        or any(_AUTHORISATION.search(name) for name in attachments),
        name=_name(own, labelled),
        code=codes[0] if len(codes) == 1 else None,
        email=_email(labelled),
        address=_address(own, labelled),
        answer_by=_answer_by(words),
        text=own.strip(),
        case_ref=_case_ref(_DASH.sub("-", f"{subject}\n{text}")),
        one_time_code=_one_time_code(_DASH.sub("-", own)),
        for_child=for_child,
    )


def _own_words(text: str) -> str:
    """Leave out what is quoted from earlier mail."""
    lines: list[str] = []
    for line in text.split("\n"):
        bare = line.lstrip()
        if bare.startswith("--") and phrases.QUOTE_STARTS.match(line):
            break
        if ":" in line and phrases.QUOTE_STARTS.fullmatch(line):
            break
        if not bare.startswith(">"):
            lines.append(line)
    own = "\n".join(lines)
    return own if own.strip() else text


def _found(patterns: rights.Patterns, words: str) -> bool:
    return any(pattern.search(words) for pattern in patterns)


def _kinds(words: str) -> tuple[tuple[RequestKind, ...], float]:
    """Return what is asked and how sure that is; where no sentence says it, two neighbours may say it together."""
    sentences = [part for part in _SENTENCE.split(words) if part.strip()]
    found = _said(sentences) or _said([" ".join(pair) for pair in pairwise(sentences)])
    return tuple(kind for kind in RequestKind if kind in found), max(found.values(), default=0.0)


def _said(sentences: Iterable[str]) -> dict[RequestKind, float]:
    found: dict[RequestKind, float] = {}
    for sentence in sentences:
        others = _others(sentence)
        sure = _inspection(sentence, others)
        seen = {RequestKind.INSPECTION: max(sure, found.get(RequestKind.INSPECTION, 0.0))} if sure else {}
        found |= {**dict.fromkeys(others, _PLAIN), **seen}
    return found


def _others(sentence: str) -> set[RequestKind]:
    return {kind for kind, patterns in rights.OTHERS.items() if _found(patterns, sentence)}


def _inspection(sentence: str, others: set[RequestKind]) -> float:
    """Return how sure a sentence asks to see data; who asks for another right in it names this one, or adds it."""
    if _found(rights.NAMED, sentence):
        return _PLAIN
    if others == {RequestKind.LOG}:
        parts = [part for part in rights.ALSO.split(sentence) if not _others(part)]
        return max((_inspection(part, set()) for part in parts), default=0.0)
    if others:
        return 0.0
    if _found(rights.INSPECTION, sentence):
        return _PLAIN
    return _HINT if _found(rights.ASKED, sentence) else 0.0


def _language(words: str, hint: str | None) -> str:
    found = _WORD.findall(words)
    scores = {language: sum(map(phrases.WORDS[language].__contains__, found)) for language in LANGUAGES}
    best = max(scores.values())
    first = [language for language in LANGUAGES if scores[language] == best]
    if hint in LANGUAGES and (best == 0 or hint in first):
        return str(hint)
    return first[0]


def _identity_codes(text: str, labelled: Iterable[_Labelled], today: date) -> list[str]:
    """Return the distinct valid codes; a labelled one speaks for the subject, unless there are several."""
    named = [code for value in _values(labelled, phrases.CODE_LABELS) for code in _valid_codes(value, today)]
    return list(dict.fromkeys(named)) or list(dict.fromkeys(_valid_codes(text, today)))


def _valid_codes(text: str, today: date) -> Iterator[str]:
    for candidate in _CODE_LIKE.findall(text):
        try:
            yield parse(candidate, today).value
        except HetuError:
            continue


def _labelled(lines: Iterable[str]) -> Iterator[_Labelled]:
    for number, line in enumerate(lines):
        if ":" in line and (found := _LABELLED.match(line[:400])):
            yield number, " ".join(found[1].lower().split()), found[2]


def _values(labelled: Iterable[_Labelled], labels: tuple[str, ...]) -> Iterator[str]:
    return (value for _, label, value in labelled if label in labels)


def _name(text: str, labelled: Sequence[_Labelled]) -> str | None:
    for value in _values(labelled, phrases.NAME_LABELS):
        if name := _as_name(value):
            return name
    given, family = (next(_values(labelled, labels), None) for labels in (phrases.GIVEN_LABELS, phrases.FAMILY_LABELS))
    if given and family and (name := _as_name(f"{given} {family}")):
        return name
    said = phrases.SAID_NAME.search(text)
    return (_as_name(_capitalised(said[1])) if said else None) or _signature(text)


def _capitalised(words: str) -> str:
    """Return the leading words that begin with a capital, and the particles between them."""
    taken: list[str] = []
    for word in words.split():
        if not word[:1].isupper() and word not in phrases.PARTICLES:
            break
        taken.append(word)
    return " ".join(taken)


def _as_name(value: str) -> str | None:
    """Take the leading words of a value that can be a name."""
    bare = re.split(r"[,;(\d]", value)[0].strip()
    if not _NAME.fullmatch(bare) or len(bare) > _LONGEST_NAME:
        return None
    return bare


def _signature(text: str) -> str | None:
    """Return the name below the last closing phrase: two to four words that begin with a capital."""
    lines = [line.strip() for line in text.split("\n")]
    for number in range(len(lines) - 1, -1, -1):
        closing = phrases.CLOSINGS.match(lines[number])
        if closing is None:
            continue
        rest = lines[number][closing.end() :].strip(" ,.!:-")
        below = [line for line in lines[number + 1 :] if line][:1]
        for line in [rest] if rest else below:
            words = line.split()
            if _FEWEST_NAMES <= len(words) <= _MOST_NAMES and all(word[:1].isupper() for word in words):
                return _as_name(line)
    return None


def _email(labelled: Iterable[_Labelled]) -> str | None:
    return next(filter(None, (mailbox(value.split()[0]) for value in _values(labelled, phrases.EMAIL_LABELS))), None)


def _address(text: str, labelled: Iterable[_Labelled]) -> str | None:
    """Return a labelled postal address, with the next line when only that holds the postal code."""
    for number, label, value in labelled:
        if label in phrases.ADDRESS_LABELS and "@" not in value:
            lines = text.split("\n")
            following = lines[number + 1].strip() if number + 1 < len(lines) else ""
            joined = f"{value}, {following}" if not _POSTAL.search(value) and _POSTAL.match(following) else value
            return joined[:200]
    return None


def _answer_by(words: str) -> AnswerBy | None:
    wished = [wish for wish, said in phrases.WISHES.items() if said.search(words)]
    return wished[0] if len(wished) == 1 else None


def _case_ref(text: str) -> str | None:
    """Return the case that a reply names; None when it names several."""
    spelled = {f"DSR-{year}-{tail.upper().translate(_READ_AS)}" for year, tail in _REFERENCE.findall(text)}
    known = [ref for ref in spelled if "U" not in ref[len("DSR-2026-") :]]
    return known[0] if len(known) == 1 else None


def _one_time_code(text: str) -> str | None:
    """Return the one code that the text brings back; the way it is spelled most clearly goes first."""
    lines = _REFERENCE.sub(" ", _CODE_LIKE.sub(" ", text)).split("\n")
    for spelling in (_HYPHENED, _JOINED, _SPACED):
        found: dict[str, None] = {}
        for number, line in enumerate(lines):
            pairs = spelling.findall(line[:1000])
            named = bool(pairs) and any(map(phrases.CODE_WORDS.search, lines[max(0, number - 1) : number + 1]))
            for first, second in pairs:
                code = normalise_code(first + second)
                alone = len(line.strip()) <= len(first + second) + _SEPARATOR
                if code and _is_code(spelling, first, second, named=named, alone=alone):
                    found[code] = None
        if found:
            return next(iter(found)) if len(found) == 1 else None
    return None


def _is_code(spelling: re.Pattern[str], first: str, second: str, *, named: bool, alone: bool) -> bool:
    """Tell a code from words, telephone numbers, and towns behind postal codes."""
    both = first + second
    tangled = _is_tangled(first), _is_tangled(second)
    if spelling is _SPACED:
        return all(tangled) or (alone and any(tangled))
    shouted = both.isupper() or both.isdigit()
    if spelling is _JOINED:
        return any(tangled) or (named and shouted)
    return any(map(str.isdigit, both)) or (named and shouted)


def _is_tangled(group: str) -> bool:
    """Tell whether a group mixes digits and letters."""
    return not group.isdigit() and not group.isalpha()
