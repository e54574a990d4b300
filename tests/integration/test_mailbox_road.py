"""The road from several mailboxes: each message is one case, and lies afterwards where the settings want it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vault.domain.case import Case, Stage
from vault.errors import OutOfReachError
from vault.office import open_office
from vault.settings import Settings
from vault.settings_mailbox import MailboxSettings
from vault.steps.doors import open_mailbox, waiting_at
from vault.steps.queue import board
from vault.steps.receive_mail import receive_mail
from vault.testing import dovecot
from vault.testing.controller import ADDRESS
from vault.testing.installation import Installation, installed
from vault.testing.mails import Letter, plain_mail
from vault.testing.mailtexts import request_text
from vault.testing.ports import free_port

LARGEST = 100_000


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with installed() as running:
        yield running


def request(number: int, size: int = 0) -> bytes:
    text = request_text("fi", "Tuntematon Kysyjä", None) + "\n" + "x\n" * (size // 2)
    return plain_mail(Letter("Kysyjä", f"asks{number}@requester.example", ADDRESS, text))


@pytest.fixture
def settings(installation: Installation, tmp_path: Path) -> Settings:
    """A Dovecot that is moved from, a Maildir that is emptied, and a server that is away."""
    for name in ("tmp", "new", "cur"):
        (tmp_path / "oulu" / name).mkdir(parents=True)
    known = installation.settings()
    inbox = open_mailbox(known.mailbox)
    for message in inbox.messages(100):
        inbox.remove(message.source)
    first = known.mailbox.model_dump() | {"after_taking": "move", "move_to": "Taken"}
    away = known.mailbox.model_dump() | {"name": "away", "port": free_port()}
    return known.model_copy(
        update={
            "limits": known.limits.model_copy(update={"message_bytes": LARGEST}),
            "mailbox": MailboxSettings.model_validate(first),
            "mailboxes": [
                MailboxSettings.model_validate(away),
                MailboxSettings(kind="maildir", name="oulu", path=tmp_path / "oulu", address=ADDRESS),
            ],
        }
    )


def cases(installation: Installation) -> list[Case]:
    with installation.office("operator") as parts:
        return [row.case for row in board(parts)]


def test_every_mailbox_is_taken_from_and_the_one_away_is_told(
    installation: Installation, settings: Settings, tmp_path: Path
) -> None:
    server = dovecot.start(installation.home / "mailbox")
    for number in range(2):
        server.deliver(request(number))
    for number, size in ((2, 0), (3, 2 * LARGEST)):
        (tmp_path / "oulu" / "new" / f"17{number}.host").write_bytes(request(number, size))

    for _ in range(2):  # the second round finds nothing
        with open_office("intake", settings) as parts, pytest.raises(OutOfReachError, match=r"mailbox_away.*\[away\]"):
            receive_mail(parts)

    made = cases(installation)
    assert {case.stage for case in made} == {Stage.RECEIVED}
    assert sorted(str(case.exception) for case in made) == ["None", "None", "None", "mail_too_large"]
    moved = open_mailbox(settings.mailbox.model_copy(update={"folder": "Taken"}))
    assert (open_mailbox(settings.mailbox).count(), moved.count()) == (0, 2)
    left = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.host*")]
    assert left == ["oulu/.Aside/cur/173.host:2,"]


def test_what_waits_at_all_mailboxes_is_counted(
    installation: Installation, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = settings.model_copy(update={"mailboxes": settings.mailboxes[1:]})
    monkeypatch.setattr("vault.steps.doors.load", lambda: there)
    dovecot.start(installation.home / "mailbox").deliver(request(4))
    (tmp_path / "oulu" / "new" / "170.host").write_bytes(request(5))

    assert waiting_at("mailbox") == 2

    monkeypatch.setattr("vault.steps.doors.load", lambda: settings)
    assert waiting_at("mailbox") == 0  # one is away: the scheduled run reports it
