"""A request shows nothing of itself, and its JSON is read strictly."""

from typing import Any

import pytest

from vault.domain.request import AnswerBy, Request, RequestKind
from vault.errors import RefusedError


def request(**changes: Any) -> Request:
    values: dict[str, Any] = {
        "kinds": (RequestKind.INSPECTION, RequestKind.LOG),
        "confidence": 0.75,
        "language": "sv",
        "on_behalf": False,
        "name": "Änni Örnström",
        "code": "010594Y9021",
        "email": "anni@example.org",
        "address": "Skolgatan 1",
        "answer_by": AnswerBy.PAPER,
        "text": "Vad har ni om mig?",
        "case_ref": "DSR-2026-7K3QXM",
        "one_time_code": "7K3QX-M0A9B",
    }
    return Request(**{**values, **changes})


def test_nothing_personal_is_shown() -> None:
    whole = request()

    for shown in (repr(whole), str(whole), f"{whole}", repr([whole])):
        for value in ("Örnström", "010594", "anni", "Skolgatan", "Vad har", "7K3QX"):
            assert value not in shown


def test_the_json_holds_every_field_in_plain_values() -> None:
    assert request().to_json() == {
        "kinds": ["inspection", "log"],
        "confidence": 0.75,
        "language": "sv",
        "on_behalf": False,
        "name": "Änni Örnström",
        "code": "010594Y9021",
        "email": "anni@example.org",
        "address": "Skolgatan 1",
        "answer_by": "paper",
        "text": "Vad har ni om mig?",
        "case_ref": "DSR-2026-7K3QXM",
        "one_time_code": "7K3QX-M0A9B",
        "for_child": False,
    }
    assert type(request().to_json()["answer_by"]) is str


WRONG: list[dict[str, Any]] = [
    {"kinds": ["inspection", "inspection"]},
    {"kinds": ["everything"]},
    {"kinds": "log"},
    {"kinds": None},
    {"kinds": [["log"]]},
    {"confidence": 1.01},
    {"confidence": -0.1},
    {"confidence": float("nan")},
    {"confidence": 10**400},
    {"confidence": True},
    {"confidence": "1"},
    {"language": "de"},
    {"language": ["sv"]},
    {"language": None},
    {"on_behalf": 0},
    {"on_behalf": None},
    {"for_child": True},
    {"for_child": None},
    {"answer_by": "phone"},
    {"answer_by": ""},
    {"answer_by": ["mail"]},
    {"name": 1},
    {"name": ["Änni"]},
    {"code": b"010594Y9021"},
    {"text": None},
    {"text": "\ud800"},
    {"address": "\udcff"},
    {"unknown": None},
]


@pytest.mark.parametrize("change", WRONG, ids=lambda change: ", ".join(f"{key}" for key in change))
def test_a_wrong_field_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="request_malformed") as caught:
        Request.from_json({**request().to_json(), **change})

    assert "Änni" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("field", [name for name in request().to_json() if name != "for_child"])
def test_a_missing_field_is_refused(field: str) -> None:
    value = request().to_json()
    del value[field]

    with pytest.raises(RefusedError, match="request_malformed"):
        Request.from_json(value)


def test_a_request_from_before_children_were_told_reads_as_no_childs() -> None:
    value = request(on_behalf=True).to_json()
    del value["for_child"]

    assert Request.from_json(value) == request(on_behalf=True)


@pytest.mark.parametrize("value", [None, [], "{}", 1, {}, [["kinds", []]]])
def test_anything_but_an_object_is_refused(value: object) -> None:
    with pytest.raises(RefusedError, match="request_malformed"):
        Request.from_json(value)


@pytest.mark.parametrize(
    "change",
    [{"kinds": [RequestKind.LOG]}, {"kinds": ("log",)}, {"confidence": 1}, {"answer_by": "mail"}, {"on_behalf": 1}],
)
def test_a_value_of_another_type_is_no_request(change: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="request_malformed"):
        request(**change)
