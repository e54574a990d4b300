"""A small mail rests with its files as rows beside its case, a larger one in the object store; both open, and end."""

import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest

from vault.domain.case import Channel, Event
from vault.domain.roles import Purpose
from vault.errors import KeyMissingError, OutOfReachError, TamperedError
from vault.intake.opened import Attachment
from vault.steps import check, receive
from vault.steps.attachments import read_attachment
from vault.steps.casefile import CaseFile, arrival_owner
from vault.steps.keep import purge_case
from vault.steps.original import open_attachment, open_mail_original
from vault.steps.receive import PARTICULARS, Incoming
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
    ("original", "files", "what", "beside"),
    [
        (BESIDE, (BESIDE,), "mail", True),
        (BESIDE, (BESIDE - 1, 1, 0), "mail", True),
        (BESIDE, (), "mail", True),
        (BESIDE + 1, (9,), "mail", False),
        (9, (BESIDE, 1), "mail", False),  # it came packed
        (9, (9, 9), "mail with an identity document", False),
        (9, (), "post", False),
    ],
)
def test_a_mail_rests_in_one_place_with_its_files_and_opens_as_it_came(
    road: Road, original: int, files: tuple[int, ...], what: str, beside: bool
) -> None:
    flagged = "identity" if "identity" in what else None
    raw, names = secrets.token_bytes(original), [f"attachment:{number}" for number in range(1, len(files) + 1)]
    came = [Attachment("words.bin", "application/octet-stream", secrets.token_bytes(size)) for size in files]
    told = [{"name": file.name, "type": file.type} for file in came]
    if flagged:
        told[-1]["delete_after"] = flagged
    with road.installation.office("intake") as parts:
        channel = Channel(what.partition(" ")[0])
        incoming = Incoming(channel, secrets.token_hex(8), raw, raw, parts.now(), "fi", {"attachments": told})
        taken = receive.take(parts, replace(incoming, attachments=tuple(came)))

    arrival = taken.arrival_ref
    assert [name for name, _ in rows(road, arrival)] == ([*names, "original"] if beside else [])
    kept = len(came) - (1 if flagged else 0)
    assert len(stored(road, arrival)) == (0 if beside else kept + 1)
    with road.installation.office("desk") as parts:
        file_of = CaseFile.open(parts, taken.case.ref, Purpose.CASE_HANDLING, staff=REGISTRAR)
        said = (file_of.get(PARTICULARS) or {})["attachments"]
        assert file_of.get_original(arrival) == raw
        assert [read_attachment(file_of, arrival, words) for words in said] == [file.data for file in came]


def test_a_file_of_a_small_mail_is_seen_at_the_desk_and_one_row_is_not_another(road: Road) -> None:
    raw = secrets.token_bytes(9)
    files = tuple(Attachment(f"{word}.txt", "text/plain", word.encode()) for word in ("one", "two"))
    told = {"attachments": [{"name": file.name, "type": file.type} for file in files]}
    with road.installation.office("intake") as parts:
        incoming = Incoming(Channel.MAIL, secrets.token_hex(8), raw, raw, parts.now(), "fi", told, attachments=files)
        taken = receive.take(parts, incoming)
    with road.installation.office("desk") as parts:
        seen = [open_attachment(parts, REGISTRAR, taken.case.ref, taken.arrival_ref, place).words for place in "12"]
        assert seen == ["one", "two"]
        with road.installation.owner() as connection:
            connection.execute(
                "update sealed_items as one set envelope = two.envelope from sealed_items as two where one.owner = %s"
                " and two.owner = one.owner and one.name = 'attachment:1' and two.name = 'attachment:2'",
                (arrival_owner(taken.arrival_ref),),
            )
        with pytest.raises(TamperedError):
            open_attachment(parts, REGISTRAR, taken.case.ref, taken.arrival_ref, "1")


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
