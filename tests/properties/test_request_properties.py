"""A request and its JSON are each other's inverse, also after a trip through text."""

import json

from hypothesis import given
from hypothesis import strategies as st

from vault.domain.request import LANGUAGES, AnswerBy, Request, RequestKind
from vault.errors import RefusedError

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
MAYBE = st.none() | TEXT
REQUESTS = st.builds(
    lambda for_child, **values: Request(**{**values, "for_child": for_child and values["on_behalf"]}),
    for_child=st.booleans(),
    kinds=st.lists(st.sampled_from(RequestKind), unique=True).map(tuple),
    confidence=st.floats(0, 1),
    language=st.sampled_from(LANGUAGES),
    on_behalf=st.booleans(),
    name=MAYBE,
    code=MAYBE,
    email=MAYBE,
    address=MAYBE,
    answer_by=st.none() | st.sampled_from(AnswerBy),
    text=TEXT,
    case_ref=MAYBE,
    one_time_code=MAYBE,
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = SCALARS | st.lists(SCALARS, max_size=3)


@given(REQUESTS)
def test_a_request_reads_back(request: Request) -> None:
    assert Request.from_json(request.to_json()) == request
    assert Request.from_json(json.loads(json.dumps(request.to_json()))) == request


@given(REQUESTS)
def test_a_confidence_may_lose_its_fraction(request: Request) -> None:
    value = {**request.to_json(), "confidence": 1}

    read = Request.from_json(value)

    assert read.confidence == 1.0
    assert isinstance(read.confidence, float)


@given(REQUESTS, st.sampled_from(list(Request.__slots__)), VALUES)
def test_any_other_value_is_refused_or_kept(request: Request, field: str, value: object) -> None:
    changed = {**request.to_json(), field: value}

    try:
        read = Request.from_json(changed)
    except RefusedError:
        return
    assert read.to_json() == changed
