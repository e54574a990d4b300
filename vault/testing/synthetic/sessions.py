"""The course of an invented therapy: appointments, session entries and the invoices for them."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby, pairwise

from vault.domain.records import Json, Record, RecordKind
from vault.testing.synthetic.chart import Chart, at_hour, working_day
from vault.testing.synthetic.people import OFFICE

_JULY = 7
_MINUTES = 45
_PRICE, _MISSED_PRICE = 9500, 6500  # cents
_STATUSES = ("kept",) * 88 + ("cancelled",) * 6 + ("late_cancelled",) * 3 + ("no_show",) * 3
_CHARGED = {"kept": _PRICE, "late_cancelled": _MISSED_PRICE, "no_show": _MISSED_PRICE}


def write_sessions(chart: Chart) -> list[Record]:
    """Write visits until all planned sessions were held or today is reached; return the session entries."""
    hour = chart.dice.between(8, 16)
    entries: list[Record] = []
    for day, following in pairwise(_days(chart)):
        if len(entries) == chart.sessions:
            break
        visit = _visit(chart, day, hour, first=not entries)
        if visit.body["status"] == "kept":
            entries.append(_entry(chart, visit, len(entries) + 1, following))
    return entries


def write_correction(chart: Chart, entry: Record) -> None:
    """Correct a session entry on the patient's remark; the original stays."""
    day = min(entry.at.date() + timedelta(weeks=chart.dice.between(1, 8)), chart.until)
    changed: dict[str, Json] = {**entry.body, "history": chart.prose.words["papers"]["correction"]}
    chart.add(RecordKind.SESSION_ENTRY, at_hour(day, 15, chart.dice.between(1, 50)), changed, corrects=entry.ref)


def write_invoices(chart: Chart) -> None:
    """Write a month's invoice for the visits of each month."""
    visits = [record for record in chart.records if record.kind is RecordKind.VISIT]
    charged = [visit for visit in visits if str(visit.body["status"]) in _CHARGED]
    for _, month in groupby(charged, key=lambda visit: (visit.at.year, visit.at.month)):
        _invoice(chart, list(month))


def _days(chart: Chart) -> Iterator[date]:
    steps = (3, 4) if chart.twice_a_week else (7,)
    day = chart.start
    while day < chart.until:
        for step in steps:
            if day.month != _JULY:
                yield day
            day += timedelta(days=step)


def _visit(chart: Chart, day: date, hour: int, *, first: bool) -> Record:
    words, dice = chart.prose.words, chart.dice
    status = "kept" if first else dice.pick(_STATUSES)
    mode = dice.pick(("in_person",) * 8 + ("video", "phone"))
    places = {"in_person": dice.pick(words["places"]), "video": words["video"], "phone": words["phone"]}
    body: dict[str, Json] = {
        "service_event": chart.service_event,
        "status": status,
        "mode": mode,
        "place": places[mode],
        "starts_at": at_hour(day, hour).isoformat(),
        "ends_at": at_hour(day, hour, _MINUTES).isoformat(),
        "reason": dice.pick(words["papers"]["cancel_reasons"]) if status.endswith("cancelled") else None,
    }
    return chart.add(RecordKind.VISIT, at_hour(day, hour, _MINUTES), body)


def _entry(chart: Chart, visit: Record, number: int, following: date) -> Record:
    day = visit.at.date()
    body: dict[str, Json] = {
        "service_event": chart.service_event,
        "visit": visit.ref,
        "session_number": number,
        **(_first_notes(chart, day) if number == 1 else _notes(chart, day)),
        "diagnosis": chart.diagnosis,
        **_outcome(chart, day, number, following),
    }
    return chart.add(RecordKind.SESSION_ENTRY, visit.at + timedelta(minutes=chart.dice.between(5, 40)), body)


def _first_notes(chart: Chart, day: date) -> dict[str, Json]:
    prose, theme, words = chart.prose, chart.theme, chart.prose.words["session"]
    return {
        "reason": prose.all(theme["reason"], day),
        "history": prose.all(theme["history"], day),
        "problems": prose.some(theme["problems"], 2, 3, day),
        "conclusions": prose.some(words["first_conclusions"], 2, 3, day),
        "plan": prose.all(words["first_plan"], day),
        "execution": prose.all(words["first_execution"], day),
    }


def _notes(chart: Chart, day: date) -> dict[str, Json]:
    prose, words = chart.prose, chart.prose.words["session"]
    history = [prose.one(words["week"], day), prose.one(words["homework"], day)]
    return {
        "reason": prose.one(words["reason"], day),
        "history": " ".join([*history, prose.some(words["history"], 1, 2, day)]),
        "problems": prose.some([*chart.theme["problems"], *words["problems"]], 1, 3, day),
        "conclusions": f"{prose.one(words['course'], day)} {prose.some(words['conclusions'], 1, 2, day)}",
        "plan": prose.some(words["plan"], 1, 3, day),
        "execution": prose.some(words["execution"], 2, 3, day),
    }


def _outcome(chart: Chart, day: date, number: int, following: date) -> dict[str, Json]:
    prose, words = chart.prose, chart.prose.words["session"]
    score = 30 - 20 * number // chart.sessions + chart.dice.between(-3, 3)  # symptoms ease over the course
    scores = {"score": str(score), "gad": str(score // 2)}
    after = {"date": prose.date(following), "on_day": prose.words["days"][following.weekday()]}
    follow_up = [prose.one(words["next_visit"], day, **after)]
    if chart.dice.chance(40):
        follow_up.append(prose.one(words["follow_up"], day))
    return {
        "state": f"{prose.one(words['mood'], day)} {prose.some(words['state'], 1, 2, day)}",
        "observations": prose.some(words["observations"], 2, 3, day, **scores),
        "follow_up": " ".join(follow_up),
    }


def _invoice(chart: Chart, visits: Sequence[Record]) -> None:
    papers = chart.prose.words["papers"]
    lines: list[Json] = []
    for visit in visits:
        status = str(visit.body["status"])
        text = papers["line_session" if status == "kept" else "line_missed"]
        cents = _CHARGED[status]
        written = chart.prose.text(text, visit.at.date(), date=chart.prose.date(visit.at.date()))
        lines.append({"text": written, "quantity": 1, "unit_cents": cents, "total_cents": cents})
    issued = working_day(min(visits[-1].at.date() + timedelta(days=3), chart.until))
    due = issued + timedelta(days=14)
    body: dict[str, Json] = {
        "number": f"{issued.year}-{chart.dice.between(100000, 999999)}",
        "issued_on": issued.isoformat(),
        "due_on": due.isoformat(),
        "payer": papers["payer"],
        "lines": lines,
        "total_cents": sum(_CHARGED[str(visit.body["status"])] for visit in visits),
        "paid_on": (due - timedelta(days=chart.dice.between(0, 9))).isoformat() if due < chart.until else None,
    }
    chart.add(RecordKind.INVOICE, at_hour(issued, 10), body, OFFICE)
