"""CarePlan, Goal, QuestionnaireResponse, Consent, Communication, ServiceRequest and AuditEvent (R4) as entries."""

from typing import Final

from vault.domain.records import Author, Json, RecordKind
from vault.register.fhir.authors import take_authors
from vault.register.fhir.elements import Elements
from vault.register.fhir.entry import Around, Entry, notes_of, references, status

_DEEPEST: Final = 20  # items within items
_DISCLOSED: Final = frozenset(
    {"disclose", "export", "transmit", "110106", "110104"}
)  # DICOM Export, Instances Transferred


def goal(resource: Elements, around: Around) -> Entry:
    """Return a goal as a part of the treatment plan."""
    entry = Entry(RecordKind.TREATMENT_PLAN, time=resource.moment("statusDate", "startDate"))
    entry.put(targets=_listed(resource.concept("description")), notes=notes_of(resource))
    for part in resource.children("target"):
        entry.put(review_on=part.text("dueDate"))
    status(entry, resource, "lifecycleStatus", "achievementStatus")
    entry.authors = take_authors(resource, around.authors, around.spell, "expressedBy")
    return entry


def care_plan(resource: Elements, around: Around) -> Entry:
    """Return a care plan with the words of its goals and activities."""
    entry = Entry(RecordKind.TREATMENT_PLAN, time=resource.moment("created"))
    inside = {f"#{item.rest.get('id')}": item.concept("description") for item in resource.children("contained")}
    named = [inside.get(name) or around.goals.get(around.spell(name)) for name in resource.references("goal")]
    entry.put(targets=[told for told in named if told], title=resource.text("title"))
    activities = [_activity(part.child("detail")) for part in resource.children("activity")]
    methods = [told for told in (resource.text("description"), *activities) if told]
    entry.put(methods="\n".join(methods), notes=notes_of(resource))
    period = resource.child("period")
    entry.put(valid_from=period.text("start"), review_on=period.text("end"))
    status(entry, resource, "status", "intent")
    entry.authors = take_authors(resource, around.authors, around.spell, "author", "contributor")
    return references(entry, resource, around)


def _activity(detail: Elements) -> str | None:
    told = (detail.concept("code"), detail.text("description"), detail.text("scheduledString"))
    return ": ".join(word for word in told if word) or None


def questionnaire_response(resource: Elements, around: Around) -> Entry:
    """Return answers to a questionnaire, each question with its answer on a line."""
    entry = Entry(RecordKind.SESSION_ENTRY, time=resource.moment("authored"))
    entry.put(questionnaire=resource.text("questionnaire"))
    entry.put(observations="\n".join(_answers(resource, 0)))
    status(entry, resource, "status")
    entry.authors = take_authors(resource, around.authors, around.spell, "author", "source")
    return references(entry, resource, around)


def _answers(parent: Elements, depth: int) -> list[str]:
    lines: list[str] = []
    for item in parent.children("item") if depth < _DEEPEST else ():
        question = item.text("text") or item.rest.get("linkId") or ""
        item.drop("linkId")
        answers = item.children("answer")
        told = [value for answer in answers if (value := value_of(answer)) is not None]
        lines.append(f"{'  ' * depth}{question}: {'; '.join(told)}" if told else f"{'  ' * depth}{question}")
        for inner in (*answers, item):
            lines += _answers(inner, depth + 1)
    return lines


def value_of(element: Elements) -> str | None:
    """Take a value[x] in words; one of a rarer type stays."""
    for name in [name for name in element.rest if name.startswith("value")]:
        value = element.rest[name]
        if isinstance(value, bool):
            return str(element.flag(name)).lower()
        if not isinstance(value, dict):
            return element.text(name)
        if name == "valueQuantity":
            return quantity(element.child(name))
        if name in ("valueCodeableConcept", "valueCoding"):
            return element.concept(name)
    return None


