"""Names of what is published: each name is one place, each place one name, and nothing else is a name."""

from hypothesis import given
from hypothesis import strategies as st

from vault.accesslog.tiles import WIDTH, TilePlace, bundle_name, history_name, history_size, parse_tile_name, tile_name

PLACES = st.builds(TilePlace, st.integers(0, 63), st.integers(0, 10**21 - 1), st.integers(1, WIDTH))
NEARLY = st.from_regex(r"tile/[0-9x]{1,3}/(x?[0-9]{2,4}/){0,2}[0-9]{3}(\.p/[0-9]{1,3})?", fullmatch=True)


@given(PLACES)
def test_a_tile_s_name_is_read_back(place: TilePlace) -> None:
    assert parse_tile_name(tile_name(place.level, place.index, place.width)) == place


@given(NEARLY | st.text(alphabet="tile/x0159.pentries", max_size=30))
def test_whatever_is_read_as_a_tile_s_name_is_spelled_so(text: str) -> None:
    place = parse_tile_name(text)

    assert place is None or tile_name(place.level, place.index, place.width) == text
    assert place is None or 1 <= place.width <= WIDTH


@given(st.integers(0, 10**9), st.integers(1, WIDTH))
def test_a_bundle_is_no_tile(index: int, width: int) -> None:
    assert parse_tile_name(bundle_name(index, width)) is None


@given(st.integers(0, 10**12 - 1))
def test_a_checkpoint_s_name_is_read_back(size: int) -> None:
    assert history_size(history_name(size)) == size
    assert parse_tile_name(history_name(size)) is None
