"""Read words in pictures by Tesseract, one process for a batch of pictures; runs inside the sandboxed child."""

import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from vault.domain.private import Private
from vault.errors import UnreadableError

LANGUAGES = ("swe", "fin", "eng")  # Swedish first: the Finnish model takes Å for Ä
LINE, BLOCK, PAGE, CHARACTER = 7, 6, 3, 10  # Tesseract's page segmentation modes
_COLUMNS = 12  # of Tesseract's table: level, page, block, paragraph, line, word, box, confidence, text
_WORD = "5"  # level
_SECONDS = 25  # of one run; a page of clear text takes two


@dataclass(frozen=True, slots=True)
class Words(Private, shows=("confidence",)):
    """What stands in one picture.

    :param confidence: 0 to 1, of the weakest word; 0 when there is none.
    """

    text: str = ""
    confidence: float = 0.0


def is_installed() -> bool:
    """Say whether Tesseract and its three languages are there."""
    if shutil.which("tesseract") is None:
        return False
    said = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=False)
    return set(LANGUAGES) <= set(said.stdout.split())


def read(
    pictures: Sequence[Image.Image],
    mode: int,
    *,
    languages: Sequence[str] = LANGUAGES,
    letters: str = "",
    dpi: int = 300,
    least: float = 0.0,
) -> list[Words]:
    """Return what stands in each picture.

    :param mode: LINE, BLOCK, PAGE or CHARACTER.
    :param letters: the only characters that may occur; empty for all.
    :param least: words that are less certain are left out.
    :raises UnreadableError: Tesseract failed (code ``ocr_failed``) or took too long (``ocr_slow``).
    """
    if not pictures:
        return []
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.png") for number in range(len(pictures))]
        for path, picture in zip(paths, pictures, strict=True):
            picture.save(path, compress_level=1)
        index = Path(folder, "index")
        index.write_text("\n".join(map(str, paths)) + "\n", encoding="ascii")
        command = ["tesseract", str(index), "-", "--psm", str(mode), "--dpi", str(dpi), "-l", "+".join(languages)]
        whitelist = ["-c", f"tessedit_char_whitelist={letters}"] if letters else []
        said = _run([*command, *whitelist, "tsv"])
    pages = _by_page(said)
    return [_joined(pages.get(str(number + 1), []), least) for number in range(len(pictures))]


def _run(command: Sequence[str]) -> str:
    try:
        said = subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise UnreadableError("ocr_slow", "the picture is too busy for Tesseract; a person must read it") from None
    if said.returncode != 0:
        raise UnreadableError("ocr_failed", "Tesseract failed; run `dsr doctor`, then let a person read the sheet")
    return said.stdout.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Word(Private, shows=("confidence",)):
    line: tuple[str, ...]
    confidence: float
    text: str


def _by_page(table: str) -> dict[str, list[_Word]]:
    pages: dict[str, list[_Word]] = {}
    for page, word in _rows(table):
        pages.setdefault(page, []).append(word)
    return pages


def _rows(table: str) -> Iterator[tuple[str, _Word]]:
    for row in table.splitlines()[1:]:
        cells = row.split("\t")
        if len(cells) == _COLUMNS and cells[0] == _WORD and cells[11].strip():
            yield cells[1], _Word(tuple(cells[2:5]), float(cells[10]) / 100, cells[11].strip())


def _joined(words: Sequence[_Word], least: float) -> Words:
    kept = [word for word in words if word.confidence >= least]
    if not kept:
        return Words()
    text = kept[0].text
    for before, word in itertools.pairwise(kept):
        text += (" " if word.line == before.line else "\n") + word.text
    return Words(text, round(max(0.0, min(word.confidence for word in kept)), 3))
