"""A case that somebody has for a moment is not left to the next schedule; one that moves meanwhile is read again."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

import pytest
from psycopg.errors import QueryCanceled

from vault.domain.case import Case, Event, Stage
from vault.errors import ConflictError, OutOfReachError
from vault.steps import check, exceptions, review
from vault.steps.identify import identify
from vault.steps.parts import Parts
from vault.steps.queue import anything_new, human_tasks, mark_offered, to_identify, to_offer
from vault.storage import cases
from vault.storage.cases import append, get_case, held, held_together
from vault.storage.database import Connection
from vault.testing.road import CLINICIAN, REGISTRAR, Road, travelled


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    with travelled() as road:
        yield road


def test_a_step_waits_for_a_case_that_somebody_has_for_a_moment(road: Road) -> None:
    ref = road.bring(Stage.RECEIVED)
    taken, free = threading.Event(), threading.Event()

    def desk() -> None:
        with road.installation.office("desk") as parts, held(parts.database, ref) as mine:
            assert mine
            taken.set()
            free.wait(30)

    somebody = threading.Thread(target=desk)
    somebody.start()
    assert taken.wait(30)
    threading.Timer(0.5, free.set).start()
    with road.installation.office("collector") as parts:
        assert identify(parts, [ref]) == [ref]
    somebody.join()
    assert road.at(ref).stage is Stage.IDENTIFIED


def test_a_step_leaves_a_case_that_somebody_keeps(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exceptions, "PATIENCE", 0.3)
    ref = road.bring(Stage.RECEIVED)
    with road.installation.office("desk") as desk, held(desk.database, ref) as mine:
        assert mine
        with road.installation.office("collector") as parts:
            begun = time.monotonic()
            assert identify(parts, [ref]) == []
            assert time.monotonic() - begun >= 0.3
    assert road.at(ref).stage is Stage.RECEIVED


def test_a_person_waits_for_a_case_that_a_machine_has_for_a_moment(road: Road) -> None:
    ref = road.bring(Stage.RECEIVED)
    with ExitStack() as stack:
        desk, machine = (stack.enter_context(road.installation.office(office)) for office in ("desk", "collector"))
        held_by_it = stack.enter_context(ExitStack())
        assert held_by_it.enter_context(held(machine.database, ref))
        threading.Timer(0.5, held_by_it.close).start()
        check.close_as(desk, REGISTRAR, ref, Event.CALLED_OFF, "Called off.")
    assert road.at(ref).stage is Stage.WITHDRAWN


def test_a_person_is_told_of_a_case_that_a_machine_keeps(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exceptions, "PATIENCE", 0.3)
    ref = road.bring(Stage.RECEIVED)
    with ExitStack() as stack:
        desk, machine = (stack.enter_context(road.installation.office(office)) for office in ("desk", "collector"))
        assert stack.enter_context(held(machine.database, ref))
        with pytest.raises(ConflictError, match="case_busy"):
            check.close_as(desk, REGISTRAR, ref, Event.CALLED_OFF, "Called off.")
        with pytest.raises(ConflictError, match="case_busy"):
            review.decide(desk, CLINICIAN, ref, bytes(32), [])
    assert road.at(ref).stage is Stage.RECEIVED


def test_of_cases_held_together_those_are_ours_that_nobody_has(road: Road) -> None:
    refs = [road.bring(Stage.RECEIVED) for _ in range(3)]
    with road.installation.office("desk") as desk, road.installation.office("collector") as parts:
        with held(desk.database, refs[1]):
            with held_together(parts.database, [*refs, refs[0]], 0.3) as mine:
                assert mine == {refs[0], refs[2]}
                assert not any(has(desk, ref) for ref in (refs[0], refs[2]))
            assert has(desk, refs[0])
        with pytest.raises(KeyError), held_together(parts.database, refs):
            raise KeyError
        assert all(has(desk, ref) for ref in refs)


def test_a_look_that_failed_midway_leaves_no_case_held(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    refs = [road.bring(Stage.RECEIVED) for _ in range(2)]

    def failing(connection: Connection, wanted: Mapping[str, int]) -> set[str]:
        connection.execute("select pg_try_advisory_lock(%s)", (wanted[refs[0]],))
        raise QueryCanceled

    with road.installation.office("desk") as desk, road.installation.office("collector") as parts:
        with monkeypatch.context() as broken:
            broken.setattr(cases, "_locked", failing)
            with pytest.raises(OutOfReachError), held_together(parts.database, refs):
                pass
        assert all(has(desk, ref) for ref in refs)


def test_whoever_holds_some_waits_for_the_others_meanwhile(road: Road) -> None:
    refs = [road.bring(Stage.RECEIVED) for _ in range(2)]
    with ExitStack() as stack:
        desk, parts = (stack.enter_context(road.installation.office(office)) for office in ("desk", "collector"))
        somebody = stack.enter_context(ExitStack())
        assert somebody.enter_context(held(desk.database, refs[1]))
        threading.Timer(0.3, somebody.close).start()
        with held_together(parts.database, refs, 30.0) as mine:
            assert mine == set(refs)


def has(parts: Parts, ref: str) -> bool:
    with held(parts.database, ref) as mine:
        return mine


def meanwhile(road: Road, times: int) -> Callable[[Parts, str], bool]:
    """Make a step before whose end somebody appends to the case, so many times."""
    left = [times]

    def step(parts: Parts, ref: str) -> bool:
        with parts.database.connect() as connection:
            case = get_case(connection, ref)
        if left[0]:
            left[0] -= 1
            with road.installation.office("collector") as other, other.database.connect() as connection:
                append(connection, case, Event.OFFERED, actor=other.actor, at=other.now())
        with parts.database.connect() as connection:
            append(connection, case, Event.REMINDED, actor=parts.actor, at=parts.now())
        return True

    return step


@pytest.mark.parametrize(("times", "moved"), [(0, True), (1, True), (2, True), (3, False)])
def test_a_step_whose_case_changed_reads_it_again_and_gives_up_after_three_times(
    road: Road, times: int, moved: bool
) -> None:
    ref = road.bring(Stage.RECEIVED)
    with road.installation.office("collector") as parts:
        assert exceptions.each(parts, [ref], meanwhile(road, times)) == ([ref] if moved else [])
    assert road.kinds(ref)[Event.REMINDED] == int(moved)
    assert road.kinds(ref)[Event.OFFERED] == times


def test_what_an_ended_run_left_still_calls_the_collector(road: Road) -> None:
    with road.installation.office("collector") as parts:
        identify(parts, to_identify(parts, 100))
    with road.installation.office("intake") as parts:
        assert not anything_new(parts, [])
        assert anything_new(parts, ["DSR-2026-000000"])
    road.bring(Stage.RECEIVED)
    with road.installation.office("intake") as parts:
        assert anything_new(parts, [])


def test_a_case_that_moves_while_it_is_offered_costs_no_other_its_task(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, moving, last = (road.bring(Stage.DRAFTED) for _ in range(3))

    def moves(connection: Connection, ref: str) -> Case:
        case = get_case(connection, ref)
        return replace(case, version=case.version - 1) if ref == moving else case

    with road.installation.office("collector") as parts:
        with monkeypatch.context() as patched:
            patched.setattr("vault.steps.queue.get_case", moves)
            offers = to_offer(parts, Stage.DRAFTED, 100)
            assert {first, moving, last} <= {offer.ref for offer in offers}
            marked = {offer.ref for offer in mark_offered(parts, offers)}
        again = human_tasks(parts, "drafted")
    assert {first, last} <= marked
    assert moving not in marked
    assert [moving in task["subject"] for task in again] == [True]
