"""What is remembered is bounded, and what is lacking is fetched once and together."""

import pytest

from vault.accesslog.kept import Kept
from vault.errors import OutOfReachError


class Source:
    """Fetches, and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.away = False

    def fetch(self, refs: list[str]) -> dict[str, bytes]:
        if self.away:
            raise OutOfReachError("source_away", "try again")
        self.asked.append(refs)
        return {ref: ref.encode() for ref in refs}


def test_what_is_lacking_is_fetched_together_and_once() -> None:
    source = Source()
    kept = Kept(source.fetch, 10)

    assert kept.of(["a", "b", "a"]) == {"a": b"a", "b": b"b"}
    assert kept.of(["b", "c"]) == {"b": b"b", "c": b"c"}
    assert kept.of([]) == {}
    assert source.asked == [["a", "b"], ["c"]]


def test_the_least_used_goes_first_and_a_large_batch_is_given_whole() -> None:
    source = Source()
    kept = Kept(source.fetch, 2)
    kept.of(["a", "b"])
    kept.of(["a"])

    assert len(kept.of(["c", "a"])) == 2  # b goes
    assert len(kept.of(["c", "b", "a"])) == 3

    assert source.asked == [["a", "b"], ["c"], ["b"]]


def test_a_failed_fetch_is_tried_again() -> None:
    source = Source()
    kept = Kept(source.fetch, 2)
    source.away = True
    with pytest.raises(OutOfReachError):
        kept.of(["a"])
    source.away = False

    assert kept.of(["a"]) == {"a": b"a"}
