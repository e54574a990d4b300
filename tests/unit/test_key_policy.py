"""The table of offices: complete, as documented, and nothing besides; rates refill."""

import re
from itertools import product
from pathlib import Path

import pytest

from vault.crypto.policy import NAMES, POLICY, RATES, USUAL, Limiter, Rate, Use, check, parse_rate
from vault.domain.roles import OfficeName
from vault.errors import NotAllowedError, WrongUseError

DOCUMENT = Path(__file__).parents[2] / "docs" / "formats" / "keys.md"
FOR_ALL = {
    *{("public", name) for name in ("case", "print", "log", "desk")},
    *{("signers", "log"), ("signers", "desk"), ("status", "")},
}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def documented() -> dict[OfficeName, set[tuple[str, str]]]:
    table: dict[OfficeName, set[tuple[str, str]]] = {}
    for office, words in re.findall(
        r"^\| (\w+) \| ?([a-z_: -]*)\|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    ):
        if office in {name.value for name in OfficeName}:
            verbs = (word.partition(":") for word in words.split())
            table[OfficeName(office)] = {(verb, name) for verb, _, name in verbs}
    return table


def test_table_is_the_documented_one() -> None:
    assert {office: set(rights - FOR_ALL) for office, rights in POLICY.items()} == documented()
    assert set(POLICY) == set(OfficeName)


def test_table_names_only_what_exists() -> None:
    assert all(name in NAMES[verb] for rights in POLICY.values() for verb, name in rights)


@pytest.mark.parametrize("office", OfficeName)
def test_whatever_is_not_in_the_table_is_refused(office: OfficeName) -> None:
    for verb, name in product((*NAMES, "export", ""), (*{n for names in NAMES.values() for n in names}, "root", "*")):
        if (verb, name) in POLICY[office]:
            check(office, verb, name)
        else:
            with pytest.raises(NotAllowedError, match="key_use_refused"):
                check(office, verb, name)


@pytest.mark.parametrize(
    ("verb", "name", "offices"),
    [
        ("mac", "subject", {"collector", "registry"}),
        ("sign", "desk", {"desk"}),
        ("sign", "log", {"keeper"}),
        ("audit", "", {"keeper", "audit"}),
        ("unseal", "print", {"print"}),
        ("unwrap", "record", {"collector", "sealer", "registry"}),
        ("wrap", "identity", {"registry"}),
        ("public", "case", {name.value for name in OfficeName}),
    ],
)
def test_who_may(verb: str, name: str, offices: set[str]) -> None:
    assert {office.value for office, rights in POLICY.items() if (verb, name) in rights} == offices


@pytest.mark.parametrize(
    ("office", "verb", "name", "allowed"),
    [
        ("keeper", "sign", "log-2", True),
        ("desk", "public", "log-2", True),
        ("desk", "sign", "log-2", False),
        ("desk", "sign", "desk-2", False),
        ("keeper", "sign", "log-0", False),
        ("keeper", "sign", "log-02", False),
        ("keeper", "sign", "log-2 ", False),
        ("keeper", "signers", "log-2", False),
        ("keeper", "unwrap", "log-2", False),
    ],
)
def test_a_version_of_a_signer_is_allowed_as_the_signer_is(office: str, verb: str, name: str, allowed: bool) -> None:
    if allowed:
        check(OfficeName(office), verb, name)
    else:
        with pytest.raises(NotAllowedError):
            check(OfficeName(office), verb, name)


def test_rate_refuses_when_used_up_and_refills() -> None:
    clock = Clock()
    limiter = Limiter({Use(OfficeName.DESK, "unwrap"): Rate(per_second=2, burst=3)}, clock)

    taken = [limiter.take(OfficeName.DESK, "unwrap", "log") for _ in range(4)]
    clock.now += 0.5

    assert taken == [0, 0, 0, 0.5]
    assert limiter.take(OfficeName.DESK, "unwrap", "identity") == 0
    assert limiter.take(OfficeName.DESK, "unwrap", "identity") == 0.5


def test_rates_of_offices_and_verbs_are_apart() -> None:
    limiter = Limiter({Use(OfficeName.DESK, "unwrap"): Rate(per_second=1, burst=1)}, Clock())
    limiter.take(OfficeName.DESK, "unwrap", "log")

    assert limiter.take(OfficeName.DESK, "unwrap", "log") > 0
    assert limiter.take(OfficeName.DESK, "wrap", "log") == 0
    assert limiter.take(OfficeName.SEALER, "unwrap", "log") == 0


def test_blind_index_has_a_slower_rate_of_its_own() -> None:
    limiter = Limiter(clock=Clock())
    burst = int(RATES[Use(OfficeName.COLLECTOR, "mac", "subject")].burst)

    taken = [limiter.take(OfficeName.COLLECTOR, "mac", "subject") for _ in range(burst + 1)]

    assert taken[:-1] == [0] * burst
    assert taken[-1] > 0
    assert limiter.take(OfficeName.COLLECTOR, "mac", "log-tag") == 0


def test_bucket_never_overflows() -> None:
    clock = Clock()
    limiter = Limiter({Use(OfficeName.DESK, "sign"): Rate(per_second=1, burst=2)}, clock)
    limiter.take(OfficeName.DESK, "sign", "desk")
    clock.now = 1_000_000

    assert [limiter.take(OfficeName.DESK, "sign", "desk") for _ in range(3)] == [0, 0, 1]


def test_unknown_verbs_share_one_bucket() -> None:
    limiter = Limiter(clock=Clock())

    for number in range(100):
        limiter.take(OfficeName.DESK, f"verb-{number}", "")

    assert len(limiter._buckets) == 1


@pytest.mark.parametrize(
    ("text", "use", "rate"),
    [
        ("desk:unwrap=50", Use(OfficeName.DESK, "unwrap"), Rate(50, 100)),
        ("collector:mac:subject=0.5", Use(OfficeName.COLLECTOR, "mac", "subject"), Rate(0.5, 1)),
    ],
)
def test_rate_is_read(text: str, use: Use, rate: Rate) -> None:
    assert parse_rate(text) == (use, rate)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "desk",
        "desk:unwrap",
        "desk:unwrap=",
        "desk:unwrap=0",
        "desk:unwrap=-1",
        "desk:unwrap=nan",
        "desk:unwrap=inf",
        "desk:unwrap=1=2",
        "desk:export=1",
        "desk:mac:record=1",
        "desk:mac:subject:x=1",
        "baker:unwrap=1",
    ],
)
def test_malformed_rate_is_refused(text: str) -> None:
    with pytest.raises(WrongUseError, match="rate_malformed"):
        parse_rate(text)


def test_usual_rate_carries_the_surge() -> None:
    assert USUAL.per_second >= 5_000
