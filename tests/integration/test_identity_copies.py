"""Each attachment has its own sealed place; a picture of an identity document is destroyed when identity is decided."""

from collections.abc import Iterator

import pytest

from vault.domain.case import Event, Stage
from vault.domain.roles import Purpose
from vault.errors import KeyMissingError, OutOfReachError, RefusedError
from vault.steps import check
from vault.steps.attachments import attachment_key, attachment_owner, with_signature
from vault.steps.casefile import CaseFile, arrival_owner, original_key
from vault.steps.keep import keep, purge_case
from vault.steps.original import open_mail_original
from vault.steps.receive import PARTICULARS
from vault.storage.cases import events, get_case, held
from vault.storage.objects import Objects
from vault.testing.mails import File, pgp_mime_mail, plain_mail
from vault.testing.mailtexts import request_text
from vault.testing.road import REGISTRAR, Road, run_on, travelled

PICTURE = b"\xff\xd8\xff\xe0 a picture of Mallikuva's passport"
PASSPORT = File("passport.jpg", "image/jpeg", PICTURE)
NOTES = File("referral.txt", "text/plain", "lähete".encode())


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    with travelled() as road:
        yield road


def bring(road: Road, role: str, *files: File) -> str:
    """Take in a request with files; return its case."""
    known = road.refs()
    patient = road.cast.patient(role)
    letter = road.cast.letter(role, request_text(patient.language, patient.name, patient.code), files=files)
    road.drop(pgp_mime_mail(letter, road.cast.homes[role], road.ours))
    road.run("receive-mail")
    (ref,) = road.refs() - known
    return ref


def arrivals_of(road: Road, ref: str) -> list[str]:
    """Return a case's arrivals, the request first: a mailbox tells seconds, and two may share one."""
    with road.installation.owner() as connection:
        rows = connection.execute("select ref from arrivals where case_ref = %s order by role <> 'request'", (ref,))
        return [str(row[0]) for row in rows.fetchall()]


def objects_of(road: Road, arrival: str) -> set[str]:
    with road.installation.office("intake") as parts:
        return {name for place in ("arrival", "identity") for name in parts.objects.list(f"{place}/{arrival}/")}


def owners_of(road: Road, arrival: str) -> set[str]:
    with road.installation.owner() as connection:
        pattern = f"arrival:{arrival}%"
        return {
            str(row[0]) for row in connection.execute("select owner from sealed_keys where owner like %s", (pattern,))
        }


def told_of(road: Road, ref: str) -> list[dict[str, str]]:
    """Return what the case's events say about copies destroyed."""
    with road.installation.office("operator") as parts, parts.database.connect() as connection:
        return [event.detail for event in events(connection, ref) if event.event is Event.COPIES_DESTROYED]


def mails_at_the_desk(road: Road, ref: str) -> list[tuple[str, str]]:
    with road.installation.office("desk") as parts:
        mails: list[tuple[str, str]] = check.open_particulars(parts, REGISTRAR, ref)[1]["mails"]
    return mails


def tidy(road: Road) -> int:
    with road.installation.office("keeper") as parts:
        return keep(parts)["identity_copies"]


def test_each_attachment_lies_sealed_in_a_place_of_its_own(road: Road) -> None:
    ref = bring(road, "bound", NOTES, PASSPORT)
    (arrival,) = arrivals_of(road, ref)

    with road.installation.office("desk") as parts:
        file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, staff=REGISTRAR)
        said = file.get(PARTICULARS) or {}
        name, owner = attachment_key(arrival, "1"), attachment_owner(arrival, "1")
        content = file.get_sealed(owner, name)
        sealed = parts.objects.get(attachment_key(arrival, "2", "identity"))

    described = [(words["name"], words["place"], words.get("delete_after")) for words in said["attachments"]]
    assert described[:2] == [("referral.txt", "1", None), ("passport.jpg", "2", "identity")]
    assert [place for _, place, _ in described] == ["1", "2", "3"]  # the last is her key
    assert content == NOTES.data
    assert PICTURE not in sealed
    assert objects_of(road, arrival) == {
        f"arrival/{arrival}/original",
        f"arrival/{arrival}/attachment-1",
        f"arrival/{arrival}/attachment-3",
        f"identity/{arrival}/2",
        f"identity/{arrival}/signed",  # the signed words hold the picture too
    }
    assert said["signature"] is None
    assert said["signed"] is None


