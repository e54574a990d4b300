"""Whatever a stranger writes into headers and reports, a reply's reading of it ends with a value, in bounds."""

import base64
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vault.domain.case import REFERENCE
from vault.errors import UnreadableError
from vault.intake.autocrypt import autocrypt_key
from vault.intake.mime import parse
from vault.intake.reports import Report, ReportKind, item_named, read_report
from vault.settings import Controller, Settings, SmtpSettings
from vault.settings_mailbox import MailboxSettings
from vault.steps.replying import answerable

ITEM = "DSR-2026-7K3QXM-acknowledgement"
PIECES = [
    *("Action: failed\n", "Action:\n", "Status: 5.1.1\n", "Status: 9.9.9\n", "\n", "\n\n", "--b\n", "--b--\n"),
    *("Content-Type: message/delivery-status\n", "Content-Type: message/rfc822\n", "Content-Type: text/plain\n"),
    *(f"Message-ID: <{ITEM}@clinic.example>\n", "<DSR-2026-7K3QXM@>", "DSR-2026-7K3QXM", "\x00", "é", "<" * 50),
    *("Content-Transfer-Encoding: base64\n", "Content-Transfer-Encoding: quoted-printable\n", "=3D=0A"),
]
WORDS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=20)), max_size=30).map("".join)


def report_of(text: str) -> Report | None:
    head = 'From: a@b.example\nMIME-Version: 1.0\nContent-Type: multipart/report; boundary="b"\n\n--b\n'
    try:
        return read_report(parse((head + text).encode("utf-8", "replace")), "a@b.example")
    except UnreadableError:
        return None


@given(WORDS)
def test_a_report_of_any_words_is_read(text: str) -> None:
    report = report_of(text)
    assert report is None or (
        isinstance(report.kind, ReportKind)
        and len(report.items) <= 8
        and all(REFERENCE.match(item) and item.isascii() and len(item) <= 100 for item in report.items)
        and (not report.items or report.case_ref is not None)
    )


@given(st.lists(st.text(max_size=60), max_size=5))
def test_ids_of_any_words_name_an_item_or_none(ids: list[str]) -> None:
    assert item_named(tuple(ids)) is None
    assert item_named((*ids, f"<{ITEM}@clinic.example>")) == ITEM


@given(
    st.binary(min_size=1, max_size=300),
    st.lists(st.sampled_from(["_x=1; ", "prefer-encrypt=mutual; ", " ", "x=1; ", "addr=b@c.example; "]), max_size=4),
)
def test_an_autocrypt_header_gives_its_own_key_or_none(key: bytes, before: list[str]) -> None:
    extras = "".join(before)
    value = f"{extras}addr=a@b.example; keydata={base64.b64encode(key).decode()}"
    names = [piece.partition("=")[0].strip() for piece in value.split(";")]
    valid = len(set(names)) == len(names) and "x" not in names
    found = autocrypt_key(parse(f"From: a@b.example\nAutocrypt: {value}\n\nx".encode()), "a@b.example")
    assert found == (key if valid else None)


@given(st.text(max_size=300))
def test_an_autocrypt_header_of_any_words_ends(value: str) -> None:
    raw = f"From: a@b.example\nAutocrypt: {value}\n\nx".encode("utf-8", "replace")
    assert autocrypt_key(parse(raw), "a@b.example") is None


PARTS: dict[str, Any] = {
    "mailbox": MailboxSettings(kind="maildir", path=Path("/x"), address="requests@clinic.example"),
    "mailboxes": [],
    "smtp": SmtpSettings(host="127.0.0.1", port=25, sender="answers@clinic.example"),
    "controller": Controller(name="x", address=["x"], email="info@clinic.example", data_protection_officer="x"),
}


@given(st.from_regex(r"[a-z0-9.]{1,40}", fullmatch=True))
def test_a_persons_address_is_answered_and_a_robots_or_ours_is_not(name: str) -> None:
    settings = Settings.model_construct(**PARTS)
    assert answerable(settings, f"{name}.virtanen@example.fi")
    assert not any(
        answerable(settings, address)
        for address in (
            f"{name}-request@example.fi",
            f"owner-{name}@example.fi",
            f"noreply+{name}@example.fi",
            f"bounces-{name}@example.fi",
            "Answers@Clinic.Example",
            "INFO@clinic.example",
            "requests@clinic.example",
        )
    )
