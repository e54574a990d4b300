"""Whoever can write to database and bucket changes, cuts and adds sealed bytes: every attempt is refused, by its class.

A seeded sample in `make test`; every bit and every length in `make fuzz`.
"""

import io
import os
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from vault.crypto.boxes import open_key, seal_key
from vault.crypto.custody import Custody, make_keys
from vault.crypto.envelope import Context, seal, unseal, unseal_stream
from vault.errors import RefusedError, TamperedError, UnknownFormatError
from vault.testing.secondreader import CHUNK, TAG, UnreadableEnvelopeError, read_envelope

WHOLE: Final = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
SAMPLE: Final = 4_000  # of the bits of what is larger
CUT_TO: Final = 4_096  # bytes; every shorter length is tried
HEAD: Final = 57
KEY: Final = bytes(range(32))
PLACE: Final = Context("records", "R-1", "body", "P-1", 1)
SIZES: Final = {"a name": 19, "a chunk's edge": CHUNK, "several chunks": 2 * CHUNK + 8_000}
CUSTODY: Final = Custody(make_keys())
sizes = pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
Open = Callable[[bytes], object]


@dataclass(slots=True)
class Count:
    """How many attempts were made, and how many of them were refused by the right class."""

    tried: int = 0
    refused: int = 0

    def attempt(self, act: Open, original: bytes, changed: bytes) -> None:
        """Try bytes that were changed: a changed first byte is an unknown format, all else is tampering."""
        wanted = TamperedError if changed[:1] == original[:1] else UnknownFormatError
        self.tried += 1
        try:
            act(changed)
        except RefusedError as error:
            self.refused += type(error) is wanted


def opens(envelope: bytes) -> bytes:
    return unseal(KEY, PLACE, envelope)


def streams(envelope: bytes) -> None:
    target = io.BytesIO()
    try:
        unseal_stream(KEY, PLACE, io.BytesIO(envelope), target)
    finally:
        assert target.getvalue() == b""


def sealed(size: int) -> bytes:
    envelope = seal(KEY, PLACE, bytes(size))
    assert opens(envelope) == bytes(size)
    return envelope


def flips(data: bytes, bits: Iterable[int]) -> Iterator[bytes]:
    changed = bytearray(data)
    for bit in bits:
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)
        changed[bit // 8] ^= 1 << bit % 8


def some(bits: int) -> list[int]:
    if WHOLE or bits <= SAMPLE:
        return list(range(bits))
    return random.Random(bits).sample(range(bits), SAMPLE)  # noqa: S311 - a sample, no secret


def boundaries(data: bytes) -> set[int]:
    """Give where each part begins and ends, and one byte to each side."""
    starts = range(HEAD, len(data), CHUNK + TAG)
    edges = {1, 25, HEAD, len(data) - TAG, len(data), *starts, *(start + CHUNK for start in starts)}
    return {edge + step for edge in edges for step in (-1, 0, 1)}


def lengths(data: bytes) -> list[int]:
    every = {*range(CUT_TO + 1), *boundaries(data)}
    return sorted(length for length in every if 0 <= length < len(data))


@sizes
def test_every_flipped_bit_is_refused(size: int) -> None:
    envelope, count = sealed(size), Count()
    bits = some(8 * len(envelope))

    for changed in flips(envelope, bits):
        count.attempt(opens, envelope, changed)

    assert count.refused == count.tried == len(bits) > 0
    assert len(bits) == (8 * len(envelope) if WHOLE or size == SIZES["a name"] else SAMPLE)


@sizes
def test_every_cut_is_refused(size: int) -> None:
    envelope, count = sealed(size), Count()

    for length in lengths(envelope):
        count.attempt(opens, envelope, envelope[:length])

    assert count.refused == count.tried >= min(size, CUT_TO) > 0


@sizes
def test_every_lost_beginning_is_refused(size: int) -> None:
    envelope, count = sealed(size), Count()

    for length in lengths(envelope):
        count.attempt(opens, envelope, envelope[len(envelope) - length :])

    assert count.refused == count.tried >= min(size, CUT_TO) > 0


@sizes
def test_every_hole_is_refused(size: int) -> None:
    envelope, count = sealed(size), Count()
    places = [place for place in boundaries(envelope) if 0 < place < len(envelope)]

    for place in places:
        for width in (1, TAG, CHUNK + TAG):
            count.attempt(opens, envelope, envelope[:place] + envelope[place + width :])

    assert count.refused == count.tried == 3 * len(places) > 0


@sizes
def test_every_addition_is_refused(size: int) -> None:
    envelope, count = sealed(size), Count()
    places = [place for place in boundaries(envelope) if 0 <= place <= len(envelope)]
    added = [bytes(1), bytes(TAG), envelope[:1], envelope[HEAD:], bytes(CHUNK + TAG), sealed(0)[HEAD:], envelope]

    for place in places:
        for more in added:
            changed = envelope[:place] + more + envelope[place:]
            if changed != envelope:
                count.attempt(opens, envelope, changed)

    assert count.refused == count.tried == len(added) * len(places) > 0


@sizes
def test_a_stream_gives_nothing_of_what_it_refuses(size: int) -> None:
    envelope, count = sealed(size), Count()

    for length in boundaries(envelope):
        if 0 <= length < len(envelope):
            count.attempt(streams, envelope, envelope[:length])
    for changed in flips(envelope, some(8 * len(envelope))[:: 1 if WHOLE else 20]):
        count.attempt(streams, envelope, changed)

    assert count.refused == count.tried > 0


@sizes
def test_the_second_reader_refuses_them_too(size: int) -> None:
    envelope, opened = sealed(size), 0
    attempts = [
        *flips(envelope, some(8 * len(envelope))[::8]),
        *(envelope[:length] for length in boundaries(envelope) if 0 <= length < len(envelope)),
        *(envelope + more for more in (bytes(1), bytes(TAG), envelope[HEAD:])),
    ]

    for changed in attempts:
        try:
            read_envelope(KEY, PLACE.encode().decode(), changed)
            opened += 1
        except UnreadableEnvelopeError:
            continue

    assert opened == 0
    assert len(attempts) > 100


def attacked(act: Open, whole: bytes) -> Count:
    """Flip every bit, cut and lengthen at every byte."""
    count = Count()
    for changed in flips(whole, range(8 * len(whole))):
        count.attempt(act, whole, changed)
    for length in range(len(whole)):
        count.attempt(act, whole, whole[:length])
        count.attempt(act, whole, whole[:length] + b"\x01" + whole[length:] if length else b"\x00" + whole)
    return count


def test_every_change_of_a_wrapped_key_is_refused() -> None:
    wrapped = CUSTODY.wrap("record", "P-1", KEY)

    count = attacked(lambda data: CUSTODY.unwrap("record", "P-1", data), wrapped)

    assert count.refused == count.tried == 10 * len(wrapped) > 0


def test_every_change_of_a_wrapped_key_stops_its_rotation() -> None:
    wrapped = CUSTODY.wrap("record", "P-1", KEY)

    count = attacked(lambda data: CUSTODY.rotate("record", "P-1", data), wrapped)

    assert count.refused == count.tried == 10 * len(wrapped) > 0


def test_every_change_of_a_sealed_key_is_refused() -> None:
    keys = make_keys()
    sealed_key = seal_key(Custody(keys).public("case"), "case:DSR-2026-7K3QXM", KEY)

    count = attacked(lambda data: open_key(keys.boxes["case"], "case:DSR-2026-7K3QXM", data), sealed_key)

    assert count.refused == count.tried == 10 * len(sealed_key) > 0
