"""What holds for every payload, every map and every stranger's file."""

import io
import math

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from vault.errors import UnreadableError
from vault.intake import geometry
from vault.intake.forms import Payload, parse_payload
from vault.intake.pagereader import read_pages
from vault.intake.pages import open_pages
from vault.intake.readings import PageLimits, PageReading, pack_task, unpack_pages
from vault.intake.wording import printable
from vault.testing.scans import as_pdf, as_tiff

LIMITS = PageLimits(pages=3, pixels=100_000)
REASONS = {"empty", "unknown_type", "broken", "encrypted", "too_many_pages", "too_many_pixels"}
NAMES = st.from_regex(r"[a-z_]{1,32}", fullmatch=True)
CORNERS = st.tuples(*[st.tuples(st.floats(-40, 40), st.floats(-40, 40))] * 4)


def sample(kind: str) -> bytes:
    picture = Image.frombytes("L", (40, 30), bytes(n * n * 7 % 251 for n in range(1200)))
    if kind == "PDF":
        return as_pdf([picture], 100)
    if kind == "TIFF":
        return as_tiff([picture, picture], 100)
    target = io.BytesIO()
    picture.save(target, kind)
    return target.getvalue()


SAMPLES = {kind: sample(kind) for kind in ("PDF", "TIFF", "PNG", "JPEG")}


def outcome(data: bytes) -> str:
    """Return why a file was refused, or the mode of its pages."""
    try:
        with open_pages(data, LIMITS) as source:
            modes = {source.page(number).picture.mode for number in range(source.total)}
    except UnreadableError as error:
        return error.code
    return "".join(modes)


@given(NAMES, st.integers(1, 999), st.from_regex(r"[a-z]{2}", fullmatch=True))
def test_payloads_are_read_back(name: str, version: int, language: str) -> None:
    payload = Payload(name, version, language)

    assert parse_payload(str(payload)) == payload


@given(st.text() | st.from_regex(r"dsr-form:[^:]*:[^:]*:[^:]*"))
def test_only_the_one_spelling_is_a_payload(text: str) -> None:
    payload = parse_payload(text)

    assert payload is None or str(payload) == text


@given(CORNERS, st.tuples(st.floats(0, 210), st.floats(0, 297)))
def test_a_map_and_its_inverse_cancel_out(shifts: tuple[tuple[float, float], ...], point: tuple[float, float]) -> None:
    page = ((0.0, 0.0), (210.0, 0.0), (210.0, 297.0), (0.0, 297.0))
    seen = [(x * 8 + dx, y * 8 + dy) for (x, y), (dx, dy) in zip(page, shifts, strict=True)]

    there, back = geometry.fit(page, seen), geometry.fit(seen, page)

    assert math.dist(geometry.apply(back, geometry.apply(there, point)), point) < 1e-3


@given(st.floats(-3, 3), st.floats(0.5, 20), st.tuples(st.floats(-500, 500), st.floats(-500, 500)))
def test_an_even_map_finds_every_turn_scale_and_shift(angle: float, scale: float, shift: tuple[float, float]) -> None:
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    source = [(0.0, 0.0), (30.0, 0.0), (30.0, 30.0), (0.0, 30.0), (100.0, 250.0)]
    target = [(x * cos - y * sin + shift[0], x * sin + y * cos + shift[1]) for x, y in source]

    mapping = geometry.fit_evenly(source, target)

    assert all(math.dist(geometry.apply(mapping, one), other) < 1e-4 for one, other in zip(source, target, strict=True))


@given(st.text(st.characters()))
def test_what_is_printable_stays_and_nothing_else(text: str) -> None:
    shown = printable(text)

    assert all(character.isprintable() or character == "\n" for character in shown)
    assert printable(shown) == shown
    shown.encode()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from(sorted(SAMPLES)))
def test_a_damaged_file_is_refused_or_read_and_never_crashes(data: st.DataObject, kind: str) -> None:
    whole = SAMPLES[kind]
    place = data.draw(st.integers(0, len(whole) - 1))
    patch = data.draw(st.binary(min_size=1, max_size=12))
    cut = data.draw(st.booleans())
    damaged = whole[:place] + patch + (b"" if cut else whole[place + len(patch) :])

    assert outcome(damaged) in REASONS | {"L"}


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_reason(data: bytes) -> None:
    assume(not data.startswith((b"II*\0", b"MM\0*", b"\x89PNG", b"\xff\xd8\xff")) and b"%PDF-" not in data)

    with pytest.raises(UnreadableError) as caught, open_pages(data, LIMITS):
        pass

    assert caught.value.code in {"empty", "unknown_type"}


@settings(deadline=None)
@given(st.integers(0, 3), st.integers(1, 3))
def test_a_child_answers_for_the_pages_it_was_asked_for(first: int, count: int) -> None:
    white = Image.new("L", (40, 30), 255)
    data = as_tiff([white] * 3, 100)

    total, pages = unpack_pages(read_pages(pack_task(data, LIMITS, first, count)))

    assert total == 3
    assert pages == [PageReading(number + 1, blank=True) for number in range(first, min(3, first + count))]
