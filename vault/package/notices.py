"""Notices: what we write beside the answer, as a mail's text and as a letter; in Finnish, Swedish, English.

A notice is made from its template, the case's reference and the clock alone, so it is the same
whether or not its reader is a patient. Its subject names the case's reference and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from vault.domain.calendar import HELSINKI
from vault.domain.private import Private
from vault.errors import RefusedError
from vault.package.blocks import Block, as_text, build
from vault.package.heading import Heading, Recipient
from vault.package.language import day, fill, sentence, texts
from vault.package.sheet import closing, common_values, refuse_identity_code, set_letter
from vault.settings import Controller

KINDS = (
    "acknowledgement",
    "question",
    "reminder",
    "could_not_open",
    "unreadable",
    "no_request_found",
    "completion",
    "package_openpgp",
    "package_pdf",
)
_ASKING = ("question", "reminder")
_GROUP = 4  # characters of a fingerprint that stand together
_NO_DAY = datetime(1970, 1, 1, tzinfo=UTC)  # a text carries no date of its own


@dataclass(frozen=True, slots=True)
class Notice(Private, shows=("kind", "case_ref")):
    """A notice, ready for the mail (``subject`` and ``text``) or, by :func:`notice_pdf`, for the post."""

    kind: str
    language: str
    case_ref: str
    subject: str
    title: str
    text: str
    blocks: tuple[Block, ...]


def notice(
    kind: str,
    language: str,
    *,
    case_ref: str,
    due: date,
    controller: Controller,
    fingerprint: str,
    question: str | None = None,
    with_keys: bool = False,
) -> Notice:
    """Write a notice.

    :param kind: one of :data:`KINDS`.
    :param due: the day by which the answer comes, as the case's clock says.
    :param fingerprint: of the controller's OpenPGP key, 40 hexadecimal digits.
    :param question: what is asked, in the registrar's words; for ``question`` and ``reminder``, and only for them.
    :param with_keys: our key and certificate go along.
    :raises RefusedError: an unknown kind or language, a question missing or out of place, or one that shows a
        personal identity code.
    """
    if kind not in KINDS or (kind in _ASKING) != bool(question and question.strip()):
        raise RefusedError("notice_unknown", f"a notice is one of {', '.join(KINDS)}; the asking ones carry a question")
    heading = Heading(case_ref, language, controller, _NO_DAY)
    words = texts("notices", language)
    values = common_values(heading) | {
        "due": day(due, language),
        "fingerprint": spaced(fingerprint),
        "portal": controller.portal,
    }
    asked: list[Block] = [{"t": "q", "v": question.strip()}] if question else []
    shown = ["attached" if with_keys else "apart", *(["portal"] if controller.portal else [])]
    blocks = _joined(build(words[kind]["blocks"], values, {"question": asked}, shown))
    if kind != "reminder":
        blocks.append({"t": "p", "v": fill(words["reach"], values)})
    return Notice(
        kind,
        language,
        case_ref,
        subject=fill(words["subject"], values),
        title=words[kind]["title"],
        text=_mail_text(heading, words["greeting"], blocks, words["regards"]),
        blocks=tuple(blocks),
    )


def notice_pdf(notice: Notice, address: Sequence[str] | str, controller: Controller, language: str, on: date) -> bytes:
    """Set a notice as a letter for the post.

    :param address: the lines of the address window, the name first; a text is split at its line ends.
    :param on: the day that the letter is dated with, in Helsinki.
    """
    lines = address.splitlines() if isinstance(address, str) else list(address)
    lines = [line.strip() for line in lines if line.strip()]
    recipient = Recipient(lines[0], tuple(lines[1:])) if lines else None
    noon = datetime.combine(on, time(12), HELSINKI)
    heading = Heading(notice.case_ref, language, controller, noon)
    return set_letter(heading, sentence("notices", language, "kind"), notice.title, recipient, notice.blocks)


def spaced(fingerprint: str) -> str:
    """Write a fingerprint in groups of four, for eyes that compare."""
    return " ".join(fingerprint[at : at + _GROUP] for at in range(0, len(fingerprint), _GROUP))


def _joined(blocks: Sequence[Block]) -> list[Block]:
    """Make one list of lists that follow each other, such as one that not every clinic has."""
    joined: list[Block] = []
    for block in blocks:
        if joined and joined[-1]["t"] == block["t"] == "l":
            joined[-1] = {"t": "l", "v": [*joined[-1]["v"], *block["v"]]}
        else:
            joined.append(block)
    return joined


def _mail_text(heading: Heading, greeting: str, blocks: Sequence[Block], regards: str) -> str:
    controller = heading.controller
    foot = [*closing(heading, regards), ", ".join(controller.address), controller.email]
    text = "\n\n".join([greeting, as_text(blocks), "\n".join(foot)]) + "\n"
    refuse_identity_code(text)
    return text
