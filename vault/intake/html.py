"""HTML mail becomes plain text without fetching, running or styling anything; it is read in a sandboxed child.

The standard library's parser takes the square of some inputs' length, hence the child's clock.
"""

from html.parser import HTMLParser

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.sandbox import ChildLimits, run_child

_LARGEST = 4_000_000  # bytes
_LIMITS = ChildLimits(memory=1_000_000_000, seconds=10.0, output=20_000_000)
_HIDDEN = frozenset({"script", "style", "title", "template", "noscript", "svg", "math", "object", "textarea"})
_BLOCKS = frozenset(
    [
        *("p", "div", "br", "tr", "table", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre"),
        *("section", "article", "header", "footer", "address", "hr", "dt", "dd", "form", "fieldset", "body"),
    ]
)


def html_text(html: str) -> str:
    """Return the visible words of an HTML document, one block a line.

    :raises UnreadableError: too large, or reading it takes too long.
    """
    data = html.encode("utf-8", "replace")
    if len(data) > _LARGEST:
        raise UnreadableError("html_too_large", "the mail's HTML is too large to read; a person must look at it")
    return run_child("vault.intake.html:strip", data, limits=_LIMITS).decode("utf-8", "replace")


def strip(data: bytes) -> bytes:
    """Do the work inside the child: UTF-8 HTML in, UTF-8 text out."""
    words = _Words()
    words.feed(data.decode("utf-8", "replace"))
    words.close()
    lines = (" ".join(line.split()) for line in "".join(words.found).split("\n"))
    return "\n".join(line for line in lines if line).encode("utf-8", "replace")


class _Words(Private, HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs  # no address in it is ever followed
        if tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag in _BLOCKS:
            self.found.append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in _BLOCKS:
            self.found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            while self._hidden.pop() != tag:
                pass
        elif tag in _BLOCKS:
            self.found.append("\n")

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """Skip ``<![...]>`` as browsers do (HTML Standard, bogus comment); the library's own raises at unknown ones."""
        del report
        return self.parse_bogus_comment(i, report=False)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.found.append(data.replace("\n", " "))
