"""A large message is held whole and sealed; a small one stays in memory; no room is a named error."""

import gc
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import BinaryIO

import pytest

from vault.crypto.envelope import PIECE
from vault.errors import OutOfReachError, RefusedError, TamperedError
from vault.intake import held
from vault.intake.held import Held, digest_of, hold, one_at_a_time, pieces, size_of, start_of, whole
from vault.intake.maildir import MaildirMailbox
from vault.steps.mail_identity import Lying

LIMIT = 200_000
WORDS = b"henkilotunnus 131052-308T "


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "IN_MEMORY", LIMIT)


def message(size: int) -> bytes:
    return (WORDS * (size // len(WORDS) + 1))[:size]


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("size", [0, 1, LIMIT, LIMIT + 1, 3 * LIMIT + 7])
@pytest.mark.parametrize("piece", [1_000, PIECE, 3 * PIECE + 1])
def test_a_message_is_what_came_in_pieces(size: int, piece: int) -> None:
    data = message(size)

    found = hold(cut(data, piece))

    assert isinstance(found, Held) is (size > LIMIT)
    assert (whole(found), size_of(found), digest_of(found)) == (data, size, sha256(data).digest())
    assert b"".join(pieces(found)) == data
    assert all(len(one) <= PIECE for one in pieces(found))
    assert start_of(found, 30_000) == data[:30_000]


def test_two_readers_do_not_disturb_each_other() -> None:
    data = message(5 * LIMIT)
    found = hold([data])

    one, other = pieces(found), pieces(found)
    read = [(next(one), next(other)) for _ in range(3)]

    assert [a for a, _ in read] == [b for _, b in read]
    assert b"".join([*(a for a, _ in read), *one]) == data


def test_the_file_is_sealed_and_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = hold([message(2 * LIMIT)])

    assert isinstance(found, Held)
    stored = os.pread(found._descriptor, 10 * LIMIT, 0)
    assert len(stored) > 2 * LIMIT
    assert WORDS.strip() not in stored
    assert list(tmp_path.iterdir()) == []
    assert repr(found) == "Held()"


@pytest.mark.parametrize(("size", "meet"), [(10, True), (2 * LIMIT, False)], ids=["small", "large"])
def test_large_messages_are_opened_one_at_a_time_and_small_ones_at_once(size: int, meet: bool) -> None:
    raw, both = hold([message(size)]), Barrier(2)

    def open_it() -> bool:
        with one_at_a_time(raw):
            try:
                both.wait(timeout=10 if meet else 0.2)
            except BrokenBarrierError:
                return False
            return True

    with ThreadPoolExecutor(2) as pool:
        met = [waiting.result() for waiting in [pool.submit(open_it), pool.submit(open_it)]]

    assert met == [meet, meet]


def test_a_maildir_s_large_message_is_held_and_its_header_stands_beside_it(tmp_path: Path) -> None:
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    large, small = b"Subject: a\n\n" + message(2 * LIMIT), b"Subject: b\n\n" + message(10)
    for name, data in (("1", large), ("2", small)):
        (tmp_path / "new" / name).write_bytes(data)

    first, second = MaildirMailbox(tmp_path).messages(2)

    assert (first.data, whole(first.raw), first.too_large) == (b"Subject: a\n\n", large, False)
    assert (second.data, second.raw, second.held) == (small, small, None)
    assert Lying.of(first).content == sha256(large).digest()
    assert Lying.of(second).content == sha256(small).digest()


def test_the_file_goes_with_the_message() -> None:
    before = descriptors()

    for _ in range(20):
        hold([message(2 * LIMIT)])

    assert descriptors() == before


@pytest.mark.parametrize("at", [0, 40, LIMIT, -1], ids=["first", "head", "middle", "last"])
def test_a_changed_file_is_noticed(at: int) -> None:
    found = hold([message(2 * LIMIT)])
    assert isinstance(found, Held)
    size = os.fstat(found._descriptor).st_size
    place = at % size
    byte = os.pread(found._descriptor, 1, place)

    os.pwrite(found._descriptor, bytes([byte[0] ^ 1]), place)

    with pytest.raises(RefusedError, match="envelope_"):
        whole(found)


def test_a_file_that_was_cut_is_noticed() -> None:
    found = hold([message(2 * LIMIT)])
    assert isinstance(found, Held)

    os.ftruncate(found._descriptor, LIMIT)

    with pytest.raises(TamperedError, match="envelope_tampered"):
        whole(found)


def test_no_room_is_told_and_nothing_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> BinaryIO:
        return Path("/dev/full").open("w+b", buffering=0)

    monkeypatch.setattr(held, "temporary_file", full)
    before = descriptors()

    with pytest.raises(OutOfReachError, match="temporary_space"):
        hold([message(2 * LIMIT)])

    assert descriptors() == before
