"""What watches reading, killed with SIGKILL at its calls to the outside: no look without its alarm, count or reason."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from vault.accesslog.entries import GRANTED, Access
from vault.domain.case import Stage
from vault.domain.roles import Purpose
from vault.errors import LimitError
from vault.steps import honey
from vault.steps.alarms import alarms
from vault.steps.caps import REFUSED
from vault.steps.check import open_particulars
from vault.steps.emergency import break_glass, case_emergencies, read_reason
from vault.steps.parts import Staff
from vault.steps.review import open_draft
from vault.testing.crashes import killed_at
from vault.testing.installation import Installation, to_toml
from vault.testing.road import Road, travelled

# every call in `make fuzz`, a sample of them in `make test`
STRIDE = 1 if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else 5
REASON = "She writes that she will harm herself tonight."


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    with travelled() as road:
        config = road.installation.config
        config.write_text(config.read_text("utf-8") + to_toml({"limits": {"patients_an_hour": 1}}), "utf-8")
        yield road


def person(sub: str, *roles: str) -> Staff:
    return Staff(sub, "Sari Staff", frozenset(roles))


def read_draft(home: Path, ref: str, sub: str) -> None:
    with Installation(home).office("desk") as parts:
        open_draft(parts, ref, Purpose.REVIEW, person(sub, "clinician"))


def open_both(home: Path, refs: list[str], sub: str) -> None:
    with Installation(home).office("desk") as parts:
        open_particulars(parts, person(sub, "registrar"), refs[0])
        try:
            open_particulars(parts, person(sub, "registrar"), refs[1])
        except LimitError:
            return


def break_it(home: Path, ref: str, sub: str) -> None:
    with Installation(home).office("desk") as parts:
        break_glass(parts, person(sub, "clinician"), ref, REASON)


def rings(road: Road, code: str, sub: str) -> int:
    with road.installation.office("desk") as parts:
        found = [row.alarm for row in alarms(parts)]
    return sum(alarm.count for alarm in found if (alarm.code, alarm.actor) == (code, f"staff:{sub}"))


def logged(road: Road, ref: str, sub: str) -> list[Access]:
    """Return a person's entries about a case, and about its subject."""
    subject = road.at(ref).subject
    with road.installation.office("audit") as parts:
        found = [entry.access for entry in (parts.log.entries(subject) if subject else parts.log.case_entries(ref))]
    return [access for access in found if access.actor == f"staff:{sub}" and access.case == ref]


def test_no_look_at_honey_is_logged_without_its_alarm(road: Road) -> None:
    ref = road.bring(Stage.DRAFTED)
    with road.installation.office("registry") as parts:
        honey.add(parts, str(road.at(ref).subject))

    for number in count(1, STRIDE):
        killed = killed_at(number, read_draft, road.home, ref, f"5{number}")
        assert rings(road, "honey_read", f"5{number}") == len(logged(road, ref, f"5{number}"))
        if not killed:
            break

    assert rings(road, "honey_read", f"5{number}") == 1
    assert number > STRIDE


def test_no_place_is_given_twice_and_no_refusal_goes_without_its_alarm(road: Road) -> None:
    refs = [road.bring(Stage.RECEIVED, role) for role in ("bound_sv", "code")]

    for number in count(1, STRIDE):
        sub = f"6{number}"
        killed = killed_at(number, open_both, road.home, refs, sub)
        entries = [access for ref in refs for access in logged(road, ref, sub)]
        granted = [access for access in entries if access.outcome == GRANTED]
        assert len(granted) <= len(opened_marks(road, sub)) <= 1
        assert rings(road, "cap_reached", sub) >= sum(access.outcome == REFUSED for access in entries)
        if not killed:
            break

    assert [access.outcome for access in entries] == [GRANTED, REFUSED]
    assert number > STRIDE


def opened_marks(road: Road, sub: str) -> list[bytes]:
    with road.installation.office("desk") as parts, parts.database.connect() as connection:
        return [row[0] for row in connection.execute("select mark from looks where actor = %s", (f"staff:{sub}",))]


def test_the_glass_breaks_whole_or_not_at_all(road: Road) -> None:
    ref = road.bring(Stage.RECEIVED)

    for number in count(1, STRIDE):
        sub = f"7{number}"
        killed = killed_at(number, break_it, road.home, ref, sub)
        assert_whole(road, ref, sub)
        break_it(road.home, ref, sub)
        assert len(assert_whole(road, ref, sub)) == 1
        if not killed:
            break

    assert number > STRIDE


def assert_whole(road: Road, ref: str, sub: str) -> list[str]:
    """Every emergency has its entry in the log, its alarm and its reason."""
    with road.installation.office("desk") as parts:
        mine = [item.ref for item in case_emergencies(parts, ref) if item.actor == f"staff:{sub}"]
        reasons = [read_reason(parts, person(f"{sub}{number}9", "dpo"), item)[1] for number, item in enumerate(mine)]
    assert reasons == [REASON] * len(mine)
    assert rings(road, "emergency_opened", sub) == len(mine)
    if mine:
        assert REASON in [access.emergency for access in logged(road, ref, sub)]
    return mine
