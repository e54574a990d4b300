"""Data goes in, an accessible PDF comes out: the same bytes for the same data, at any time and on any machine.

Templates are our own typst files; data reaches them as JSON and is never read as markup. The
result is PDF/UA-1 and PDF/A-2a with the fonts that typst itself carries, so that no machine's
fonts change a byte. Characters that these fonts lack are shown as ``⟨U+1F600⟩``, never dropped.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import typst

from vault.errors import RefusedError

TEMPLATES = Path(__file__).parent / "templates"
Shown: TypeAlias = "str | int | bool | Sequence[Shown] | Mapping[str, Shown] | None"
_STANDARDS: "list[typst.PDFStandard]" = ["ua-1", "a-2a"]
_LACKING = re.compile(r'(?:the text|codepoint) `"((?:[^"\\]|\\.)+)"`')
_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")
_CODE_POINT = re.compile(r"⟨U\+[0-9A-F]+⟩")
_COMMON = re.compile(r"[\n -~\u00a0-\u017f–—‘’“”…€⟨⟩]")  # surely in the fonts
_NEVER = re.compile(  # controls, orders to write backwards, lone surrogates, private and unassigned characters
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ue000-\uf8ff\ufffe\uffff\U000f0000-\U0010ffff]"
)


def typeset(template: str, data: Mapping[str, Shown], at: datetime) -> bytes:
    """Set a document.

    :param template: name of a file in ``templates/``, without its suffix.
    :param data: what the template shows; plain JSON values. Where signs had to be replaced, the
        template finds ``signs`` true.
    :param at: the time that stands in the file as its making; a moment that knows its zone.
    :raises RefusedError: the document can't be set; names the template, never what it held.
    """
    text = json.dumps(_spelled(data), ensure_ascii=False)
    pdf, lacking = _compile(template, text, at, signs=_CODE_POINT.search(text) is not None)
    if pdf is None:
        pdf, _ = _compile(template, _replaced(text, lacking), at, signs=True)
    if pdf is None:  # the error named other characters than it meant: keep only what is surely there
        pdf, _ = _compile(template, _replaced(text, {sign for sign in text if not _COMMON.match(sign)}), at, signs=True)
    if pdf is None:
        msg = f"the template {template} could not be set; report this with the release's version"
        raise RefusedError("typesetting_failed", msg)
    return pdf


@functools.cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False)


def _compile(template: str, text: str, at: datetime, *, signs: bool) -> tuple[bytes | None, set[str]]:
    try:
        pdf = typst.compile(
            TEMPLATES / f"{template}.typ",
            root=TEMPLATES,
            font_paths=_fonts(),
            ignore_system_fonts=True,
            format="pdf",
            sys_inputs={"data": text, "signs": "yes" if signs else ""},
            pdf_standards=_STANDARDS,
            timestamp=at.astimezone(UTC).replace(microsecond=0),
        )
    except typst.TypstError as error:
        return None, set(_lacking(error.diagnostic))
    return pdf, set()


def _lacking(diagnostic: str) -> Iterator[str]:
    """Name the characters that typst could not show; it lists them all in one error."""
    for cluster in _LACKING.findall(diagnostic):
        for sign in _ESCAPED.sub(lambda code: chr(int(code[1], 16)), cluster):
            if not _COMMON.match(sign):
                yield sign


def _replaced(text: str, signs: set[str]) -> str:
    return text.translate({ord(sign): _code_point(sign) for sign in signs})


def _code_point(sign: str) -> str:
    return f"⟨U+{ord(sign):04X}⟩"


def _spelled(value: Shown) -> Shown:
    """Give the value with line ends as one sign, tabs as spaces, and unprintable characters spelled out."""
    if isinstance(value, str):
        lines = value.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
        return _NEVER.sub(lambda found: _code_point(found[0]), lines)
    if isinstance(value, Mapping):
        return {key: _spelled(inner) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [_spelled(inner) for inner in value]
    return value
