"""Draws pages of a stranger's file for a person; a stranger's bytes are opened in the sandboxed child only."""

import io
import json
from dataclasses import asdict

from vault.errors import UnreadableError
from vault.intake.pages import open_pages
from vault.intake.readings import PageLimits
from vault.intake.sandbox import ChildLimits, run_child
from vault.settings import Limits

_WIDEST = 1400  # pixels: readable on a screen, and light


def picture(data: bytes, number: int, limits: Limits) -> bytes:
    """Return one page as PNG.

    :param number: counted from 1.
    :raises UnreadableError: the file can't be drawn, or has no such page.
    """
    head = {"number": number, **asdict(PageLimits(limits.pages, limits.pixels))}
    task = json.dumps(head).encode("ascii") + b"\n" + data
    return run_child("vault.intake.pagepictures:draw", task, limits=ChildLimits.of(limits))


def page_count(data: bytes, limits: Limits) -> int:
    """Return how many pages can be drawn.

    :raises UnreadableError: the file can't be drawn.
    """
    head = asdict(PageLimits(limits.pages, limits.pixels))
    task = json.dumps(head).encode("ascii") + b"\n" + data
    return int(run_child("vault.intake.pagepictures:count", task, limits=ChildLimits.of(limits)))


def count(task: bytes) -> bytes:
    """Count the pages; the child's other entry.

    :raises UnreadableError: the file can't be read.
    """
    head, _, data = task.partition(b"\n")
    order = json.loads(head)
    with open_pages(data, PageLimits(order["pages"], order["pixels"])) as source:
        return str(source.total).encode("ascii")


def draw(task: bytes) -> bytes:
    """Draw one page; the child's entry.

    :raises UnreadableError: the file can't be read.
    """
    head, _, data = task.partition(b"\n")
    order = json.loads(head)
    with open_pages(data, PageLimits(order["pages"], order["pixels"])) as source:
        if not 1 <= order["number"] <= source.total:
            raise UnreadableError("no_such_page", "the file has no such page")
        drawn = source.page(order["number"] - 1).picture
        drawn.thumbnail((_WIDEST, 2 * _WIDEST))
        target = io.BytesIO()
        drawn.save(target, "PNG", compress_level=3)
        return target.getvalue()
