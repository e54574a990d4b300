"""A source is one message's in one mailbox: no other mailbox owns it, and no other spelling is taken for it."""

from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from vault.errors import RefusedError
from vault.intake.imap import ImapMailbox
from vault.intake.maildir import MaildirMailbox
from vault.intake.message import header_of
from vault.settings_mailbox import MailboxSettings

NAMES = st.from_regex(r"[a-z0-9-]{0,6}", fullmatch=True)
FOLDERS = st.text(st.characters(exclude_characters="|", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
PLACES = st.tuples(NAMES, FOLDERS.filter(lambda folder: folder.upper() != "BESIDE"))
NUMBERS = st.integers(min_value=0, max_value=2**32 - 1)
UNIQUES = st.text(st.characters(exclude_characters="/:\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


def imap(name: str, folder: str) -> ImapMailbox:
    return ImapMailbox(MailboxSettings(kind="imap", name=name, folder=folder, aside="Beside", address="a@b"), "")


@given(PLACES, PLACES, NUMBERS, NUMBERS)
@example(("", "a"), ("a", "1"), 1, 1)
@example(("a", "a"), ("", "a"), 1, 1)
def test_a_source_belongs_to_one_folder(
    place: tuple[str, str], other_place: tuple[str, str], validity: int, uid: int
) -> None:
    assume(place != other_place)
    mailbox, other = imap(*place), imap(*other_place)

    source = mailbox._source(validity, uid)

    assert mailbox.owns(source)
    assert mailbox._parsed([source]) == {validity: [uid]}
    assert not other.owns(source)
    assert not any(mailbox.owns(near) for near in (source + "|1", source + " ", "imap|" + source, f"{source}\n"))


@given(st.text(max_size=30) | st.from_regex(r"imap(\|INBOX)?(\|[0-9+ _١]{0,3}){0,4}", fullmatch=True))
@example("imap|INBOX|01|1")
@example("imap|INBOX|١|1")
@example("imap|INBOX|1_0|1")
def test_what_is_parsed_is_written_the_same(source: str) -> None:
    mailbox = imap("", "INBOX")

    if mailbox.owns(source):
        ((found, uids),) = mailbox._parsed([source]).items()
        assert [mailbox._source(found, uid) for uid in uids] == [source]
    else:
        with pytest.raises(RefusedError, match="mailbox_source"):
            mailbox._parsed([source])


@given(NAMES, NAMES, UNIQUES)
@example("", "a", "a")
def test_a_file_belongs_to_one_maildir(name: str, other: str, unique: str) -> None:
    assume(name != other)
    prefix = f"maildir|{name}/" if name else "maildir|"

    assert MaildirMailbox(Path("/absent"), name=name).owns(prefix + unique)
    assert not MaildirMailbox(Path("/absent"), name=other).owns(prefix + unique)


@given(st.lists(st.sampled_from([b"a: b", b"\r\n", b"\n", b"\r", b" c", b"\r\n\r\n", b"\n\n", b"body"])))
def test_a_header_ends_at_its_first_empty_line(parts: list[bytes]) -> None:
    data = b"".join(parts)

    header = header_of(data)

    assert data.startswith(header)
    inner = header[:-1] if header != data or header.endswith((b"\n\n", b"\r\n\r\n")) else header
    assert b"\n\n" not in inner
    assert b"\r\n\r\n" not in inner
    assert header == data or header.endswith((b"\n\n", b"\r\n\r\n"))
