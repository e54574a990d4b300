"""By what a message at the door is known: its place, else its bytes under another numbering, unless it was removed."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from vault.domain.case import Case, Channel, Stage
from vault.storage import mailroom
from vault.storage.arrivals import Arrival, add_arrivals
from vault.storage.cases import open_cases
from vault.storage.database import Connection, Database
from vault.storage.mailroom import SAME_BYTES, MailIdentity, taken_before
from vault.testing.accesslog import log_database

BEGUN = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
CASE = Case("DSR-2026-000000", Channel.MAIL, BEGUN, Stage.RECEIVED, 1, "fi", None)
SECOND = timedelta(seconds=1)


def mark(word: str) -> bytes:
    return sha256(word.encode()).digest()


def lying(numbering: str, content: str = "words", mailbox: str = "inbox") -> MailIdentity:
    return MailIdentity(mark(mailbox), mark(numbering), None, mark(content))


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with log_database("dsr_taken_before") as database:
        with database.connect() as connection:
            open_cases(connection, [CASE], actor="office:intake", at=BEGUN)
        yield database


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connect() as connection:
        connection.execute("delete from mail_identities")
        connection.execute("delete from arrivals")
        yield connection


def take(connection: Connection, ref: str, identity: MailIdentity | None, at: datetime = BEGUN) -> bytes:
    """Record a message as taken in; return the mark of its place."""
    add_arrivals(connection, [Arrival(ref, Channel.MAIL, mark(ref), mark("digest"), at, CASE.ref, "request")])
    if identity is not None:
        mailroom.add_identities(connection, {ref: identity}, at)
    return mark(ref)


def known(connection: Connection, places: Mapping[bytes, MailIdentity | None]) -> dict[bytes, str]:
    return {place: arrival.ref for place, arrival in taken_before(connection, places, BEGUN + 10 * SECOND).items()}


def test_a_place_that_is_recorded_is_known_with_or_without_an_identity(connection: Connection) -> None:
    mail, letter = take(connection, "a", lying("one")), take(connection, "b", None)
    assert known(connection, {mail: lying("one"), letter: None}) == {mail: "a", letter: "b"}
    assert known(connection, {mark("elsewhere"): None}) == {}


@pytest.mark.parametrize(
    ("now", "same"),
    [
        (lying("two"), True),
        (lying("one"), False),  # another copy
        (lying("two", content="other words"), False),
        (lying("two", mailbox="oulu"), False),
    ],
    ids=["numbered anew", "same numbering", "other bytes", "other mailbox"],
)
def test_bytes_name_a_message_under_another_numbering_of_its_mailbox_alone(
    connection: Connection, now: MailIdentity, same: bool
) -> None:
    take(connection, "a", lying("one"))
    assert known(connection, {mark("new place"): now}) == ({mark("new place"): "a"} if same else {})


@pytest.mark.parametrize(("after", "same"), [(9, False), (10, True), (11, True)])
def test_what_was_removed_before_this_look_was_another_copy(connection: Connection, after: int, same: bool) -> None:
    take(connection, "a", lying("one"))
    mailroom.removed(connection, ["a"], BEGUN + after * SECOND)
    assert bool(known(connection, {mark("new place"): lying("two")})) is same


def test_the_place_says_more_than_the_bytes(connection: Connection) -> None:
    """Both stand: what lies here was taken from here, whatever else has the same bytes."""
    take(connection, "a", lying("one"))
    here = take(connection, "b", lying("two"), BEGUN + SECOND)
    assert known(connection, {here: lying("two"), mark("new place"): lying("three")}) == {
        here: "b",
        mark("new place"): "a",
    }


def test_each_of_several_copies_is_the_first_that_was_recorded(connection: Connection) -> None:
    take(connection, "late", lying("one"), BEGUN + SECOND)
    take(connection, "early", lying("two"))
    places = {mark(name): replace(lying(name), message_id=mark("id")) for name in ("three", "four")}
    assert set(known(connection, places).values()) == {"early"}


def test_a_message_is_looked_up_by_an_index_however_many_there_are(connection: Connection) -> None:
    connection.execute("set local enable_seqscan = off")
    plan = connection.execute(f"explain {SAME_BYTES}", ([mark("words")], BEGUN)).fetchall()
    assert any("mail_identities_by_content" in str(row[0]) for row in plan), plan
