"""What an invented patient's office keeps: referrals, people close to her, consents, letters, certificates."""

from datetime import date, timedelta

from vault.domain.records import Json, RecordKind
from vault.testing.synthetic.chart import Chart, at_hour, working_day
from vault.testing.synthetic.people import OFFICE, draw_name, draw_relative

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def write_office_papers(chart: Chart) -> None:
    """Write every document that comes in, goes out or says who may know."""
    if chart.wants(65):
        _referral(chart)
    _close_people(chart)
    _consents(chart)
    if chart.wants(15):
        _other_persons_letter(chart)
    if chart.wants(35):
        _certificate(chart)
    for _ in range(chart.dice.between(1, 4)):
        _letters(chart)
    if chart.wants(4):
        _earlier_inspection(chart)


def _close_people(chart: Chart) -> None:
    words, dice = chart.prose.words, chart.dice
    papers, language = words["papers"], chart.person.language
    if chart.minor:
        _representative(chart, "guardian", *draw_relative(dice, language, words["parents"]))
    if not chart.minor and chart.wants(55):
        _representative(chart, "next_of_kin", *draw_relative(dice, language, words["persons"]))
    if not chart.minor and chart.wants(12):
        _representative(chart, "payer", papers["company"], papers["payer_other"])


def _representative(chart: Chart, role: str, name: str, relation: str) -> None:
    scope = chart.prose.text(chart.prose.words["papers"][f"{role}_scope"], chart.start)
    body: dict[str, Json] = {
        "role": role,
        "name": name,
        "relation": relation,
        "phone": None if role == "payer" else f"+358 40 0000 {chart.dice.between(0, 999):03d}",
        "scope": scope,
        "valid_from": chart.start.isoformat(),
        "valid_until": None,
    }
    chart.add(RecordKind.REPRESENTATIVE, at_hour(chart.start, 9, 5), body, OFFICE)


def _referral(chart: Chart) -> None:
    papers = chart.prose.words["papers"]
    day = working_day(chart.start - timedelta(days=chart.dice.between(5, 40)))
    arrived = at_hour(day, chart.dice.between(8, 15), chart.dice.between(0, 59))
    body: dict[str, Json] = {
        "arrived_at": arrived.isoformat(),
        "source": chart.dice.pick(papers["referral_sources"]),
        "sender": draw_name(chart.dice, chart.person.language),
        "urgency": chart.dice.pick(("routine", "routine", "urgent")),
        "question": papers["referral_question"],
        "text": chart.prose.all(papers["referral"], day),
    }
    chart.add(RecordKind.REFERRAL, arrived, body, OFFICE)


def _other_persons_letter(chart: Chart) -> None:
    words, day = chart.prose.words, chart.some_day()
    name, relation = draw_relative(chart.dice, chart.person.language, words["persons"])
    arrived = at_hour(day, 9, chart.dice.between(0, 59))
    body: dict[str, Json] = {
        "service_event": chart.service_event,
        "person": name,
        "relation": relation,
        "arrived_at": arrived.isoformat(),
        "form": chart.dice.pick(("letter", "mail")),
        "text": " ".join(words["papers"]["third_person"]),
    }
    chart.add(RecordKind.THIRD_PERSON_DOCUMENT, arrived, body, OFFICE)


def _certificate(chart: Chart) -> None:
    papers, day = chart.prose.words["papers"], chart.some_day()
    direction, title, counterpart, purpose = chart.dice.pick(papers["certificates"])
    since = chart.prose.date(chart.start)
    body: dict[str, Json] = {
        "direction": direction,
        "title": title,
        "counterpart": counterpart,
        "issued_on": day.isoformat(),
        "purpose": purpose,
        "text": chart.prose.all(papers["certificate"], day, date=since),
    }
    chart.add(RecordKind.CERTIFICATE, at_hour(day, 11), body, None if direction == "given" else OFFICE)


def _consents(chart: Chart) -> None:
    papers, day = chart.prose.words["papers"], chart.some_day()
    if chart.wants(75):
        _consent(chart, day, "consent", papers["consent_recipient"])
        if chart.wants(50):
            later = working_day(min(day + timedelta(days=14), chart.until))
            _consent(chart, later, "disclosure", papers["consent_recipient"])
    if chart.wants(15):
        _consent(chart, chart.some_day(), "prohibition", None)


def _consent(chart: Chart, day: date, kind: str, recipient: str | None) -> None:
    papers = chart.prose.words["papers"]
    withdrawn = (chart.until - timedelta(days=2)).isoformat() if kind == "consent" and chart.dice.chance(8) else None
    body: dict[str, Json] = {
        "type": kind,
        "scope": papers[f"{kind}_scope"],
        "recipient": recipient,
        "given_on": day.isoformat(),
        "withdrawn_on": withdrawn,
        "legal_ground": papers[f"{kind}_ground"],
    }
    chart.add(RecordKind.CONSENT, at_hour(day, 9, 30), body, OFFICE)


def _letters(chart: Chart) -> None:
    papers, day = chart.prose.words["papers"], chart.some_day()
    incoming, outgoing = chart.dice.pick(list(zip(papers["letters_in"], papers["letters_out"], strict=True)))
    channel = chart.dice.pick(("mail", "mail", "letter", "text_message"))
    for direction, (topic, text), hour in (("in", incoming, 8), ("out", outgoing, 14)):
        body: dict[str, Json] = {
            "direction": direction,
            "channel": channel,
            "topic": topic,
            "text": chart.prose.text(text, day),
        }
        chart.add(RecordKind.CORRESPONDENCE, at_hour(day, hour, chart.dice.between(0, 59)), body, OFFICE)


def _earlier_inspection(chart: Chart) -> None:
    day = chart.some_day()
    case_ref = f"DSR-{day.year}-" + "".join(chart.dice.pick(_ALPHABET) for _ in range(6))
    body: dict[str, Json] = {"case_ref": case_ref, "provision": "GDPR Article 15"}
    chart.add(RecordKind.INSPECTION, at_hour(day, 15), body, OFFICE)
