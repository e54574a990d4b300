"""Maps of any log: who is in it is proved complete or absent, never both, and with nothing less than all her looks."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.accesslog.completeness import (
    ProvedLine,
    map_line,
    map_root,
    parse_map_line,
    verify_absent,
    verify_complete,
)
from vault.accesslog.leaves import Day, Leaf, render_leaf
from vault.accesslog.merkle import inclusion_proof, leaf_hash
from vault.accesslog.tlogproof import TlogProof, parse_map_proof, parse_proof, render_map_proof, render_proof
from vault.errors import TamperedError

TAGS = [sha256(b"tag %d" % number).digest()[:16] for number in range(9)]
TIME = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
logs = st.lists(st.integers(0, len(TAGS) - 1), max_size=24)
hashes = st.binary(min_size=32, max_size=32)


class Map:
    """A log of looks at these subjects, and the map over its beginning."""

    def __init__(self, subjects: Sequence[int], size: int) -> None:
        self.leaves = [
            (index, render_leaf(Leaf(TIME, None, TAGS[subject], sha256(b"%d" % index).digest(), bytes(32), bytes(16))))
            for index, subject in enumerate(subjects)
        ]
        self.size = size
        found: dict[bytes, list[bytes]] = {}
        for (_, leaf), subject in zip(self.leaves[:size], subjects, strict=False):
            found.setdefault(TAGS[subject], []).append(leaf)
        self.tags = sorted(found)
        self.lines = [map_line(tag, len(found[tag]), leaf_hash(found[tag][-1])) for tag in self.tags]
        self.nodes: dict[tuple[int, int], bytes] = {}
        root = map_root(self.lines, lambda level, index, hashed: self.nodes.__setitem__((level, index), hashed))
        self.day = Day(date(2026, 11, 20), root, size, len(self.lines))

    def of(self, tag: bytes) -> list[tuple[int, bytes]]:
        return [(index, leaf) for index, leaf in self.leaves if tag.hex().encode() in leaf]

    def proved(self, position: int) -> ProvedLine:
        path = inclusion_proof(position, len(self.lines), lambda *at: self.nodes[at])
        return ProvedLine(position, parse_map_line(self.lines[position]), tuple(path))


@given(logs, st.data())
def test_everybody_is_complete_or_absent_and_never_both(subjects: list[int], data: st.DataObject) -> None:
    made = Map(subjects, data.draw(st.integers(0, len(subjects))))
    everything = [made.proved(position) for position in range(len(made.lines))]

    for tag in TAGS:
        at = sum(other < tag for other in made.tags)
        if tag in made.tags:
            verify_complete(tag, made.day, made.of(tag), made.proved(at))
            chosen = data.draw(st.lists(st.sampled_from(everything), max_size=3))
            with pytest.raises(TamperedError):
                verify_absent(tag, made.day, chosen)
        else:
            verify_absent(tag, made.day, everything[max(0, at - 1) : at + 1])


@given(logs.filter(bool), st.data())
def test_nothing_less_and_nothing_else_is_complete(subjects: list[int], data: st.DataObject) -> None:
    made = Map(subjects, len(subjects))
    tag = data.draw(st.sampled_from(made.tags))
    mine = made.of(tag)
    given_instead = data.draw(st.lists(st.sampled_from(made.leaves), max_size=len(mine) + 1))

    for position in range(len(made.lines)):
        if sorted(given_instead) == mine and made.tags[position] == tag:
            verify_complete(tag, made.day, given_instead, made.proved(position))
        else:
            with pytest.raises(TamperedError):
                verify_complete(tag, made.day, given_instead, made.proved(position))


@given(
    st.none() | st.binary(max_size=80),
    st.integers(0, 2**62 - 1),
    st.lists(hashes, max_size=63),
    st.text(st.characters(codec="utf-8"), max_size=200),
)
def test_a_proof_comes_back_as_it_was(extra: bytes | None, index: int, path: list[bytes], note: str) -> None:
    proof = TlogProof(extra, index, tuple(path), note.encode())

    assert parse_proof(render_proof(proof)) == proof


@given(st.binary(min_size=16, max_size=16), st.integers(1, 2**62), hashes, st.lists(hashes, max_size=63))
def test_a_map_proof_comes_back_as_it_was(tag: bytes, count: int, last: bytes, path: list[bytes]) -> None:
    proof = ProvedLine(5, parse_map_line(map_line(tag, count, last)), tuple(path))

    assert parse_map_proof(render_map_proof(proof)) == proof


@given(st.binary(max_size=300), st.integers(0, 400), st.binary(max_size=4))
def test_any_bytes_are_a_proof_in_its_one_spelling_or_refused(random: bytes, at: int, put: bytes) -> None:
    whole = render_proof(TlogProof(b"{}", 7, (bytes(32), bytes(range(32))), b"origin\n1\n\n\n"))
    for data in (random, whole[:at] + put + whole[at + len(put) :], whole[:at] + put + whole[at:]):
        try:
            found = parse_proof(data)
        except TamperedError:
            continue
        assert render_proof(found) == data
