"""Reads a page as a browser would: its forms with what they would send, and what its elements hold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "path"})


@dataclass(slots=True)
class Element:
    """One element: its attributes, its words and what stands inside it."""

    tag: str
    attributes: Mapping[str, str]
    children: list["Element | str"] = field(default_factory=list)

    def walk(self) -> Iterator["Element"]:
        """Yield this element and every one inside it, in the page's order."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def all(self, tag: str | None = None, **attributes: str | None) -> list["Element"]:
        """Find elements by tag and attributes; ``data_ref="x"`` means ``data-ref="x"``, None any value."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [item for item in self.walk() if tag in (None, item.tag) and item.has(wanted)]

    def has(self, wanted: Mapping[str, str | None]) -> bool:
        """Tell whether the element has these attributes."""
        return all(name in self.attributes and value in (None, self.attributes[name]) for name, value in wanted.items())

    @property
    def text(self) -> str:
        """The element's words, with single spaces."""
        return " ".join(self.raw.split())

    @property
    def raw(self) -> str:
        """The element's words as they stand."""
        return "".join(child if isinstance(child, str) else child.raw for child in self.children)

    def fields(self) -> dict[str, str]:
        """Return what a form would send before anybody touches it; buttons send nothing."""
        sent: dict[str, str] = {}
        for item in self.walk():
            name = item.attributes.get("name")
            if name and item.tag == "input" and item.attributes.get("type") not in ("radio", "checkbox"):
                sent[name] = item.attributes.get("value", "")
            elif name and item.tag == "input" and "checked" in item.attributes:
                sent[name] = item.attributes.get("value", "on")
            elif name and item.tag == "textarea":
                sent[name] = item.raw
            elif name and item.tag == "select":
                sent[name] = _chosen(item)
        return sent


def _chosen(select: Element) -> str:
    options = select.all("option")
    chosen = [option for option in options if "selected" in option.attributes] or options[:1]
    return chosen[0].attributes.get("value", "") if chosen else ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("page", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if any(element.tag == tag for element in self._open[1:]):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def read_page(html: str) -> Element:
    """Read a page."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.root
