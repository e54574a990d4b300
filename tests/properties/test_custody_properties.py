"""Shares and ledger whatever comes: any secret, any custodians, any three wrong words, any cut of the file."""

import base64
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shamir_mnemonic.wordlist import WORDLIST

from vault.crypto.keyservice import KINDS
from vault.crypto.ledger import Ledger
from vault.crypto.recovery import join_shares, split_passphrase
from vault.errors import KeyMissingError, RefusedError

SECRETS = st.binary(min_size=32, max_size=32).map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="))
SHARES = split_passphrase(base64.urlsafe_b64encode(bytes(32)).decode().rstrip("="), 3, 2)
PLACES = st.dictionaries(st.integers(0, 32), st.sampled_from(WORDLIST), min_size=1, max_size=3)
REFS = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="|"), min_size=1, max_size=60),
    st.text('"}\\a', min_size=1, max_size=5),
)
KEYS = st.lists(st.tuples(st.sampled_from(KINDS), REFS), max_size=8, unique=True)


@given(SECRETS, st.data())
def test_any_custodians_who_are_enough_give_any_passphrase_back(passphrase: str, data: st.DataObject) -> None:
    shares = data.draw(st.integers(2, 6))
    threshold = data.draw(st.integers(2, shares))
    words = split_passphrase(passphrase, shares, threshold)
    come = data.draw(st.permutations(words))[: data.draw(st.integers(1, shares))]
    named = {f"share {number}": share for number, share in enumerate(come)}

    if len(come) >= threshold:
        assert join_shares(named) == passphrase
    else:
        with pytest.raises(RefusedError, match="shares_too_few"):
            join_shares(named)


@given(PLACES)
def test_up_to_three_wrong_words_are_always_found(places: dict[int, str]) -> None:
    words = SHARES[0].split()
    changed = [places.get(place, word) for place, word in enumerate(words)]
    named = {"share 1": " ".join(changed), "share 2": SHARES[1]}

    if changed == words:
        assert base64.urlsafe_b64decode(join_shares(named) + "=") == bytes(32)
    else:
        with pytest.raises(RefusedError, match="share_damaged"):
            join_shares(named)


@given(KEYS, st.data())
def test_ledger_cut_anywhere_knows_every_whole_line(keys: list[tuple[str, str]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "destroyed.jsonl"
        ledger = Ledger(path)
        ends = [0]
        for kind, ref in keys:
            ledger.add(kind, ref)
            ends.append(path.stat().st_size)
        ledger.close()
        cut = data.draw(st.integers(0, ends[-1]))
        path.write_bytes(path.read_bytes()[:cut])
        whole = [key for key, end in zip(keys, ends[1:], strict=True) if end - 1 <= cut]

        again = Ledger(path)
        assert len(again) == len(whole)
        again.add("log", "S-next/2026")
        again.close()

        last = Ledger(path)
        for kind, ref in [*whole, ("log", "S-next/2026")]:
            with pytest.raises(KeyMissingError, match="key_destroyed"):
                last.check(kind, ref)
        last.close()
