"""A reason for breaking the glass is at least a sentence; who may break it."""

import pytest

from vault.domain.emergencies import LONGEST_REASON, MAY_BREAK, written_reason
from vault.domain.roles import Role
from vault.errors import RefusedError


@pytest.mark.parametrize(
    "reason",
    [
        "She writes that she will harm herself tonight.",
        "  Kirjeessä uhataan lasta, soitan poliisille nyt.\n",
        "Brevet talar om ett barn i omedelbar fara idag",
    ],
)
def test_a_sentence_is_a_reason(reason: str) -> None:
    assert written_reason(reason) == reason.strip()


@pytest.mark.parametrize(
    "reason",
    [
        "",
        "   ",
        "emergency",
        "I need it now",  # four words, and no twenty letters
        "asdf asdf asdf asdf asdf asdf",  # one word again and again
        "x" * 200,
        ". , - ! ? ; : . , - ! ? ; : . , -",
        "a b c d e f g",
        "She may harm herself tonight. " + "x" * LONGEST_REASON,
    ],
)
def test_anything_less_is_none(reason: str) -> None:
    with pytest.raises(RefusedError) as caught:
        written_reason(reason)

    assert caught.value.code == "emergency_reason"
    assert "harm herself" not in str(caught.value)


def test_operators_and_auditors_break_no_glass() -> None:
    assert frozenset({Role.CLINICIAN, Role.REGISTRAR, Role.DPO}) == MAY_BREAK
