"""Finds OpenPGP armour in text in one pass, however often a stranger opens a block without closing it."""

from collections.abc import Iterator


def armour_blocks(data: bytes, label: bytes, end_label: bytes | None = None) -> Iterator[bytes]:
    """Yield each block from its BEGIN line to its END line, both included.

    :param label: such as ``PGP MESSAGE``.
    :param end_label: the END line's label where it differs, as in clear-signed text.
    """
    begin = b"-----BEGIN " + label + b"-----"
    end = b"-----END " + (end_label or label) + b"-----"
    at = 0
    while (start := _at_line_start(data, begin, at)) >= 0:
        stop = _at_line_start(data, end, start)
        if stop < 0:
            return
        at = stop + len(end)
        yield data[start:at] + b"\n"


def starts_armour(data: bytes, label: bytes) -> bool:
    """Tell whether some line opens such a block."""
    return _at_line_start(data, b"-----BEGIN " + label + b"-----", 0) >= 0


def _at_line_start(data: bytes, line: bytes, at: int) -> int:
    while (found := data.find(line, at)) > 0 and data[found - 1 : found] != b"\n":
        at = found + 1
    return found
