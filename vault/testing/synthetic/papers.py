"""The professionals' documents of an invented patient: plans, statements, Kela documents, consultations."""

from collections.abc import Sequence
from datetime import date, timedelta

from vault.domain.records import Author, Json, Record, RecordKind
from vault.testing.synthetic.chart import Chart, at_hour
from vault.testing.synthetic.people import PHYSICIANS
from vault.testing.synthetic.sessions import write_correction

_YEAR = timedelta(weeks=52)  # keeps the weekday
_QUIET = timedelta(days=60)  # so long without a visit: care has ended


def write_care_papers(chart: Chart, entries: Sequence[Record]) -> None:
    """Write plans, statements, consultations, refusals and the minor's ability to decide.

    :param entries: the session entries, oldest first, at least one.
    """
    last = entries[-1].at.date()
    _plans_and_statements(chart, last)
    if chart.full or (not chart.minor and chart.dice.chance(40)):
        _kela(chart, last)
    if chart.wants(30):
        _consultation(chart, chart.some_day(last))
    if chart.wants(12):
        _refusal(chart, chart.some_day(last))
    if chart.minor:
        _decision_ability(chart)
    if chart.wants(20):
        write_correction(chart, chart.dice.pick(entries))


def _plans_and_statements(chart: Chart, last: date) -> None:
    care, day = chart.prose.words["care"], chart.start
    while day <= last:
        plan: dict[str, Json] = {
            "service_event": chart.service_event,
            "targets": list(chart.theme["targets"]),
            "methods": care["methods"],
            "frequency": care["frequency"][chart.twice_a_week],
            "agreed_with_patient": True,
            "review_on": (day + _YEAR).isoformat(),
        }
        chart.add(RecordKind.TREATMENT_PLAN, at_hour(day, 17), plan)
        if day + _YEAR <= last:
            _statement(chart, "interim", day, day + _YEAR)
        day += _YEAR
    if chart.full or chart.until - last > _QUIET:
        _statement(chart, "closing", chart.start, last)


def _statement(chart: Chart, kind: str, start: date, end: date) -> None:
    care = chart.prose.words["care"]
    held = [entry for entry in chart.records if entry.kind is RecordKind.SESSION_ENTRY]
    number = str(sum(start <= entry.at.date() <= end for entry in held))
    body: dict[str, Json] = {
        "service_event": chart.service_event,
        "type": kind,
        "period_from": start.isoformat(),
        "period_until": end.isoformat(),
        "course": chart.prose.some(care["course"], 3, 5, end, number=number),
        "outcome": chart.prose.some(care["outcome"], 2, 4, end, score=str(chart.dice.between(6, 14))),
        "recommendation": chart.prose.one(care["recommendation"], end),
    }
    chart.add(RecordKind.STATEMENT, at_hour(end, 17, 20), body)


def _kela(chart: Chart, last: date) -> None:
    papers, day = chart.prose.words["papers"], min(chart.start + timedelta(days=21), last)
    _kela_document(chart, "b_statement", (day, day + _YEAR), papers["kela_b"], PHYSICIANS[chart.person.language])
    if chart.full or last - chart.start > _YEAR:
        _kela_document(chart, "therapy_feedback", (chart.start, last), papers["kela_feedback"], chart.therapist)


def _kela_document(chart: Chart, kind: str, period: tuple[date, date], text: Sequence[str], author: Author) -> None:
    day = period[0] if kind == "b_statement" else period[1]
    body: dict[str, Json] = {
        "type": kind,
        "period_from": period[0].isoformat(),
        "period_until": period[1].isoformat(),
        "diagnosis": chart.diagnosis,
        "working_ability": chart.dice.pick(chart.prose.words["papers"]["working_ability"]),
        "text": chart.prose.all(text, day),
        "sessions_a_year": chart.dice.pick((40, 60, 80)),
    }
    chart.add(RecordKind.KELA_DOCUMENT, at_hour(day, 14), body, author)


def _consultation(chart: Chart, day: date) -> None:
    care = chart.prose.words["care"]
    body: dict[str, Json] = {
        "service_event": chart.service_event,
        "consulted": care["consulted"],
        "question": chart.prose.text(care["question"], day),
        "answer": chart.prose.one(care["answer"], day),
        "patient_named": chart.dice.chance(30),
    }
    chart.add(RecordKind.CONSULTATION, at_hour(day, 13), body)


def _refusal(chart: Chart, day: date) -> None:
    care = chart.prose.words["care"]
    body: dict[str, Json] = {
        "service_event": chart.service_event,
        "refused": care["refused"],
        "reason": care["refusal_reason"],
        "explained": care["explained"],
    }
    chart.add(RecordKind.REFUSAL_OF_CARE, at_hour(day, 12), body)


def _decision_ability(chart: Chart) -> None:
    care, able = chart.prose.words["care"], chart.full or chart.dice.chance(70)
    body: dict[str, Json] = {
        "service_event": chart.service_event,
        "able": able,
        "grounds": care["minor_able" if able else "minor_unable"],
        "forbids_guardian": able and chart.wants(40),
    }
    chart.add(RecordKind.MINOR_DECISION_ABILITY, at_hour(chart.start, 16), body)
