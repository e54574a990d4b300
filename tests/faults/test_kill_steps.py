"""Each step of the road, killed with SIGKILL at its calls to the outside, then run again: nothing lost or doubled."""

import os
from collections.abc import Iterator
from itertools import count, cycle

import pytest

from vault.domain.case import Event, Stage
from vault.domain.roles import Purpose
from vault.steps.outbox import open_letters
from vault.steps.review import open_draft
from vault.storage.outgoing import MAYBE_SENT, SENT
from vault.testing.cast import drop_scans, scans
from vault.testing.crashes import killed_at
from vault.testing.road import CLINICIAN, Road, ask_requester, decide_case, run_on, run_step, travelled

# every call in `make fuzz`, a sample of them in `make test`
STRIDE = 1 if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else 13


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    with travelled() as road:
        yield road


def test_receive_mail_killed_anywhere(road: Road) -> None:
    for number in count(1, STRIDE):
        before = road.refs()
        road.mail("bound_sv")
        killed = killed_at(number, run_step, road.home, "receive-mail")
        road.run("receive-mail")
        (ref,) = road.refs() - before
        acknowledgements = [item for item in road.outgoing(ref) if item.kind == "acknowledgement"]
        assert len(acknowledgements) == 1
        assert len(road.mails_about(ref)) <= 1
        assert road.in_mailbox() == 0
        if not killed:
            break
    assert number > STRIDE


def test_receive_post_killed_anywhere(road: Road) -> None:
    sheets = scans(road.cast)
    for number, name in zip(count(1, 2 * STRIDE), cycle(["scan-0001.pdf", "scan-0003.pdf"])):
        before = len(road.cases())
        drop_scans(road.cast, {name: sheets[name] + b"%" * number})  # no copy of an earlier sheet
        killed = killed_at(number, run_step, road.home, "receive-post")
        road.run("receive-post")
        assert len(road.cases()) == before + 1
        assert not list(road.installation.settings().scans.folder.iterdir())
        if not killed:
            break
    assert number > 1


def test_identify_by_bound_key_killed_anywhere(road: Road) -> None:
    for number in count(1, STRIDE):
        ref = road.bring(Stage.RECEIVED)
        killed = killed_at(number, run_on, road.home, "identify", ref)
        run_on(road.home, "identify", ref)
        assert road.at(ref).stage is Stage.IDENTIFIED
        assert road.kinds(ref)[Event.IDENTITY_PROVED] == 1
        if not killed:
            break
    assert number > STRIDE


def test_identify_by_code_killed_anywhere_leaves_one_letter_that_opens(road: Road) -> None:
    for number in count(2, STRIDE):
        ref = road.bring(Stage.RECEIVED, "code")
        killed = killed_at(number, run_on, road.home, "identify", ref)
        run_on(road.home, "identify", ref)
        assert road.at(ref).stage is Stage.CHECKING
        assert [item.kind for item in road.outgoing(ref) if item.road == "post"] == ["code"]
        if not killed:
            break
    folder = road.installation.nest / "letters"
    folder.mkdir(mode=0o700)
    with road.installation.office("print") as parts:
        assert f"{ref}-code" in open_letters(parts, folder, 1000)
    assert (folder / f"{ref}-code.pdf").read_bytes().startswith(b"%PDF")


def test_collect_killed_anywhere(road: Road) -> None:
    for number in count(3, STRIDE):
        ref = road.bring(Stage.IDENTIFIED)
        killed = killed_at(number, run_on, road.home, "collect", ref)
        run_on(road.home, "collect", ref)
        assert road.at(ref).stage is Stage.DRAFTED
        with road.installation.office("desk") as parts:
            draft = open_draft(parts, ref, Purpose.REVIEW, CLINICIAN)
            assert draft.recomputed() == draft.row.digest
        if not killed:
            break
    assert number > STRIDE


def test_decision_killed_anywhere(road: Road) -> None:
    for number in count(1, STRIDE):
        ref = road.bring(Stage.DRAFTED)
        killed = killed_at(number, decide_case, road.home, ref)
        if road.at(ref).stage is Stage.DRAFTED:
            decide_case(road.home, ref)
        assert road.at(ref).stage is Stage.DECIDED
        assert road.kinds(ref)[Event.DECISION_MADE] == 1
        if not killed:
            break
    assert number > STRIDE


def test_seal_killed_anywhere(road: Road) -> None:
    for number in count(4, STRIDE):
        ref = road.bring(Stage.DECIDED)
        killed = killed_at(number, run_on, road.home, "seal", ref)
        run_on(road.home, "seal", ref)
        assert road.at(ref).stage is Stage.SEALED
        assert road.kinds(ref)[Event.PACKAGE_SEALED] == 1
        if not killed:
            break
    assert number > STRIDE


@pytest.mark.parametrize("after", [False, True])
def test_deliver_killed_anywhere_never_sends_twice(road: Road, after: bool) -> None:
    for number in count(2, STRIDE):
        ref = road.bring(Stage.SEALED)
        killed = killed_at(number, run_on, road.home, "deliver", ref, after=after)
        run_on(road.home, "deliver", ref)
        run_on(road.home, "deliver", ref)
        packages = [raw for raw in road.mails_about(ref) if b"-package@" in raw]
        state = next(item.state for item in road.outgoing(ref) if item.kind == "package")
        case = road.at(ref)
        assert len(packages) <= 1
        if state == MAYBE_SENT:
            assert case.stage is Stage.SEALED
            assert case.exception == "maybe_sent"
        else:
            assert (state, case.stage, len(packages)) == (SENT, Stage.ANSWERED, 1)
        if not killed:
            break
    assert number > STRIDE


def test_question_killed_anywhere_pauses_once(road: Road) -> None:
    for number in count(1, STRIDE):
        ref = road.bring(Stage.RECEIVED, "asked")
        run_on(road.home, "identify", ref)
        killed = killed_at(number, ask_requester, road.home, ref)
        if road.at(ref).stage is not Stage.ASKED:
            ask_requester(road.home, ref)
        assert road.kinds(ref)[Event.QUESTION_SENT] == 1
        if not killed:
            break
    assert number > STRIDE
