"""Our mail keys by their dates: which is current, which only opens late mail, and when it is time to act."""

from datetime import UTC, datetime, timedelta

import pytest

from vault.intake.ownkeys import KeyState, OwnKey, aged, complaints, endings, ranked

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ENCRYPT = frozenset({"encrypt"})


def key(
    name: str, made: int, expires: int | None, state: KeyState = KeyState.CURRENT, *, kind: str = "openpgp"
) -> OwnKey:
    """A key made and expiring so many days from now."""
    ends = None if expires is None else NOW + timedelta(days=expires)
    return OwnKey(kind, name, ENCRYPT, NOW + timedelta(days=made), ends, state)


@pytest.mark.parametrize(
    ("keys", "states"),
    [
        ([key("a", -10, 720)], {"a": "current"}),
        ([key("b", -10, 720), key("a", -400, 330)], {"a": "older", "b": "current"}),
        ([key("a", -800, -70), key("b", -400, 330)], {"a": "expired", "b": "current"}),
        ([key("a", -400, 330), key("b", -10, 720, KeyState.REVOKED)], {"a": "current", "b": "revoked"}),
        ([key("a", -800, -70), key("b", -790, 0)], {"a": "expired", "b": "expired"}),
        ([key("a", -10, None), key("b", -5, 720, KeyState.AWAITED)], {"a": "current", "b": "awaited"}),
        ([], {}),
    ],
    ids=["one", "two", "expired", "revoked", "none-alive", "awaited", "none"],
)
def test_the_newest_that_is_alive_is_current(keys: list[OwnKey], states: dict[str, str]) -> None:
    assert {found.name: found.state.value for found in ranked(keys, NOW)} == states


@pytest.mark.parametrize(
    ("state", "opens"),
    [
        (KeyState.CURRENT, True),
        (KeyState.OLDER, True),
        (KeyState.EXPIRED, True),
        (KeyState.REVOKED, True),
        (KeyState.UNNAMED, False),
        (KeyState.AWAITED, False),
    ],
)
def test_what_opens_late_mail(state: KeyState, *, opens: bool) -> None:
    assert key("a", -10, 10, state).opens is opens


def test_the_moment_of_expiry_is_over() -> None:
    assert aged(key("a", -10, 0), NOW).state is KeyState.EXPIRED
    assert aged(key("a", -10, 0, KeyState.REVOKED), NOW).state is KeyState.REVOKED


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([key("a", -10, 60)], []),
        ([key("a", -10, 59)], ["expires in 59 days"]),
        ([key("a", -10, 59), key("b", -5, 700, KeyState.OLDER)], ["expires in 59 days"]),
        ([key("a", -900, -1, KeyState.EXPIRED)], ["no valid key"]),
        ([key("a", -9, 9, KeyState.AWAITED)], ["waits for its certificate"]),
        ([key("a", -9, 700), key("b", -9, 700, KeyState.UNNAMED)], ["name it in [smime]"]),
        ([], ["no valid key"]),
    ],
    ids=["in-time", "soon", "older-counts-not", "over", "awaited", "unnamed", "none"],
)
def test_what_is_to_be_done(found: list[OwnKey], said: list[str]) -> None:
    told = complaints(found, NOW, ["openpgp"])

    assert len(told) == len(said)
    assert all(word in line for word, line in zip(said, told, strict=True))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([key("a", -10, 60)], {}),
        ([key("a", -10, 59)], {"openpgp": "2027-01-20"}),
        ([key("a", -10, None)], {}),
        ([key("a", -10, 59, KeyState.OLDER), key("b", -5, 700)], {}),
        ([key("a", -800, -1, KeyState.EXPIRED)], {"openpgp": "ended"}),
        ([key("a", -10, 700, KeyState.REVOKED)], {"openpgp": "ended"}),
        ([key("a", -800, -1, KeyState.EXPIRED), key("b", -5, None, KeyState.AWAITED)], {}),
        ([], {"openpgp": "ended"}),
    ],
    ids=["sixty-days", "sooner", "for-ever", "older", "expired", "revoked", "awaited", "none"],
)
def test_what_ends_within_sixty_days(found: list[OwnKey], told: dict[str, str]) -> None:
    assert endings(found, NOW, ["openpgp"]) == told


def test_each_kind_ends_for_itself() -> None:
    found = [key("a", -10, 59), key("s", -10, 20, kind="smime"), key("t", -10, 700, KeyState.UNNAMED, kind="smime")]

    assert endings(found, NOW) == {"openpgp": "2027-01-20", "smime": "2026-12-12"}
