"""Published vectors of SLIP-0039: the library joins what is valid, and our recovery names what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from shamir_mnemonic import combine_mnemonics

from vault.crypto.recovery import join_shares
from vault.errors import RefusedError

VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("slip39").joinpath("selection.json").read_text(encoding="utf-8")
)["vectors"]
VALID = [vector for vector in VECTORS if vector["secret"]]
WRONG = [vector for vector in VECTORS if not vector["secret"]]


def test_there_are_vectors_of_both_sorts() -> None:
    assert (len(VALID), len(WRONG)) == (3, 12)


@pytest.mark.parametrize("vector", VALID, ids=[vector["what"] for vector in VALID])
def test_valid_shares_join(vector: dict[str, Any]) -> None:
    assert combine_mnemonics(vector["shares"], b"TREZOR").hex() == vector["secret"]


@pytest.mark.parametrize("vector", WRONG, ids=[vector["what"] for vector in WRONG])
def test_wrong_shares_are_named(vector: dict[str, Any]) -> None:
    named = {f"share {number}": words for number, words in enumerate(vector["shares"], 1)}

    with pytest.raises(RefusedError) as told:
        join_shares(named)

    assert told.value.code == vector["code"]