def quantity(element: Elements) -> str | None:
    """Take a Quantity: comparator, value and unit."""
    parts = (element.text("comparator"), element.text("value"), element.text("unit") or element.text("code"))
    return " ".join(part for part in parts if part) or None


def consent(resource: Elements, around: Around) -> Entry:
    """Return a consent, or the prohibition that it is."""
    entry = Entry(RecordKind.CONSENT, time=resource.moment("dateTime"))
    rule = resource.child("provision")
    denies = rule.text("type") == "deny"
    withdrawn = resource.rest.get("status") == "inactive"
    told = [resource.concept(name) for name in ("scope", "category")]
    recipients = [part.child("reference").text("display") for part in rule.children("actor")]
    period = rule.child("period")
    entry.put(type="prohibition" if denies else "consent", scope="; ".join(word for word in told if word))
    entry.put(recipient="; ".join(name for name in recipients if name))
    entry.put(given_on=period.text("start"), withdrawn_on=period.text("end") if withdrawn else None)
    laws = [part.text("uri") or part.text("authority") for part in resource.children("policy")]
    entry.put(legal_ground="; ".join([word for word in (resource.concept("policyRule"), *laws) if word]))
    status(entry, resource, "status")
    entry.authors = take_authors(resource, around.authors, around.spell, "performer", "organization")
    return entry


def communication(resource: Elements, around: Around) -> Entry:
    """Return a message as correspondence."""
    entry = Entry(RecordKind.CORRESPONDENCE, time=resource.moment("sent", "received"))
    sender = resource.child("sender").reference() or ""
    entry.put(direction="in" if "Patient/" in sender or "RelatedPerson/" in sender else "out" if sender else None)
    texts = [told for part in resource.children("payload") if (told := part.text("contentString"))]
    entry.put(channel=resource.concept("medium"), topic=resource.concept("topic") or resource.concept("category"))
    entry.put(text="\n".join(texts), notes=notes_of(resource), reason=resource.concept("reasonCode"))
    status(entry, resource, "status")
    entry.authors = take_authors(resource, around.authors, around.spell, "sender")
    return references(entry, resource, around)


def service_request(resource: Elements, around: Around) -> Entry:
    """Return a request for a service as a referral."""
    entry = Entry(RecordKind.REFERRAL, time=resource.moment("authoredOn"))
    urgent = resource.text("priority")
    entry.put(urgency="routine" if urgent == "routine" else "urgent" if urgent else None)
    entry.put(title=resource.concept("code"), question=resource.concept("reasonCode"), text=notes_of(resource))
    status(entry, resource, "status", "intent")
    entry.authors = take_authors(resource, around.authors, around.spell, "requester")
    return references(entry, resource, around)


def audit_event(resource: Elements, around: Around) -> Entry:
    """Return one use or disclosure of her data from before (Act 703/2023 s. 10): who, when, what for.

    It is no entry of our own access log, which holds what happened here; so it stands in the register.
    """
    entry = Entry(RecordKind.CONSENT, time=resource.moment("recorded"))
    codes = resource.coded("type") | resource.coded("subtype")
    words = [told for name in ("type", "subtype") if (told := resource.concept(name))]
    entry.put(type="disclosure" if codes & _DISCLOSED else "use", scope="; ".join(words))
    entry.put(legal_ground=resource.concept("purposeOfEvent"), action=resource.text("action"))
    entry.put(outcome=resource.text("outcome"))
    agents = sorted(resource.children("agent"), key=lambda agent: agent.rest.get("requestor") is not True)
    for agent in agents:
        name, alias = agent.text("name"), agent.text("altId")
        found = take_authors(agent, around.authors, around.spell, "who")
        entry.authors += found or ([_agent(name, alias)] if name or alias else [])
        agent.drop("requestor")
    return entry


def _agent(name: str | None, alias: str | None) -> Author:
    return Author(name or "unknown", alias or "unknown", "unknown")


def _listed(value: str | None) -> list[Json]:
    return [value] if value else []
