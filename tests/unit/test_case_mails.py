"""Which mails of a case can be looked at as they came, told by its particulars and events."""

from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest

from vault.domain.case import Case, CaseEvent, Channel, Event, Stage
from vault.steps.casefile import CaseFile
from vault.steps.original import mails_of, replies_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)
BY_MAIL = {"sender_proof": {"kind": "none"}}


def case(channel: Channel = Channel.MAIL) -> Case:
    return Case("DSR-2026-7K3QXM", channel, NOW, Stage.RECEIVED, 1, "fi")


def happened(*later: tuple[Event, dict[str, str]], arrived: dict[str, str] | None = None) -> list[CaseEvent]:
    told = enumerate([(Event.ARRIVED, arrived or {}), *later], start=1)
    return [
        CaseEvent(number, NOW, event, Stage.RECEIVED, "office:intake", None, said) for number, (event, said) in told
    ]


@pytest.mark.parametrize(
    ("channel", "said", "events", "found"),
    [
        (Channel.MAIL, {"arrival": "a"}, happened(), [("a", "request")]),
        (Channel.POST, {"arrival": "a"}, happened(), []),
        (Channel.MAIL, {}, happened(), []),
        (Channel.MAIL, {"arrival": "a"}, happened(arrived={"exception": "mail_too_large"}), []),
        (
            Channel.POST,
            {"arrival": "a", "replies": [{"arrival": "b", **BY_MAIL}, {"arrival": "c", "pages": [1]}]},
            happened((Event.REPLY_ARRIVED, {"arrival": "b"}), (Event.REPLY_ARRIVED, {"arrival": "c"})),
            [("b", "reply")],
        ),
        (
            Channel.MAIL,
            {"arrival": "a", "replies": [{"arrival": "b"}]},
            happened(
                (Event.REPLY_ARRIVED, {"arrival": "b", "automatic": "waiting"}),
                (Event.EXCEPTION_RAISED, {"arrival": "c", "exception": "mail_bounced"}),
                (Event.EXCEPTION_RAISED, {"exception": "subject_unknown"}),
            ),
            [("a", "request"), ("b", "report"), ("c", "report")],
        ),
        (
            Channel.MAIL,
            {"arrival": "a", "replies": [{"arrival": "b", **BY_MAIL}]},
            happened(
                (Event.REPLY_ARRIVED, {"arrival": "b"}), (Event.COPIES_DESTROYED, {"arrival": "a", "copies": "1"})
            ),
            [("b", "reply")],
        ),
    ],
    ids=["request", "letter", "nothing-kept", "too-large", "replies", "reports", "destroyed"],
)
def test_the_mails_of_a_case(
    channel: Channel, said: dict[str, Any], events: list[CaseEvent], found: list[tuple[str, str]]
) -> None:
    assert mails_of(case(channel), {"replies": [], **said}, events) == found


def test_a_report_about_a_closed_case_is_no_reply_that_could_be_opened() -> None:
    file = Mock(spec=CaseFile, get_reply=Mock(return_value=BY_MAIL))
    events = happened((Event.REPLY_ARRIVED, {"status": "5.1.1"}), (Event.REPLY_ARRIVED, {"arrival": "b"}))

    assert [reply["arrival"] for reply in replies_of(file, events)] == ["b"]
