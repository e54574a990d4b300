"""Every parser of the access log against its renderer, and against strangers' bytes."""

import contextlib
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from vault.accesslog.entries import Access, Marks, check, open_access, seal_access
from vault.accesslog.leaves import Day, Leaf, parse_day, parse_leaf, read_leaf, render_day, render_leaf
from vault.accesslog.notes import (
    Checkpoint,
    Note,
    Signature,
    VerifierKey,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    render_checkpoint,
    render_note,
    render_vkey,
    root_text,
)
from vault.accesslog.sources import DirectorySource
from vault.accesslog.tiles import history_name, history_size, parse_bundle, render_bundle
from vault.accesslog.verify import verify_published
from vault.domain.roles import Purpose
from vault.errors import RefusedError, WrongUseError
from vault.testing.accesslog import stored

hashes = st.binary(min_size=32, max_size=32)
names = st.text(
    st.characters(min_codepoint=33, exclude_categories=["Cs", "Z", "Cc"], exclude_characters="+"), min_size=1
)
lines = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1)
cases = st.from_regex(r"DSR-20[0-9]{2}-[0-9A-HJKMNP-TV-Z]{6}", fullmatch=True)
zones = st.sampled_from([UTC, timezone(timedelta(hours=3))])
times = st.floats(10**9, 4 * 10**9).flatmap(lambda at: zones.map(lambda zone: datetime.fromtimestamp(at, zone)))
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)
leaves = st.builds(
    Leaf,
    time=times.map(lambda time: time.astimezone(UTC).replace(microsecond=0)),
    case=st.none() | cases,
    tag=st.none() | st.binary(min_size=16, max_size=16),
    entry=hashes,
    staff=hashes,
    use=st.binary(min_size=16, max_size=16),
)
days = st.builds(Day, st.dates(), hashes, st.integers(0, 10**18), st.integers(0, 10**18))
accesses = st.builds(
    Access,
    at=times,
    actor=words,
    actor_name=words,
    role=words,
    purpose=st.sampled_from(Purpose),
    legal_ground=words,
    case=st.none() | cases,
    subject=st.none() | st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    kinds=st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True), min_size=1, max_size=5).map(tuple),
    count=st.integers(0, 10**6),
    outcome=words,
    emergency=st.none() | words,
    recipient=st.none() | words,
)


@given(leaves)
def test_a_leaf_is_canonical_json_and_parses_back(leaf: Leaf) -> None:
    data = render_leaf(leaf)

    assert parse_leaf(data) == leaf
    assert data == rfc8785.dumps(
        {
            "v": 1,
            "time": leaf.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tag": leaf.tag.hex() if leaf.tag else None,
            "case": leaf.case,
            "entry": leaf.entry.hex(),
            "staff": leaf.staff.hex(),
            "use": leaf.use.hex(),
        }
    )


@given(days)
def test_a_day_is_canonical_json_and_parses_back(day: Day) -> None:
    data = render_day(day)

    assert parse_day(data) == read_leaf(data) == day
    if max(day.size, day.tags) < 2**53:  # RFC 8785 knows no larger numbers
        assert data == rfc8785.dumps(
            {"v": 1, "day": day.day.isoformat(), "map": day.map.hex(), "size": day.size, "tags": day.tags}
        )


@given(leaves, st.data())
def test_a_changed_leaf_is_refused_or_is_another_leaf(leaf: Leaf, data: st.DataObject) -> None:
    whole = bytearray(render_leaf(leaf))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))

    try:
        parsed = parse_leaf(bytes(whole))
    except RefusedError:
        return
    assert parsed != leaf
    assert render_leaf(parsed) == bytes(whole)


@given(accesses)
def test_a_sealed_access_opens_to_itself(access: Access) -> None:
    key, marks = os.urandom(32), Marks(os.urandom(16) if access.subject else None, os.urandom(16), os.urandom(16))
    check(access)

    opened = open_access(stored(seal_access(access, key, marks, os.urandom(16))), key, subject=access.subject)

    assert opened == access


@given(st.builds(Checkpoint, lines, st.integers(0, 2**62), hashes, st.lists(lines, max_size=3).map(tuple)))
def test_a_checkpoint_parses_back(checkpoint: Checkpoint) -> None:
    assert parse_checkpoint(render_checkpoint(checkpoint)) == checkpoint


signatures = st.builds(Signature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=100))


@given(
    st.builds(
        Note,
        st.lists(lines | st.just(""), min_size=1).map(lambda found: "\n".join(found) + "\n"),
        st.lists(signatures, min_size=1, max_size=16).map(tuple),
    )
)
def test_a_note_parses_back(note: Note) -> None:
    data = render_note(note)

    assert parse_note(data) == note
    assert render_note(parse_note(data)) == data


@given(st.builds(VerifierKey, names.filter(str.isprintable), hashes))
def test_a_verifier_key_parses_back(key: VerifierKey) -> None:
    assert parse_vkey(render_vkey(key)) == key


@given(st.lists(st.binary(max_size=600), max_size=256))
def test_a_bundle_parses_back(bundle: list[bytes]) -> None:
    assert parse_bundle(render_bundle(bundle)) == bundle


@given(st.integers(0, 10**12 - 1), st.integers(0, 10**12 - 1))
def test_names_of_checkpoints_sort_as_sizes_do(one: int, other: int) -> None:
    assert history_size(history_name(one)) == one
    assert (history_name(one) < history_name(other)) is (one < other)


@given(st.binary(max_size=700))
def test_strangers_bytes_are_refused_or_parse_back(data: bytes) -> None:
    readers: list[tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = [
        (parse_note, render_note),
        (parse_leaf, render_leaf),
        (parse_bundle, render_bundle),
    ]
    for parse, render in readers:
        with contextlib.suppress(RefusedError):
            assert render(parse(data)) == data


@given(st.text(max_size=200))
def test_strangers_texts_are_refused_or_parse_back(text: str) -> None:
    with contextlib.suppress(RefusedError):
        assert render_checkpoint(parse_checkpoint(text)) == text
    with pytest.raises(WrongUseError):
        parse_vkey(text)
    assert history_size(text) is None


@given(st.binary(max_size=300), st.binary(max_size=9000), st.binary(max_size=9000))
def test_a_hostile_directory_gives_faults_and_never_crashes(note: bytes, tile: bytes, bundle: bytes) -> None:
    key = VerifierKey("x.example/log", bytes(range(32)))
    with TemporaryDirectory() as name:
        root = Path(name)
        (root / "tile" / "0").mkdir(parents=True)
        (root / "tile" / "entries").mkdir()
        (root / "checkpoint").write_bytes(note)
        (root / "tile" / "0" / "000").write_bytes(tile)
        (root / "tile" / "entries" / "000").write_bytes(bundle)

        verdict = verify_published(DirectorySource(root), key)

    assert not verdict.ok
    assert root_text(verdict.root) == verdict.to_json()["root"]
