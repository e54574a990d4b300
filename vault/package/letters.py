"""Letters: the answer, the refusal, the one-time code, the passphrase, the cover of an answer on paper.

Every letter is made by a template from named values; the texts stand in ``texts/letters.*.toml``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from vault.domain.grounds import COMPLAINT, COURT_REMEDY, GROUNDS, OMBUDSMAN_INSTEAD
from vault.domain.private import Private
from vault.domain.records import Record, RecordKind
from vault.errors import RefusedError
from vault.package.blocks import Block, build
from vault.package.contents import LETTER, LOG_DATA, LOG_PDF, REFUSAL
from vault.package.heading import Heading, Recipient
from vault.package.language import day, fill, part
from vault.package.sheet import common_values, set_letter

FACTS = ("purposes", "categories", "recipients", "retention", "rights", "complaint", "source", "automated", "transfers")
_SECTION_34 = "1050/2018 s. 34"


@dataclass(frozen=True, slots=True)
class Enclosure(Private, shows=("pages",)):
    """One line of a list of contents.

    :param title: in the requester's language.
    :param files: the names of its files in a package; PDF first.
    :param pages: how many, on paper.
    """

    title: str
    files: tuple[str, ...] = ()
    pages: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal(Private, shows=("told",)):
    """One document that is not given.

    :param title: its title; ground: a code of :data:`vault.domain.grounds.GROUNDS`.
    :param told: False where telling the ground would defeat its purpose (Act 1050/2018 s. 34).
    """

    title: str
    ground: str
    told: bool = True


def answer_letter(
    heading: Heading,
    recipient: Recipient | None,
    enclosures: Sequence[Enclosure],
    *,
    received: date,
    disclosed_to: Sequence[str] = (),
    refused: bool = False,
    log: bool = False,
    facts: Mapping[str, str] | None = None,
) -> bytes:
    """Write the answer's first letter: what it holds, and all of GDPR 15(1)(a)-(h) and 15(2).

    :param enclosures: the released documents; the decision and the log are added to the list.
    :param disclosed_to: recipients by name; see :func:`recipients_of`.
    :param refused: some documents are withheld; a refusal goes with this letter.
    :param log: a log extract goes with it.
    :param facts: the controller's own words for any of :data:`FACTS`.
    :raises RefusedError: ``facts`` names none of them, or the letter can't be set.
    """
    if facts and not facts.keys() <= set(FACTS):
        raise RefusedError("fact_unknown", f"name only these facts: {', '.join(FACTS)}")
    conditions = [name for name, holds in (("refused", refused), ("log", log), ("released", bool(enclosures))) if holds]
    slots = {
        "contents": _contents(heading, [*enclosures, *_beside(heading, enclosures, refused=refused, log=log)]),
        "facts": [_facts(heading, disclosed_to, facts or {})],
    }
    values = {"received": day(received, heading.language)}
    return _letter(heading, "answer", recipient, values=values, slots=slots, conditions=conditions)


def refusal_letter(
    heading: Heading,
    recipient: Recipient | None,
    refusals: Sequence[Refusal],
    *,
    received: date,
    decided: date,
    whole: bool,
) -> bytes:
    """Write the refusal document: what, on which ground, and what can be done (GDPR 12(4), Act 1050/2018 s. 34).

    :param whole: nothing is given at all.
    :raises RefusedError: nothing is refused, or a ground is unknown.
    """
    unknown = {refusal.ground for refusal in refusals} - GROUNDS.keys()
    if unknown or not refusals:
        raise RefusedError("ground_unknown", "a refusal names what is refused, each on a known ground")
    language = heading.language
    values = {
        "received": day(received, language),
        "decided_on": day(decided, language),
        "complaint": COMPLAINT.in_language(language),
        "ombudsman_instead": OMBUDSMAN_INSTEAD.in_language(language),
        "court_remedy": COURT_REMEDY.in_language(language),
    }
    conditions = ["whole" if whole else "part"]
    if any(_SECTION_34 in GROUNDS[refusal.ground].statute for refusal in refusals):
        conditions.append("section_34")
    slots = {"refusals": [_refusals(heading, refusals)]}
    title = "title_whole" if whole else "title_part"
    return _letter(heading, "refusal", recipient, values=values, slots=slots, conditions=conditions, title=title)


def code_letter(heading: Heading, recipient: Recipient, code: str, *, valid_until: date, reply_to: str) -> bytes:
    """Write the letter that brings the one-time code to the address on the register.

    :param code: as :func:`vault.domain.codes.render_code` spells it.
    :param reply_to: the mail address that takes the code.
    """
    values = {"valid_until": day(valid_until, heading.language), "reply_to": reply_to}
    slots = {"code": [_copy(heading, "code", code, ref=heading.case_ref)]}
    return _letter(heading, "code", recipient, values=values, slots=slots)


def passphrase_letter(heading: Heading, recipient: Recipient, passphrase: str) -> bytes:
    """Write the letter that brings the passphrase of a PDF package, apart from the package.

    :param passphrase: as :func:`vault.domain.codes.passphrase` spells it.
    """
    slots = {"passphrase": [_copy(heading, "passphrase", passphrase, ref=None)]}
    return _letter(heading, "passphrase", recipient, slots=slots)


def paper_cover(heading: Heading, recipient: Recipient, enclosures: Sequence[Enclosure]) -> bytes:
    """Write the first sheet of an answer on paper: to whom, and what lies behind it."""
    return _letter(heading, "paper", recipient, slots={"contents": _contents(heading, enclosures)})


def recipients_of(records: Iterable[Record]) -> list[str]:
    """Name whom data was disclosed to, each once, as the register's disclosures say (GDPR 15(1)(c))."""
    disclosures = (r.body for r in records if r.kind is RecordKind.CONSENT and r.body.get("type") == "disclosure")
    return sorted({str(body["recipient"]) for body in disclosures if body.get("recipient")})


