"""What the worked table does not show: merging, refusals, flags, the words of an explanation."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from vault.domain.calendar import HELSINKI
from vault.domain.clock import Pause, Question, Rule, case_clock, compute, pause_flags
from vault.errors import RefusedError, WrongUseError

RECEIVED = datetime(2026, 10, 1, 9, 0, tzinfo=HELSINKI)
TODAY = date(2026, 10, 20)


def day(number: int, month: int = 10) -> date:
    return date(2026, month, number)


def noon(number: int, month: int = 10) -> datetime:
    return datetime(2026, month, number, 12, 0, tzinfo=HELSINKI)


@pytest.mark.parametrize(
    ("pauses", "due"),
    [
        ([Pause(day(5), day(10)), Pause(day(8), day(15))], date(2026, 11, 11)),  # 1 Nov + 10
        ([Pause(day(8), day(15)), Pause(day(5), day(10))], date(2026, 11, 11)),
        ([Pause(day(5), day(15)), Pause(day(7), day(9))], date(2026, 11, 11)),
        ([Pause(day(5), day(15)), Pause(day(5), day(15))], date(2026, 11, 11)),
        ([Pause(day(5), day(10)), Pause(day(10), day(15))], date(2026, 11, 11)),
        ([Pause(day(5), day(10)), Pause(day(11), day(15))], date(2026, 11, 10)),  # 5 + 4
        ([Pause(day(5), None), Pause(day(7), day(9))], None),
        ([Pause(day(5), day(9)), Pause(day(7), None)], None),
    ],
)
def test_overlapping_pauses_are_merged(pauses: list[Pause], due: date | None) -> None:
    assert compute("art12_first_month", RECEIVED, pauses, TODAY).due == due


@pytest.mark.parametrize("end", [None, day(20, 11)])
def test_a_question_after_the_period_stops_nothing(end: date | None) -> None:
    answer = compute("art12_first_month", RECEIVED, [Pause(day(3, 11), end)], TODAY)

    assert answer.due == day(2, 11)
    assert any("stops nothing" in line for line in answer.why)


def test_a_question_on_the_rolled_last_day_still_counts() -> None:
    answer = compute("art12_first_month", RECEIVED, [Pause(day(2, 11), day(9, 11))], TODAY)

    assert answer.due == day(9, 11)  # Sunday 1 November + 7


@pytest.mark.parametrize(
    ("rule", "received", "pauses", "code"),
    [
        ("art12", RECEIVED, [], "unknown_rule"),
        ("", RECEIVED, [], "unknown_rule"),
        ("art12_first_month", datetime(2026, 10, 1), [], "time_without_offset"),  # noqa: DTZ001 - what is refused
        ("art33_72h", datetime(2026, 10, 1), [], "time_without_offset"),  # noqa: DTZ001 - what is refused
        ("art12_first_month", RECEIVED, [Pause(date(2026, 9, 30), day(2))], "pause_before_receipt"),
        ("log_request", RECEIVED, [Pause(date(2026, 9, 30))], "pause_before_receipt"),
        ("art33_72h", RECEIVED, [Pause(day(2), day(3))], "breach_has_no_pause"),
    ],
)
def test_wrong_use(rule: str, received: datetime, pauses: list[Pause], code: str) -> None:
    with pytest.raises(WrongUseError) as caught:
        compute(rule, received, pauses, TODAY)

    assert caught.value.code == code
    assert caught.value.exit_code == 2


def test_a_pause_that_ends_before_it_starts_is_wrong_use() -> None:
    with pytest.raises(WrongUseError, match="pause_backwards"):
        Pause(day(5), day(4))


@pytest.mark.parametrize("make", [lambda: Pause(RECEIVED), lambda: Pause(day(5), RECEIVED)])
def test_a_pause_is_made_of_days(make: Callable[[], Pause]) -> None:
    with pytest.raises(WrongUseError, match="day_expected"):
        make()


def test_a_clock_is_looked_at_from_a_day() -> None:
    with pytest.raises(WrongUseError, match="day_expected"):
        compute("log_request", RECEIVED, [], RECEIVED)


@pytest.mark.parametrize(
    ("today", "words"), [(day(3), "1 days remain"), (day(4), "end at 09:00"), (day(5), "late by 1")]
)
def test_a_breach_ends_at_an_hour(today: date, words: str) -> None:
    assert words in compute("art33_72h", RECEIVED, [], today).why[-1]


@pytest.mark.parametrize("start", [date.min, date.max])
def test_a_pause_outside_the_calendar_is_refused(start: date) -> None:
    with pytest.raises(RefusedError, match="calendar_out_of_range"):
        Pause(start)


@pytest.mark.parametrize("rule", list(Rule))
@pytest.mark.parametrize(
    "received",
    [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), datetime(2150, 12, 31, 12, tzinfo=UTC)],
)
def test_a_receipt_outside_the_calendar_is_refused(rule: Rule, received: datetime) -> None:
    with pytest.raises(RefusedError, match="calendar_out_of_range"):
        compute(rule, received, [], TODAY)


def test_pauses_that_run_out_of_the_calendar_are_refused() -> None:
    with pytest.raises(RefusedError, match="calendar_out_of_range"):
        compute("art12_first_month", RECEIVED, [Pause(day(2), date(2150, 12, 31))], TODAY)


def test_the_extension_notice_has_a_safe_date_and_its_own_pauses() -> None:
    answer = compute("art12_extended", RECEIVED, [Pause(day(5), day(12))], TODAY)

    assert answer.extension_notice_due == day(9, 11)  # Sunday 1 November + 7, Sunday again
    assert answer.extension_notice_safe_due == day(2, 11)
    assert any("extension" in line and "2026-11-09" in line and "2026-11-02" in line for line in answer.why)
    assert any("Art. 12(4)" in line and "2026-11-09" in line for line in answer.why)


def test_a_log_request_shows_the_first_month_too() -> None:
    answer = compute("log_request", RECEIVED, [], TODAY)

    assert any("art12_first_month" in line and "2026-11-02" in line for line in answer.why)


def test_an_open_pause_asks_for_reminders_before_the_unpaused_date() -> None:
    answer = compute("art12_first_month", RECEIVED, [Pause(day(5))], TODAY)

    assert (answer.due, answer.due_at, answer.safe_due) == (None, None, day(2, 11))
    assert any("reminders" in line and "2026-11-02" in line for line in answer.why)


@pytest.mark.parametrize(
    ("today", "words"),
    [
        (day(26), "7 days remain to the safe date"),
        (day(2, 11), "0 days remain"),
        (day(3, 11), "the safe date has passed; the case is not late"),
        (day(9, 11), "not late"),
        (day(10, 11), "late by 1 days"),
    ],
)
def test_a_case_is_late_only_after_its_due_date(today: date, words: str) -> None:
    answer = compute("art12_first_month", RECEIVED, [Pause(day(5), day(12))], today)

    assert words in answer.why[-1]


def test_a_rolled_date_names_why_it_moved() -> None:
    received = datetime(2024, 11, 24, 9, 0, tzinfo=HELSINKI)

    why = compute("art12_first_month", received, [], TODAY).why

    assert any("2024-12-24" in line and "Christmas Eve" in line and "150/1930" in line for line in why)


@pytest.mark.parametrize(
    ("start", "disputed"),
    [
        (datetime(2026, 9, 21, 0, 0, tzinfo=HELSINKI), False),  # Monday 00:00: Monday to Wednesday, whole
        (datetime(2026, 9, 22, 10, 0, tzinfo=HELSINKI), False),  # Wednesday and Thursday are whole
        (datetime(2026, 9, 24, 0, 0, tzinfo=HELSINKI), False),  # Thursday is whole from its first second
        (datetime(2026, 9, 24, 10, 0, tzinfo=HELSINKI), True),  # only Friday is whole
        (datetime(2026, 9, 26, 10, 0, tzinfo=HELSINKI), True),  # only Monday is whole
        (datetime(2026, 12, 23, 0, 0, tzinfo=HELSINKI), True),  # only the 23rd
    ],
)
def test_the_72_hours_are_disputed_without_two_whole_working_days(start: datetime, *, disputed: bool) -> None:
    answer = compute("art33_72h", start, [], TODAY)

    assert answer.disputed == (("R5",) if disputed else ())
    assert answer.due_at == start.astimezone(UTC) + timedelta(hours=72)
    assert answer.safe_due == answer.due


def test_a_dispute_that_moves_the_safe_date_only_is_named_too() -> None:
    received = datetime(2026, 11, 24, 9, 0, tzinfo=HELSINKI)

    answer = compute("art12_first_month", received, [Pause(day(25, 11), day(2, 12))], TODAY)

    assert (answer.due, answer.safe_due) == (day(31, 12), day(24, 12))
    assert answer.disputed == ("EVE", "PAUSE")


@pytest.mark.parametrize(
    ("rule", "received", "pauses", "words"),
    [
        ("art12_first_month", RECEIVED, [], "the due date itself"),
        ("art12_first_month", RECEIVED, [Pause(day(5), day(12))], "(no pause counts)"),
        ("art12_first_month", datetime(2026, 11, 24, 9, tzinfo=HELSINKI), [], "(the Eves are working days)"),
        ("art12_extended", datetime(2026, 1, 31, 9, tzinfo=HELSINKI), [], "(the two months are added to"),
        ("log_request", datetime(2026, 9, 15, 9, tzinfo=HELSINKI), [], "(the last day does not move to"),
        ("log_request", datetime(2026, 4, 19, 9, tzinfo=HELSINKI), [], "(no disputed reading is relied on)"),
    ],
)
def test_the_safe_date_says_which_sides_it_takes(
    rule: str, received: datetime, pauses: list[Pause], words: str
) -> None:
    (line,) = (line for line in compute(rule, received, pauses, TODAY).why if line.startswith("Safe date"))

    assert words in line


@pytest.mark.parametrize(("extended", "rule"), [(False, Rule.FIRST_MONTH), (True, Rule.EXTENDED)])
def test_the_boards_clock_takes_moments(rule: Rule, *, extended: bool) -> None:
    questions: list[Question] = [(noon(5), noon(12)), (noon(14), None)]

    answer = case_clock(RECEIVED, questions, TODAY, extended=extended)

    assert answer == compute(rule, RECEIVED, [Pause(day(5), day(12)), Pause(day(14))], TODAY)


def test_a_question_late_in_the_evening_has_the_helsinki_date() -> None:
    late = datetime(2026, 10, 5, 21, 30, tzinfo=UTC)  # 6 October in Helsinki

    assert case_clock(RECEIVED, [(late, noon(7))], TODAY) == case_clock(RECEIVED, [(noon(6), noon(7))], TODAY)


def test_a_question_later_than_five_working_days_is_flagged() -> None:
    questions: list[Question] = [(noon(8), noon(8)), (noon(9), None)]  # Thursday 8 October is the fifth

    assert pause_flags(RECEIVED, questions) == (Pause(day(9)),)
    why = case_clock(RECEIVED, questions, TODAY).why
    assert [line for line in why if "5 working days" in line and "2026-10-09" in line]
    assert not [line for line in why if "5 working days" in line and "question of 2026-10-08" in line]
