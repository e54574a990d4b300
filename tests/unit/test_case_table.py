"""The case's table: what may follow what, and that nothing else may."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.domain.case import (
    OPEN,
    REFERENCE,
    REFERENCE_SPACE,
    STAYING,
    TERMINAL,
    TRANSITIONS,
    CaseEvent,
    Event,
    Stage,
    next_stage,
    pauses,
    reference,
)
from vault.errors import RefusedError

START = datetime(2026, 11, 21, 9, tzinfo=UTC)


def test_the_road_leads_from_receipt_to_answer() -> None:
    stage = Stage.RECEIVED
    for event in (
        Event.CHECK_NEEDED,
        Event.QUESTION_SENT,
        Event.ANSWER_ARRIVED,
        Event.IDENTITY_PROVED,
        Event.DRAFT_MADE,
        Event.DECISION_MADE,
        Event.PACKAGE_SEALED,
        Event.DELIVERED,
    ):
        stage = next_stage(stage, event)
    assert stage is Stage.ANSWERED


@pytest.mark.parametrize("stage", sorted(TERMINAL))
def test_nothing_leads_out_of_a_terminal_stage(stage: Stage) -> None:
    assert {TRANSITIONS[pair] for pair in TRANSITIONS if pair[0] is stage} == {stage}


@pytest.mark.parametrize("stage", sorted(OPEN))
def test_every_open_stage_can_still_end(stage: Stage) -> None:
    reached, frontier = {stage}, [stage]
    while frontier:
        here = frontier.pop()
        new = {after for (before, _), after in TRANSITIONS.items() if before is here} - reached
        reached |= new
        frontier += new
    assert reached & TERMINAL


@given(st.sampled_from(Stage), st.sampled_from(Event))
def test_what_the_table_does_not_name_is_refused(stage: Stage, event: Event) -> None:
    if (stage, event) in TRANSITIONS:
        assert (next_stage(stage, event) is stage) or event not in STAYING
    else:
        with pytest.raises(RefusedError, match="no_such_move"):
            next_stage(stage, event)


@pytest.mark.parametrize(
    ("stage", "event"),
    [
        (Stage.RECEIVED, Event.DRAFT_MADE),  # nobody is read before identity is proved
        (Stage.IDENTIFIED, Event.DECISION_MADE),  # nothing is decided that was not rendered
        (Stage.DRAFTED, Event.PACKAGE_SEALED),  # no decision, no package
        (Stage.DECIDED, Event.DELIVERED),  # no package, no delivery
        (Stage.DECIDED, Event.DECISION_MADE),  # decided once
    ],
)
def test_no_step_may_be_left_out(stage: Stage, event: Event) -> None:
    with pytest.raises(RefusedError):
        next_stage(stage, event)


@given(st.integers(2018, 9999), st.integers(0, REFERENCE_SPACE - 1), st.integers(0, REFERENCE_SPACE - 1))
def test_references_are_spelled_one_way_and_apart(year: int, one: int, other: int) -> None:
    assert REFERENCE.fullmatch(reference(year, one))
    assert (reference(year, one) == reference(year, other)) == (one == other)


def _event(event: Event, hours: int, **detail: str) -> CaseEvent:
    return CaseEvent(1, START + timedelta(hours=hours), event, Stage.ASKED, "staff:7", None, detail)


def test_a_pause_runs_from_the_question_to_the_arrival_of_the_answer() -> None:
    arrived = START + timedelta(hours=30)
    log = [_event(Event.QUESTION_SENT, 0), _event(Event.ANSWER_ARRIVED, 90, arrived=arrived.isoformat())]
    assert pauses(log) == [(START, arrived)]


def test_an_unanswered_question_leaves_the_pause_open_and_a_second_one_opens_another() -> None:
    log = [_event(Event.QUESTION_SENT, 0), _event(Event.ANSWER_ARRIVED, 2), _event(Event.QUESTION_SENT, 5)]
    assert pauses(log) == [(START, START + timedelta(hours=2)), (START + timedelta(hours=5), None)]
