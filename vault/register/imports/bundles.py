"""The entries of a FHIR Bundle (R4 s. 2.36), one at a time, however large its file is.

The file is scanned as Latin-1, in which every byte is one letter and JSON's own signs are the same as in
UTF-8; so each entry's place is known in bytes, and only its bytes are decoded.
"""

import json
from collections.abc import Iterator
from typing import BinaryIO, Final

from vault.domain.private import Private
from vault.register.fhir.parse import malformed

_PIECE: Final = 1 << 20  # bytes read at once
_LARGEST: Final = 1 << 28  # bytes of one entry
_BLANK: Final = " \t\r\n"
_BOM: Final = "\u00ef\u00bb\u00bf"  # UTF-8's mark as Latin-1 shows it
Span = tuple[int, int]


class Scanner(Private):
    """Reads one JSON file whose top is an object.

    :param file: open for reading bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._text = ""
        self._at = 0  # place of the text's first letter in the file
        self._place = 0  # in the text
        self._decoder = json.JSONDecoder()
        self.resource_type: str | None = None

    def entries(self) -> Iterator[Span]:
        """Yield each entry's first byte and size; afterwards ``resource_type`` is known.

        :raises RefusedError: the file is no JSON object, or ends early (code ``json_malformed``).
        """
        if self._peek(len(_BOM)) == _BOM:
            self._place += len(_BOM)
        self._expect("{")
        if self._next() == "}":
            self._place += 1
        else:
            yield from self._members()
        if self._next() != "":
            raise malformed()

    def _members(self) -> Iterator[Span]:
        while True:
            name = self._value()
            self._expect(":")
            if name == "entry" and self._next() == "[":
                yield from self._elements()
            else:
                value = self._value()
                if name == "resourceType" and isinstance(value, str):
                    self.resource_type = value
            if self._comma("}"):
                return

    def _elements(self) -> Iterator[Span]:
        self._expect("[")
        if self._next() == "]":
            self._place += 1
            return
        while True:
            self._next()
            start = self._at + self._place
            self._value()
            yield start, self._at + self._place - start
            if self._comma("]"):
                return

    def _comma(self, end: str) -> bool:
        sign = self._next()
        self._place += 1
        if sign not in (",", end):
            raise malformed()
        return sign == end

    def _value(self) -> object:
        self._next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._place)
            except (ValueError, RecursionError) as error:
                if isinstance(error, RecursionError) or not self._more():
                    raise malformed() from None
                continue
            if end == len(self._text) and self._more():
                continue  # a number may go on
            self._place = end
            return value

    def _expect(self, sign: str) -> None:
        if self._next() != sign:
            raise malformed()
        self._place += 1

    def _next(self) -> str:
        while True:
            while self._place < len(self._text) and self._text[self._place] in _BLANK:
                self._place += 1
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._more():
                return ""

    def _peek(self, size: int) -> str:
        while len(self._text) - self._place < size and self._more():
            pass
        return self._text[self._place : self._place + size]

    def _more(self) -> bool:
        """Read on, as much again as is held, and forget what was passed."""
        held = len(self._text) - self._place
        if held > _LARGEST:
            raise malformed()
        data = self._file.read(max(_PIECE, held))
        if data:
            self._text = self._text[self._place :] + data.decode("latin-1")
            self._at += self._place
            self._place = 0
        return bool(data)
