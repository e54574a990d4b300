"""The key ring: found, made once, opened by the service only."""

from collections.abc import Collection, Sequence

import pytest

from vault.crypto.boxes import seal_key
from vault.crypto.custody import Custody, make_keys
from vault.crypto.keyring import KeyRing
from vault.errors import ConflictError, KeyMissingError, TamperedError
from vault.testing.keyservice import MemoryKeys, MemorySealedKeys, memory_ring, memory_service


class LateKeys(MemoryKeys):
    """A table in which somebody else is faster: our first look finds nothing."""

    def __init__(self, *, vanishes: bool = False) -> None:
        super().__init__()
        self.looks = 0
        self.vanishes = vanishes

    def get_many(self, kind: str, refs: Collection[str]) -> dict[str, bytes]:
        self.looks += 1
        return {} if self.looks == 1 or self.vanishes else super().get_many(kind, refs)


def test_made_key_is_found_again() -> None:
    ring = memory_ring()

    key = ring.make_data_key("record", "S-1")

    assert len(key) == 32
    assert ring.data_key("record", "S-1") == key == ring.make_data_key("record", "S-1")


def test_keys_are_apart() -> None:
    ring = memory_ring()

    keys = {ring.make_data_key(kind, ref) for kind in ("identity", "record", "log") for ref in ("S-1", "S-2")}

    assert len(keys) == 6


def test_missing_keys_are_named() -> None:
    ring = memory_ring()

    with pytest.raises(KeyMissingError, match="data_key_missing"):
        ring.data_key("record", "S-1")
    with pytest.raises(KeyMissingError, match="owner_key_missing"):
        ring.owner_key("DSR-1")


def test_of_two_makers_one_wins_and_both_get_its_key() -> None:
    service, table = memory_service(), LateKeys()
    winner = bytes(range(32))
    table.put_many("record", 1, {"S-1": service.wrap("record", "S-1", winner)})

    key = KeyRing(service, table, MemorySealedKeys()).make_data_key("record", "S-1")

    assert key == winner
    assert list(table.rows["record", "S-1"]) == [1]


def test_winner_that_vanishes_is_a_conflict() -> None:
    service, table = memory_service(), LateKeys(vanishes=True)
    table.put_many("record", 1, {"S-1": service.wrap("record", "S-1", bytes(32))})

    with pytest.raises(ConflictError):
        KeyRing(service, table, MemorySealedKeys()).make_data_key("record", "S-1")


def test_newest_version_opens() -> None:
    service, table = memory_service(), MemoryKeys()
    table.put_many("record", 1, {"S-1": service.wrap("record", "S-1", bytes(32))})
    table.put_many("record", 2, {"S-1": service.wrap("record", "S-1", b"2" * 32)})

    assert KeyRing(service, table, MemorySealedKeys()).data_key("record", "S-1") == b"2" * 32


@pytest.mark.parametrize("box", ["case", "print"])
def test_owner_key_opens_from_its_box(box: str) -> None:
    service, sealed = memory_service(), MemorySealedKeys()
    sealed.put("DSR-1", box, seal_key(service.public(box), "DSR-1", b"k" * 32))

    assert KeyRing(service, MemoryKeys(), sealed).owner_key("DSR-1") == b"k" * 32


def test_sealed_key_in_another_owners_row_is_refused() -> None:
    service, sealed = memory_service(), MemorySealedKeys()
    sealed.put("DSR-2", "case", seal_key(service.public("case"), "DSR-1", b"k" * 32))

    with pytest.raises(TamperedError):
        KeyRing(service, MemoryKeys(), sealed).owner_key("DSR-2")


def test_memory_table_keeps_the_first() -> None:
    table, wrapped = MemoryKeys(), b"wrapped"

    assert table.put_many("record", 1, {"S-1": wrapped}) == {"S-1"}
    assert table.put_many("record", 1, {"S-1": b"another", "S-2": wrapped}) == {"S-2"}
    assert table.get_many("record", ["S-1", "S-3"]) == {"S-1": wrapped}


def test_many_keys_are_made_and_found_together() -> None:
    ring = memory_ring()
    first = ring.make_data_key("record", "S-2")

    made = ring.make_data_keys("record", ["S-1", "S-2", "S-3", "S-1"])

    assert made["S-2"] == first
    assert len(set(made.values())) == 3
    assert ring.data_keys("record", ["S-3", "S-1", "S-2"]) == made
    assert ring.make_data_keys("record", made) == made
    assert ring.data_keys("record", []) == ring.make_data_keys("record", []) == {}


def test_many_keys_are_given_all_or_none() -> None:
    ring = memory_ring()
    ring.make_data_keys("record", ["S-1"])

    with pytest.raises(KeyMissingError, match="data_key_missing"):
        ring.data_keys("record", ["S-1", "S-2"])


class RacedKeys(MemoryKeys):
    """A table whose first look finds nothing, although somebody was faster."""

    looked = False

    def get_many(self, kind: str, refs: Collection[str]) -> dict[str, bytes]:
        first, self.looked = not self.looked, True
        return {} if first else super().get_many(kind, refs)


def test_who_comes_second_with_many_gets_the_winner_s_keys() -> None:
    service, table = memory_service(), RacedKeys()
    winner = bytes(range(32))
    table.put_many("record", 1, {"S-1": service.wrap("record", "S-1", winner)})

    made = KeyRing(service, table, MemorySealedKeys()).make_data_keys("record", ["S-1", "S-2"])

    assert made["S-1"] == winner
    assert len(made) == 2


def test_each_use_goes_with_its_reference() -> None:
    asked: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []

    class Noting(Custody):
        def many(
            self, verb: str, name: str, items: Sequence[tuple[str, bytes]], uses: Sequence[str] = ()
        ) -> list[bytes]:
            asked.append((verb, tuple(ref for ref, _ in items), tuple(uses)))
            return super().many(verb, name, items, uses)

        def unseal(self, box: str, owner: str, sealed: bytes, use: str = "") -> bytes:
            asked.append(("unseal", (owner,), (use,)))
            return super().unseal(box, owner, sealed, use)

    service, sealed = Noting(make_keys()), MemorySealedKeys()
    sealed.put("DSR-1", "case", seal_key(service.public("case"), "DSR-1", b"k" * 32))
    ring = KeyRing(service, MemoryKeys(), sealed)
    uses = {"S-1": "a" * 32, "S-2": "write"}

    ring.make_data_keys("record", uses.keys(), uses=uses)
    ring.data_keys("record", ["S-2", "S-1"], uses=uses)
    ring.owner_key("DSR-1", "b" * 32)

    assert [verb for verb, _, _ in asked] == ["wrap", "unwrap", "unseal"]
    assert all(uses[ref] == use for _, refs, named in asked[:2] for ref, use in zip(refs, named, strict=True))
    assert asked[2] == ("unseal", ("DSR-1",), ("b" * 32,))