def _letter(
    heading: Heading,
    name: str,
    recipient: Recipient | None,
    *,
    slots: Mapping[str, Sequence[Block]],
    values: Mapping[str, object] | None = None,
    conditions: Sequence[str] = (),
    title: str = "title",
) -> bytes:
    text: Mapping[str, Any] = part("letters", heading.language, name)
    blocks = build(text["blocks"], {**common_values(heading), **(values or {})}, slots, conditions)
    return set_letter(heading, text["kind"], text[title], recipient, blocks)


def _contents(heading: Heading, enclosures: Sequence[Enclosure]) -> list[Block]:
    words = part("letters", heading.language, "words")
    if not enclosures:
        return []
    if any(enclosure.pages is not None for enclosure in enclosures):
        rows = [[enclosure.title, _pages(words, enclosure.pages or 0)] for enclosure in enclosures]
        return [{"t": "table", "head": [words["document"], words["pages"]], "columns": [1, 0], "v": rows}]
    if not any(enclosure.files for enclosure in enclosures):
        return [{"t": "l", "v": [enclosure.title for enclosure in enclosures]}]
    rows = [[enclosure.title, *_two(enclosure.files)] for enclosure in enclosures]
    head = [words["document"], words["file"], words["data_file"]]
    return [{"t": "table", "head": head, "columns": [1, 0, 0], "v": rows}]


def _beside(heading: Heading, enclosures: Sequence[Enclosure], *, refused: bool, log: bool) -> list[Enclosure]:
    """List what goes with the released documents; without file names where those have none, as on paper."""
    titles = fixed_titles(heading.language)
    on_paper = bool(enclosures) and not any(enclosure.files for enclosure in enclosures)
    beside = [(REFUSAL,)] * refused + [(LOG_PDF, LOG_DATA)] * log
    return [Enclosure(titles[files[0]], () if on_paper else files) for files in beside]


def fixed_titles(language: str) -> dict[str, str]:
    """Give the titles of the files that stand beside the released documents, by name."""
    letters = part("letters", language)
    return {LETTER: letters["answer"]["title"], REFUSAL: letters["refusal"]["kind"], LOG_PDF: letters["log"]["kind"]}


def _pages(words: Mapping[str, str], pages: int) -> str:
    return words["pages_one"] if pages == 1 else fill(words["pages_many"], {"pages": pages})


def _two(files: Sequence[str]) -> list[str]:
    return [*files[:2], *([""] * (2 - len(files)))]


def _facts(heading: Heading, disclosed_to: Sequence[str], own: Mapping[str, str]) -> Block:
    facts = part("letters", heading.language, "facts")
    texts = {name: own.get(name) or facts[name]["text"] for name in FACTS}
    if "recipients" not in own:
        text = facts["recipients"]["text" if disclosed_to else "none"]
        texts["recipients"] = fill(text, {"recipients": ", ".join(disclosed_to)})
    return {"t": "d", "v": [{"label": facts[name]["title"], "text": texts[name]} for name in FACTS]}


def _refusals(heading: Heading, refusals: Sequence[Refusal]) -> Block:
    words = part("letters", heading.language, "words")
    rows: list[Block] = []
    for refusal in refusals:
        ground = GROUNDS[refusal.ground]
        title = f": {ground.title.in_language(heading.language)}" if refusal.told else ""
        text = ground.text.in_language(heading.language) if refusal.told else words["ground_untold"]
        rows.append({"label": f"{refusal.title}{title}", "text": text})
    return {"t": "d", "v": rows}


def _copy(heading: Heading, word: str, value: str, *, ref: str | None) -> Block:
    words = part("letters", heading.language, "words")
    return {"t": "copy", "label": words[word], "v": value, "ref": ref, "ref_label": words["case"]}
