"""Handing an answer over is in the log before it leaves the house: to whom and what, once a case."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from vault.accesslog.auditevent import DATA_SUBJECT
from vault.accesslog.entries import Access
from vault.domain.case import Stage
from vault.domain.roles import Purpose
from vault.errors import OutOfReachError
from vault.steps import deliver, seal
from vault.steps.casefile import CaseFile
from vault.steps.disclosure import REPRESENTATIVE, log_disclosure
from vault.steps.outbox import mark_posted, open_letters
from vault.steps.receive import PARTICULARS
from vault.steps.review import open_draft
from vault.testing.crashes import counting, killed_at
from vault.testing.road import Road, run_on, travelled


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    with travelled() as road:
        yield road


def disclosures(road: Road, ref: str) -> list[Access]:
    with road.installation.office("audit") as parts:
        subject = road.at(ref).subject
        assert subject is not None
        return [one for one in parts.log.who(subject) if one.case == ref and one.recipient is not None]


def change(road: Road, ref: str, **particulars: object) -> None:
    with road.installation.office("desk") as parts:
        file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING)
        known = file.get(PARTICULARS) or {}
        request = {
            **known["request"],
            **{name: particulars.pop(name) for name in known["request"].keys() & particulars},
        }
        with parts.database.connect() as connection:
            file.put(connection, PARTICULARS, {**known, **particulars, "request": request})


def released(road: Road, ref: str) -> list[str]:
    """List the kind of each record that lies in the case's draft."""
    with road.installation.office("sealer") as parts:
        draft = open_draft(parts, ref, Purpose.SEAL)
        documents = [json.loads(draft.read(f"{d['id']}.json")) for d in draft.listing["documents"]]
    return [record["kind"] for document in documents for record in document["records"]]


def test_a_mailed_answer_is_logged_once_with_what_it_holds(road: Road) -> None:
    ref = road.bring(Stage.SEALED)
    records = released(road, ref)
    assert disclosures(road, ref) == []

    run_on(road.home, "deliver", ref)
    run_on(road.home, "deliver", ref)

    assert road.at(ref).stage is Stage.ANSWERED
    (given,) = disclosures(road, ref)
    assert (given.recipient, given.purpose, given.legal_ground) == (DATA_SUBJECT, Purpose.DELIVER, "GDPR 15")
    assert (given.actor, given.role, given.count) == ("office:sealer", "machine", len(records))
    assert set(given.kinds) == {*records, "access_log"}


def test_who_asked_for_another_is_named_as_such(road: Road) -> None:
    ref = road.bring(Stage.SEALED)
    change(road, ref, on_behalf=True, kinds=["log"])

    run_on(road.home, "deliver", ref)

    (given,) = disclosures(road, ref)
    assert (given.recipient, given.legal_ground) == (REPRESENTATIVE, "GDPR 15; Act 703/2023 s. 11")


def test_a_paper_answer_is_logged_before_it_can_be_printed(road: Road) -> None:
    ref = road.bring(Stage.DECIDED)
    change(road, ref, reply_to=None)
    folder = road.installation.nest / "paper"
    folder.mkdir(mode=0o700)

    run_on(road.home, "seal", ref)

    assert len(disclosures(road, ref)) == 1
    with road.installation.office("print") as parts:
        open_letters(parts, folder, 1000)
        mark_posted(parts, [f"{ref}-answer"])
    run_on(road.home, "deliver", ref)
    assert road.at(ref).stage is Stage.ANSWERED
    assert len(disclosures(road, ref)) == 1


def test_without_an_entry_nothing_leaves(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OutOfReachError("log_away", "the log does not answer; try again")

    ref = road.bring(Stage.SEALED)
    with monkeypatch.context() as patched:
        patched.setattr(deliver, "log_disclosure", away)
        with pytest.raises(OutOfReachError):
            run_on(road.home, "deliver", ref)
    assert road.at(ref).stage is Stage.SEALED
    assert not [raw for raw in road.mails_about(ref) if b"-package@" in raw]

    paper = road.bring(Stage.DECIDED)
    change(road, paper, reply_to=None)
    with monkeypatch.context() as patched:
        patched.setattr(seal, "log_disclosure", away)
        with pytest.raises(OutOfReachError):
            run_on(road.home, "seal", paper)
    assert road.at(paper).stage is Stage.DECIDED
    assert not [item for item in road.outgoing(paper) if item.kind == "answer"]


def test_a_kill_behind_the_entry_leaves_it_the_only_one(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    ref = road.bring(Stage.SEALED)
    with monkeypatch.context() as patched, counting(0) as counter:

        def noted(*words: Any, **named: Any) -> None:
            log_disclosure(*words, **named)
            calls.append(counter.calls)

        patched.setattr(deliver, "log_disclosure", noted)
        run_on(road.home, "deliver", ref)
    other = road.bring(Stage.SEALED)

    assert killed_at(calls[0] + 1, run_on, road.home, "deliver", other)

    assert len(disclosures(road, other)) == 1
    assert not [raw for raw in road.mails_about(other) if b"-package@" in raw]
    run_on(road.home, "deliver", other)
    assert road.at(other).stage is Stage.ANSWERED
    assert len(disclosures(road, other)) == 1
