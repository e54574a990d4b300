"""Whatever stands in the fields of a search: it is a search of the log, or one of four plain refusals."""

import re
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vault.accesslog.search import Query
from vault.desk.audit import FAULTS, FIELDS, query_of
from vault.domain.calendar import HELSINKI
from vault.domain.roles import Purpose
from vault.errors import RefusedError
from vault.steps.audit import check

DAYS = st.dates().map(str) | st.text(max_size=12)
WORDS = st.text(max_size=40) | st.from_regex(r"(staff|office|reader|case)?:?[A-Za-z0-9_.@-]{0,40}", fullmatch=True)
CASES = st.from_regex(r"(DSR|dsr)-[0-9]{4}-[0-9A-HJKMNP-TV-Z]{6}", fullmatch=True)


FORMS = st.fixed_dictionaries(
    {
        "reader": WORDS,
        "patient": WORDS | CASES,
        "first": DAYS,
        "last": DAYS,
        "purpose": st.sampled_from([*Purpose, "", "theft"]),
    }
)


@given(FORMS, st.text(max_size=20))
def test_any_fields_are_a_search_or_a_plain_refusal(form: dict[str, str], before: str) -> None:
    outcome = outcome_of(form, before)

    assert set(form) == set(FIELDS)
    if isinstance(outcome, Query):
        assert_plain(outcome)
    else:
        assert outcome in FAULTS


def outcome_of(form: dict[str, str], before: str) -> Query | str:
    try:
        query = query_of(form, before)
        check(query)
    except RefusedError as error:
        return error.code
    return query


def assert_plain(query: Query) -> None:
    assert query.actor is None or re.fullmatch(r"[a-z]+:[A-Za-z0-9_.@-]+", query.actor)
    assert query.subject is None or re.fullmatch(r"[A-Za-z0-9._-]{1,64}", query.subject)
    assert query.before is None or 0 < query.before < 10**18
    assert query.subject is None or query.case is None
    assert all(moment is None or moment.tzinfo is HELSINKI for moment in (query.since, query.until))


@given(st.dates(min_value=date(1994, 1, 1), max_value=date(2149, 12, 31)))
def test_one_day_is_the_whole_day_in_helsinki(day: date) -> None:
    query = query_of({**dict.fromkeys(FIELDS, ""), "first": str(day), "last": str(day)}, "")

    assert query.since is not None
    assert query.until is not None
    assert query.until - query.since == timedelta(days=1)
    assert (query.since.hour, query.until.hour, str(query.since.date())) == (0, 0, str(day))


@given(CASES)
def test_a_case_s_reference_is_no_patient_s(case: str) -> None:
    query = query_of({**dict.fromkeys(FIELDS, ""), "patient": case}, "")

    assert (query.case, query.subject) == (case.upper(), None)
