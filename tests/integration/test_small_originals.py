"""A small original rests as a row beside its case, a larger one in the object store; both open, and end, the same."""

import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest

from vault.domain.case import Channel, Event
from vault.domain.roles import Purpose
from vault.errors import KeyMissingError, OutOfReachError, TamperedError
from vault.intake.opened import Attachment
from vault.steps import check, receive
from vault.steps.casefile import CaseFile, arrival_owner
from vault.steps.keep import purge_case
from vault.steps.original import open_mail_original
from vault.steps.receive import Incoming
from vault.steps.receive_mail import receive_mail
from vault.steps.sealed_object import BESIDE
from vault.testing.mails import plain_mail
from vault.testing.mailtexts import request_text
from vault.testing.road import REGISTRAR, Road, travelled


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    with travelled() as road:
        yield road


def mail(road: Road) -> bytes:
    patient = road.cast.patient("bound_sv")
    return plain_mail(road.cast.letter("bound_sv", request_text(patient.language, patient.name, None)))


def take(road: Road, raw: bytes) -> tuple[str, str]:
    """Take a mail in; return its case and its arrival."""
    known = road.refs()
    road.drop(raw)
    road.run("receive-mail")
    (ref,) = road.refs() - known
    with road.installation.owner() as connection:
        (row,) = connection.execute("select ref from arrivals where case_ref = %s", (ref,)).fetchall()
    return ref, str(row[0])


def stored(road: Road, arrival: str) -> list[str]:
    with road.installation.office("intake") as parts:
        return list(parts.objects.list(f"arrival/{arrival}/"))


def rows(road: Road, arrival: str) -> list[tuple[str, int]]:
    with road.installation.owner() as connection:
        query = "select name, length(envelope) from sealed_items where owner = %s order by name"
        return [
            (str(name), int(size)) for name, size in connection.execute(query, (arrival_owner(arrival),)).fetchall()
        ]


def seen(road: Road, ref: str, arrival: str) -> bytes:
    with road.installation.office("desk") as parts:
        return open_mail_original(parts, REGISTRAR, ref, arrival).data


def test_a_small_mail_lies_beside_its_case_and_opens_as_it_came(road: Road) -> None:
    raw = mail(road)
    ref, arrival = take(road, raw)

    ((name, size),) = rows(road, arrival)
    assert (name, stored(road, arrival)) == ("original", [])
    assert size > len(raw)
    assert seen(road, ref, arrival).endswith(raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


@pytest.mark.parametrize(
    ("over", "flagged", "channel", "beside"),
    [
        (0, None, Channel.MAIL, True),
        (1, None, Channel.MAIL, False),
        (0, "identity", Channel.MAIL, False),
        (0, None, Channel.POST, False),
    ],
)
def test_what_is_larger_or_scanned_or_shows_an_identity_document_lies_in_the_store(
    road: Road, over: int, flagged: str | None, channel: Channel, beside: bool
) -> None:
    original = secrets.token_bytes(BESIDE + over)
    file = Attachment("passport.jpg", "image/jpeg", b"a picture")
    told = {"attachments": [{"name": file.name, "type": file.type, "delete_after": flagged}]}
    with road.installation.office("intake") as parts:
        came = Incoming(channel, secrets.token_hex(8), original, original, parts.now(), "fi", told, attachments=(file,))
        taken = receive.take(parts, came)

    assert bool(rows(road, taken.arrival_ref)) is beside
    assert (f"arrival/{taken.arrival_ref}/original" in stored(road, taken.arrival_ref)) is not beside
    with road.installation.office("desk") as parts:
        file_of = CaseFile.open(parts, taken.case.ref, Purpose.CASE_HANDLING, staff=REGISTRAR)
        assert file_of.get_original(taken.arrival_ref) == original


def test_an_ordinary_mail_is_taken_while_the_object_store_is_away(road: Road) -> None:
    class Away:
        def put(self, *_: object) -> None:
            raise OutOfReachError("objects_away", "the object store does not answer")

    known, away = road.refs(), Away()
    road.drop(mail(road))
    with road.installation.office("intake") as parts:
        receive_mail(replace(parts, objects=away))  # type: ignore[arg-type]  # all that is called of it
    assert len(road.refs() - known) == 1
    assert road.in_mailbox() == 0


def test_a_row_that_was_moved_to_another_arrival_opens_nothing(road: Road) -> None:
    one, first = take(road, mail(road))
    _, second = take(road, mail(road))
    move = "update sealed_items set envelope = %s where owner = %s and name = 'original'"
    with road.installation.owner() as connection:
        (envelope,) = connection.execute(
            "select envelope from sealed_items where owner = %s and name = 'original'", (arrival_owner(second),)
        ).fetchone() or (None,)
        connection.execute(move, (envelope, arrival_owner(first)))
    with pytest.raises(TamperedError):
        seen(road, one, first)


def test_nothing_of_it_is_left_when_its_case_is_purged(road: Road) -> None:
    ref, arrival = take(road, mail(road))
    with road.installation.office("desk") as parts:
        check.close_as(parts, REGISTRAR, ref, Event.CALLED_OFF, "Called off.")
        before = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, staff=REGISTRAR)
        assert before.get_original(arrival)
        with road.installation.office("keeper") as keeper:
            purge_case(keeper, road.at(ref))
        with pytest.raises(KeyMissingError):
            before.get_original(arrival)
    assert rows(road, arrival) == []
    assert stored(road, arrival) == []
