"""Blocks: what letters and notices are built of, as data; the same blocks give a letter's page and a mail's text.

A block is ``{t, v}``: heading ``h``, paragraph ``p``, quotation ``q``, bullets ``l``, steps ``n``,
definitions ``d`` (``[{label, text}]``), table ``table`` (with ``head`` and ``columns``: a share of the
width each, 0 for as wide as needed), or a word to copy ``copy`` (with ``label`` and ``ref``).
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from vault.package.language import fill

Block: TypeAlias = "dict[str, Any]"
_WIDTH = 72  # characters of a mail's line


def build(
    templates: Iterable[Mapping[str, Any]],
    values: Mapping[str, object],
    slots: Mapping[str, Sequence[Block]] | None = None,
    shown: Iterable[str] = (),
) -> list[Block]:
    """Fill the blocks of a text.

    :param templates: as the files of texts hold them.
    :param values: for the places ``{name}``; put in as text.
    :param slots: what stands where a template says ``slot``.
    :param shown: the conditions that hold; a block with another ``when`` is left out.
    """
    conditions = frozenset(shown)
    blocks: list[Block] = []
    for template in templates:
        if "when" in template and template["when"] not in conditions:
            continue
        if "slot" in template:
            blocks += (slots or {})[template["slot"]]
        else:
            blocks += [_filled(kind, template[kind], values) for kind in ("h", "p", "l", "n") if kind in template]
    return blocks


def _filled(kind: str, text: str | Sequence[str], values: Mapping[str, object]) -> Block:
    if isinstance(text, str):
        return {"t": kind, "v": fill(text, values)}
    return {"t": kind, "v": [fill(item, values) for item in text]}


def as_text(blocks: Iterable[Block]) -> str:
    """Write blocks as the plain text of a mail, in lines of at most 72 characters where words allow."""
    return "\n\n".join("\n".join(_lines(block)) for block in blocks)


def _lines(block: Block) -> list[str]:
    if block["t"] == "l":
        return [line for item in block["v"] for line in _wrapped(item, "- ", "  ")]
    if block["t"] == "n":
        return [line for at, item in enumerate(block["v"], 1) for line in _wrapped(item, f"{at}. ", "   ")]
    indent = "    " if block["t"] == "q" else ""
    return [line for part in str(block["v"]).splitlines() for line in _wrapped(part, indent, indent) or [""]]


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
