"""Orders of events in which a message could be lost or doubled, or hold up those behind it: each stays one case."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from imapclient import IMAPClient

from vault.domain.case import Stage
from vault.errors import OutOfReachError, RefusedError, VaultError
from vault.intake.mailbox import Mailboxes, MaildirMailbox
from vault.intake.message import Mailbox, Message
from vault.settings import Settings
from vault.settings_mailbox import MailboxSettings
from vault.steps.doors import open_mailbox, open_mailboxes
from vault.testing.controller import ADDRESS
from vault.testing.installation import installed
from vault.testing.mailclinic import Clinic, request
from vault.testing.mailfaults import Disturbed, cannot_remove, lying_files, restore_numbers

SMALL = 20_000  # bytes; an example's limit of a mail


@pytest.fixture(scope="module")
def clinic() -> Iterator[Clinic]:
    with installed() as installation:
        yield Clinic(installation)


@pytest.fixture(autouse=True)
def _clean(clinic: Clinic) -> Iterator[None]:
    yield
    clinic.settle()


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("tmp", "new", "cur"):
        (tmp_path / "box" / name).mkdir(parents=True)
    return tmp_path / "box"


def limited(settings: Settings) -> Settings:
    return settings.model_copy(update={"limits": settings.limits.model_copy(update={"message_bytes": SMALL})})


def in_maildir(settings: Settings, path: Path, **more: Any) -> Settings:
    mailbox = MailboxSettings(kind="maildir", path=path, address=ADDRESS, **more)
    return settings.model_copy(update={"mailbox": mailbox})


def exceptions(clinic: Clinic) -> list[str]:
    return sorted(str(case.exception) for case in clinic.fresh())


def aside(clinic: Clinic) -> int:
    """Count what lies in the folder for messages that were not taken; it is made when it is needed."""
    with suppress(OutOfReachError):
        return clinic.left(folder="Aside", aside="Elsewhere")
    return 0


def files(maildir: Path) -> list[Path]:
    return [path for name in ("new", "cur") for path in (maildir / name).iterdir()]


def test_a_message_that_was_too_large_is_not_thrown_away_when_the_limit_is_raised(clinic: Clinic) -> None:
    """It was taken without its bytes, and its way aside was cut off; then an operator does what the board says."""
    clinic.server.deliver(request("x " * SMALL))
    small = limited(clinic.settings())
    with pytest.raises(OutOfReachError):
        clinic.receive(Disturbed(open_mailboxes(small), at_removal=cannot_remove), settings=small)
    clinic.receive()

    assert exceptions(clinic) == ["None", "mail_too_large"]
    assert clinic.left() == 0


def test_a_message_that_a_person_moves_back_is_read_under_the_new_limit(clinic: Clinic, maildir: Path) -> None:
    (maildir / "new" / "17.host").write_bytes(request("x " * SMALL))
    settings = in_maildir(clinic.settings(), maildir)
    clinic.receive(settings=limited(settings))
    (maildir / ".Aside" / "cur" / "17.host:2,").rename(maildir / "cur" / "17.host:2,")
    clinic.receive(settings=settings)

    assert exceptions(clinic) == ["None", "mail_too_large"]
    assert files(maildir) == []


def test_a_number_that_a_restored_server_gives_again_names_another_message(clinic: Clinic) -> None:
    for number in (1, 3, 3):
        clinic.post(number)
        clinic.receive()
        restore_numbers(clinic.server)

    assert [case.stage for case in clinic.fresh()] == [Stage.RECEIVED] * 7
    assert clinic.left() == 0


def test_a_file_name_that_comes_again_names_another_message(clinic: Clinic, maildir: Path) -> None:
    settings = in_maildir(clinic.settings(), maildir)
    for _ in range(3):
        (maildir / "new" / "request.eml").write_bytes(request())
        clinic.receive(settings=settings)

    assert [case.stage for case in clinic.fresh()] == [Stage.RECEIVED] * 3
    assert files(maildir) == []


def test_two_files_of_one_name_are_two_messages(clinic: Clinic, maildir: Path) -> None:
    """A name's flags come behind its colon; a person's copy can have the name of the one that was seen."""
    for name in ("new/17.host", "cur/17.host:2,S"):
        (maildir / name).write_bytes(request())
    for _ in range(2):
        clinic.receive(settings=in_maildir(clinic.settings(), maildir))

    assert [case.stage for case in clinic.fresh()] == [Stage.RECEIVED] * 2
    assert files(maildir) == []


def test_a_message_that_no_store_takes_holds_up_none_behind_it(clinic: Clinic) -> None:
    class Choosy:
        """An object store that refuses one message for good."""

        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def put(self, name: str, data: Any, *rest: Any) -> Any:
            if len(data) > SMALL:
                raise RefusedError("objects_refused", "the object store refuses this object; raise its limit")
            return self._inner.put(name, data, *rest)

    clinic.server.deliver(request("x " * SMALL))
    for round_ in range(5):
        clinic.post(1)
        with clinic.office() as parts:
            choosy = Choosy(parts.objects)
        with pytest.raises(VaultError, match="objects_refused"):
            clinic.receive(objects=choosy)
        assert (len(clinic.fresh()), clinic.left()) == (1, 1), round_
    clinic.receive()

    assert (len(clinic.fresh()), clinic.left()) == (1, 0)


def test_a_mailbox_that_lets_nothing_be_removed_keeps_no_other_one_full(clinic: Clinic, maildir: Path) -> None:
    for number in range(3):
        (maildir / "new" / f"{number}.host").write_bytes(request())
    clinic.post(3)

    class Both(Mailboxes):
        """A server without the right to expunge, and a Maildir."""

        def remove(self, *sources: str) -> None:
            if any(source.startswith("imap") for source in sources):
                cannot_remove(0)
            super().remove(*sources)

    stuck = open_mailbox(clinic.settings().mailbox)
    both = Both([stuck, MaildirMailbox(maildir, name="oulu")])
    for _ in range(2):
        with pytest.raises(OutOfReachError, match="mailbox_away"):
            clinic.receive(both)

    assert files(maildir) == []
    assert len(clinic.fresh()) == 6
    assert clinic.left() == 3


def test_a_message_that_the_server_can_not_give_holds_up_none_behind_it(clinic: Clinic) -> None:
    clinic.post(4)
    broken = lying_files(clinic.server)[1].name.partition(":")[0]

    def allow(mode: int) -> None:
        (file,) = (file for file in lying_files(clinic.server) if file.name.startswith(broken))
        file.chmod(mode)

    allow(0)
    try:
        with pytest.raises(OutOfReachError):
            clinic.receive()
        assert (len(clinic.fresh()), clinic.left()) == (3, 1)
    finally:
        allow(0o600)
    clinic.receive()
    assert (len(clinic.fresh()), clinic.left()) == (1, 0)


@pytest.mark.parametrize("given", [0, 100], ids=["nothing", "a start"])
def test_a_message_of_which_the_server_gives_less_than_it_says_stays(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, given: int
) -> None:
    clinic.post(1)
    fetch = IMAPClient.fetch

    def short(client: IMAPClient, uids: list[int], items: list[str]) -> Any:
        found = fetch(client, uids, items)
        return {uid: {**answer, b"BODY[]<0>": answer[b"BODY[]<0>"][:given]} for uid, answer in found.items()}

    with monkeypatch.context() as failing:
        failing.setattr(IMAPClient, "fetch", short)
        with suppress(VaultError):
            clinic.receive()
    kept = clinic.left() + aside(clinic)
    clinic.receive()

    assert kept == 1
    assert aside(clinic) or "None" in exceptions(clinic)


def test_a_file_that_can_not_be_read_holds_up_none_behind_it(
    clinic: Clinic, maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        (maildir / "new" / f"{number}.host").write_bytes(request())
    settings = in_maildir(clinic.settings(), maildir)
    read = Path.open

    def denied(path: Path, *rest: Any, **more: Any) -> Any:
        if path.name == "0.host":
            raise PermissionError
        return read(path, *rest, **more)

    with monkeypatch.context() as failing:
        failing.setattr(Path, "open", denied)
        with pytest.raises(VaultError, match="mailbox_message"):
            clinic.receive(settings=settings)
    assert (len(clinic.fresh()), [path.name for path in files(maildir)]) == (2, ["0.host"])
    clinic.receive(settings=settings)

    assert (len(clinic.fresh()), files(maildir)) == (1, [])


def test_a_maildir_that_lets_nothing_be_moved_doubles_nothing(clinic: Clinic, maildir: Path) -> None:
    """Something that is no folder lies where the folder should be made; a full disk fails in the same place."""
    for number in range(3):
        (maildir / "new" / f"{number}.host").write_bytes(request())
    settings = in_maildir(clinic.settings(), maildir, after_taking="move", move_to="Taken")
    (maildir / ".Taken").write_bytes(b"")
    for _ in range(2):
        with pytest.raises(VaultError, match="mailbox_move_failed"):
            clinic.receive(settings=settings)
    cases = clinic.fresh()
    assert (len(cases), len(files(maildir))) == (3, 3)
    (maildir / ".Taken").unlink()
    clinic.receive(settings=settings)

    assert (clinic.fresh(), files(maildir)) == ([], [])
    assert all(clinic.notices(case.ref) == {"acknowledgement": 1} for case in cases)


def test_copies_of_a_copy_belong_to_the_case_that_stands(clinic: Clinic) -> None:
    """The copy reached its server before the message that was read first: a third one must not follow the copy."""
    raw = request()
    with clinic.office() as parts:
        now = parts.now()
    for number in range(3):
        (message,) = _delivered(clinic, raw)
        clinic.receive(
            _One(replace(message, received_at=now.replace(hour=3 - number)), open_mailboxes(clinic.settings()))
        )
    cases = clinic.fresh()

    standing = [case.ref for case in cases if case.stage is Stage.RECEIVED]
    assert len(standing) == 1
    assert [case.merged_into for case in cases if case.stage is Stage.MERGED] == standing * 2


def _delivered(clinic: Clinic, raw: bytes) -> list[Message]:
    clinic.server.deliver(raw)
    return list(open_mailboxes(clinic.settings()).messages(9))


class _One(Disturbed):
    """A mailbox that hands out one message as it was fetched before."""

    def __init__(self, message: Message, inner: Mailbox) -> None:
        super().__init__(inner)
        self._message = message

    def messages(self, limit: int) -> Iterator[Message]:
        yield from [self._message][:limit]
