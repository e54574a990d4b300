"""Tiles in a real PostgreSQL: the log's stay as they were first stored, the map's are replaced."""

from collections.abc import Iterator

import pytest

from vault.errors import TamperedError
from vault.storage.database import Database
from vault.storage.tiles import LOG, MAP, TileRow, count_tiles, get_tiles, put_tiles
from vault.testing.accesslog import empty, log_database

FULL = bytes(range(32)) * 256


@pytest.fixture(scope="module")
def opened() -> Iterator[Database]:
    with log_database("dsr_tiles") as database:
        yield database


@pytest.fixture
def database(opened: Database) -> Database:
    empty(opened)
    return opened


def test_tiles_come_back_by_level_and_index(database: Database) -> None:
    with database.connect() as connection:
        put_tiles(connection, LOG, [TileRow(0, 0, FULL), TileRow(0, 1, FULL[::-1]), TileRow(1, 0, FULL)])
        put_tiles(connection, MAP, [TileRow(0, 0, b"\x01" * 64, first=bytes(16))])

        found = get_tiles(connection, LOG, {(0, 1), (1, 0), (7, 7)})

        assert found == {(0, 1): FULL[::-1], (1, 0): FULL}
        assert get_tiles(connection, MAP, [(0, 0)]) == {(0, 0): b"\x01" * 64}
        assert get_tiles(connection, LOG, []) == {}
        assert [count_tiles(connection, LOG, *place) for place in ((0, 9), (0, 1), (1, 9), (2, 9))] == [2, 1, 1, 0]


def test_no_tiles_are_no_fault(database: Database) -> None:
    with database.connect() as connection:
        put_tiles(connection, LOG, [])
        put_tiles(connection, MAP, [])

        assert get_tiles(connection, LOG, [(0, 0)]) == {}


def test_a_tile_of_the_log_stays_as_it_was_first_stored(database: Database) -> None:
    with database.connect() as connection:
        put_tiles(connection, LOG, [TileRow(0, 0, FULL)])
        put_tiles(connection, LOG, [TileRow(0, 0, FULL)])

    with pytest.raises(TamperedError) as caught, database.connect() as connection:
        put_tiles(connection, LOG, [TileRow(0, 1, FULL), TileRow(0, 0, FULL[::-1])])

    assert caught.value.code == "stored_tile_differs"
    with database.connect() as connection:
        assert get_tiles(connection, LOG, [(0, 0), (0, 1)]) == {(0, 0): FULL}


def test_a_tile_of_the_map_is_replaced_by_the_next_day(database: Database) -> None:
    with database.connect() as connection:
        put_tiles(connection, MAP, [TileRow(0, 0, b"\x01" * 32, first=b"a" * 16)])
        put_tiles(connection, MAP, [TileRow(0, 0, b"\x02" * 32, first=b"b" * 16)])

        assert get_tiles(connection, MAP, [(0, 0)]) == {(0, 0): b"\x02" * 32}
        assert connection.execute("select first from log_tiles").fetchall() == [(b"b" * 16,)]
