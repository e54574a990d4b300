"""The short ways in which a right's words are looked for find what the plain expressions find, and nothing else."""

import re

from hypothesis import given
from hypothesis import strategies as st

from vault.intake import rights

_WORDS = st.lists(st.sampled_from(["del", "delete", "undelete", "my", "file", "files", "profile", ",", "x" * 70])).map(
    " ".join
)
_VERB, _THING = r"\bdelet", r"\bfiles?\b"


@given(_WORDS)
def test_two_expressions_near_each_other_are_found_in_either_order(words: str) -> None:
    plain = re.search(f"{_VERB}.{{0,80}}{_THING}|{_THING}.{{0,80}}{_VERB}", words)

    assert rights.near(_VERB, _THING).search(words) is (plain is not None)


@given(_WORDS)
def test_phrases_of_one_search_are_each_found_where_a_word_begins(words: str) -> None:
    phrases = ("delet|x+ my", r"files?\b")

    found = rights.at_word(*phrases).search(words) is not None

    assert found is any(re.search(rf"\b(?:{phrase})", words) for phrase in phrases)
