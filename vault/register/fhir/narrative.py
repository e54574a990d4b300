"""A FHIR narrative (R4 s. 2.4) as plain text: words and line breaks, no markup, whatever the markup is."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Final

from vault.domain.private import Private

_BREAKS: Final = frozenset(
    (
        "p",
        "div",
        "br",
        "li",
        "tr",
        "ul",
        "ol",
        "table",
        "dt",
        "dd",
        "hr",
        "pre",
        "blockquote",
        *map("h{}".format, range(1, 7)),
    )
)
_BLANKS: Final = re.compile(r"[ \t\r\f\v]+")
_LINES: Final = re.compile(r"\s*\n\s*")
_TAG: Final = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)(?:\s+(?!alt\b)[A-Za-z:]+=\"[^\"<>]*\")*\s*/?>")
_WORDLESS: Final = frozenset({"script", "style"})


class _Words(Private, HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BREAKS:
            self.found.append("\n")
        elif tag in ("td", "th"):
            self.found.append(" ")
        self.found += [f" {value} " for name, value in attrs if name == "alt" and value]

    def handle_endtag(self, tag: str) -> None:
        if tag in _BREAKS:
            self.found.append("\n")

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def unknown_decl(self, data: str) -> None:
        self.found.append(data)  # a CDATA section


def plain_text(markup: str) -> str:
    """Return the words of an XHTML fragment; text without markup stays as it is but for blanks."""
    found = _TAG.sub(_gap, markup)
    if "<" in found or ">" in found:  # more than simple tags: the parser knows what to do, and takes four times as long
        words = _Words()
        words.feed(markup)
        words.close()
        found = "".join(words.found)
    else:
        found = unescape(found)
    return _LINES.sub("\n", _BLANKS.sub(" ", found)).strip()


def _gap(tag: re.Match[str]) -> str:
    name = tag[1].lower()
    if name in _WORDLESS:
        return "<"
    return "\n" if name in _BREAKS else " " if name in ("td", "th") else ""