def test_a_copy_is_destroyed_when_identity_is_decided_and_nothing_else(road: Road) -> None:
    ref = bring(road, "bound_sv", NOTES, PASSPORT)
    (arrival,) = arrivals_of(road, ref)
    tidy(road)
    assert f"identity/{arrival}/2" in objects_of(road, arrival)  # nobody has decided yet

    assert mails_at_the_desk(road, ref) == [(arrival, "request")]
    run_on(road.home, "identify", ref)
    assert road.at(ref).stage is Stage.IDENTIFIED  # by the bound key, whose signature lay beside the copy
    assert tidy(road) >= 2

    assert told_of(road, ref) == [{"arrival": arrival, "copies": "1"}]
    assert objects_of(road, arrival) == {attachment_key(arrival, place) for place in "13"}
    assert owners_of(road, arrival) == {attachment_owner(arrival, place) for place in "13"}
    assert tidy(road) == 0
    assert len(told_of(road, ref)) == 1
    assert mails_at_the_desk(road, ref) == []
    with (
        road.installation.office("desk") as parts,
        pytest.raises(RefusedError, match="destroyed when identity was decided"),
    ):
        open_mail_original(parts, REGISTRAR, ref, arrival)
    with road.installation.office("desk") as parts:
        file = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, staff=REGISTRAR)
        assert file.get_sealed(attachment_owner(arrival, "1"), attachment_key(arrival, "1")) == NOTES.data
        with pytest.raises(KeyMissingError):
            with_signature(file, file.get(PARTICULARS) or {})


def test_a_kill_between_keys_and_bytes_is_mended_by_the_next_run(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = bring(road, "bound_en", PASSPORT)
    (arrival,) = arrivals_of(road, ref)
    run_on(road.home, "identify", ref)

    def away(_objects: Objects, _key: str) -> None:
        raise OutOfReachError("objects_away", "try again")

    with monkeypatch.context() as broken:
        broken.setattr(Objects, "delete", away)
        with pytest.raises(OutOfReachError):
            tidy(road)
    assert owners_of(road, arrival) == {attachment_owner(arrival, "2")}  # her key file's: nothing opens it any more
    assert original_key(arrival) in objects_of(road, arrival)
    assert len(told_of(road, ref)) == 1

    assert tidy(road) >= 2
    assert objects_of(road, arrival) == {attachment_key(arrival, "2")}
    assert len(told_of(road, ref)) == 1


def test_a_case_that_somebody_holds_is_left_for_the_next_run(road: Road) -> None:
    ref = bring(road, "asked", PASSPORT)
    (arrival,) = arrivals_of(road, ref)
    with road.installation.office("desk") as parts:
        check.close_as(parts, REGISTRAR, ref, Event.CALLED_OFF, "She called it off.")

    with road.installation.office("collector") as parts, held(parts.database, ref) as mine:
        assert mine
        tidy(road)
        assert f"identity/{arrival}/1" in objects_of(road, arrival)
    tidy(road)

    assert told_of(road, ref) == [{"arrival": arrival, "copies": "1"}]
    assert f"identity/{arrival}/1" not in objects_of(road, arrival)


def test_the_copy_in_a_reply_goes_too_and_its_words_stay(road: Road) -> None:
    ref = bring(road, "code")
    with road.installation.office("desk") as parts:
        check.ask(parts, REGISTRAR, ref, "Who are you?")
    letter = road.cast.letter(
        "code", f"Tässä passini kuva, asia {ref}.", files=(File("IMG_1.jpg", "image/jpeg", PICTURE),)
    )
    road.drop(plain_mail(letter))
    road.run("receive-mail")
    _, reply = arrivals_of(road, ref)
    assert objects_of(road, reply) == {original_key(reply), f"identity/{reply}/1"}

    with road.installation.office("desk") as parts:
        check.close_as(parts, REGISTRAR, ref, Event.CALLED_OFF, "She called it off.")
    assert tidy(road) >= 1

    assert objects_of(road, reply) == set()
    assert owners_of(road, reply) == {arrival_owner(reply)}
    with road.installation.office("desk") as parts:
        said = CaseFile.open(parts, ref, Purpose.CASE_HANDLING, staff=REGISTRAR).get_reply(reply)
    assert said["attachments"][0]["delete_after"] == "identity"


def test_purging_a_case_destroys_its_attachments(road: Road) -> None:
    ref = bring(road, "inline", NOTES, PASSPORT)
    (arrival,) = arrivals_of(road, ref)
    with road.installation.office("desk") as parts:
        check.close_as(parts, REGISTRAR, ref, Event.CALLED_OFF, "Called off.")
    with road.installation.office("keeper") as parts, parts.database.connect() as connection:
        case = get_case(connection, ref)
    with road.installation.office("keeper") as parts:
        purge_case(parts, case)

    assert objects_of(road, arrival) == set()
    assert owners_of(road, arrival) == set()
