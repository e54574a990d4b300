"""A mail as it came is shown as plain text, whatever its bytes are; what can't be taken apart says why."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.intake import outline as step
from vault.intake.headers import clean
from vault.intake.outline import outline, sketch
from vault.settings import Limits
from vault.testing.deskcases import HOSTILE_MAIL

LIMITS = Limits()


def test_headers_parts_and_words_are_told_apart() -> None:
    found = outline(HOSTILE_MAIL, LIMITS)

    assert dict(found.headers)["from"] == "Matti <b> Meikäläinen <matti@requester.example>"
    assert [(piece.depth, piece.type) for piece in found.pieces] == [
        (0, "multipart/mixed"),
        (1, "text/plain"),
        (1, "text/html"),
        (1, "application/pgp-encrypted"),
    ]
    assert found.pieces[1].words == "Päivää, ottod <img src=x onerror=alert(2)>"  # no bidirectional override
    assert found.pieces[2].words == "Seen by a browser"
    assert (found.pieces[3].name, found.pieces[3].words) == ('"><svg onload=alert(4)>.asc', "")
    assert found.source.startswith("From: =?utf-8?q?")
    assert found.trouble is None


@pytest.mark.parametrize(
    ("data", "limits", "trouble"),
    [
        (b"", LIMITS, "mail_empty"),
        (b"no mail at all", LIMITS, "mail_not_a_mail"),
        (HOSTILE_MAIL, LIMITS.model_copy(update={"parts": 2}), "mail_too_many_parts"),
        (b"Subject: x\r\n\r\n" + b"y" * 100, LIMITS.model_copy(update={"message_bytes": 50}), "mail_too_large"),
        (b"Subject: " + b"x" * 400_000, LIMITS, "mail_headers_too_large"),
    ],
    ids=["empty", "no-mail", "parts", "size", "headers"],
)
def test_what_can_not_be_taken_apart_says_why(data: bytes, limits: Limits, trouble: str) -> None:
    found = outline(data, limits)

    assert (found.trouble, found.pieces) == (trouble, ())
    assert found.source == clean(data[:20_000].decode())


def test_a_reader_that_ends_at_a_limit_leaves_the_first_bytes() -> None:
    found = outline(HOSTILE_MAIL, LIMITS.model_copy(update={"child_seconds": 0}))

    assert found.trouble == "child_timeout"
    assert "Subject: <script>" in found.source


def test_html_that_can_not_be_read_is_shown_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "_READING", 0.5)  # the parser would take minutes
    mail = b"Subject: x\r\nContent-Type: text/html\r\n\r\n" + b"<a " * 40_000

    found = outline(mail, LIMITS)

    assert (found.trouble, found.pieces[0].words[:9]) == (None, "<a <a <a ")


def test_headers_stand_also_where_the_parts_can_not_be_read() -> None:
    found = outline(HOSTILE_MAIL, LIMITS.model_copy(update={"parts": 2}))

    assert dict(found.headers)["subject"] == "<script>alert('subject')</script>"


def test_long_words_are_cut() -> None:
    mail = b"Subject: x\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(500)) + b"\r\n" + b"word " * 10_000

    found = outline(mail, LIMITS)

    assert (len(found.headers), len(found.pieces[0].words), found.pieces[0].size) == (200, 20_000, 50_000)


@given(st.binary(max_size=300))
def test_any_bytes_give_an_answer(body: bytes) -> None:
    order = json.dumps({"read": True, "size": 1000, "parts": 9, "depth": 9}).encode("ascii")

    said = json.loads(sketch(order + b"\nSubject: x\nContent-Type: text/html\n\n" + body))

    assert (said["headers"][0], said["trouble"]) == (["subject", "x"], None)
