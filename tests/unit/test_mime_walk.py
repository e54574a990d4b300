"""The MIME walk: exact bytes, hard limits, harmless names."""

import time

import pytest

from vault.errors import UnreadableError
from vault.intake.headers import clean, date, decode_text, decode_words, file_name, mailbox, message_ids, parameters
from vault.intake.mime import MimeLimits, canonical, head, parse

MULTIPART = (
    b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=X\r\n\r\npreamble\r\n"
    b"--X\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"p=E4iv=E4=E4\r\n--X\r\n\r\nsecond\r\n\r\n--X--\r\nepilogue\r\n--X\r\n\r\nnot read\r\n"
)


def nested(depth: int) -> bytes:
    head = b"From: a@b.example\r\n"
    for level in range(depth):
        head += f'Content-Type: multipart/mixed; boundary="b{level}"\r\n\r\n--b{level}\r\n'.encode()
    return head + b"\r\ntext"


def test_parts_are_exact_slices_and_what_is_outside_is_not_read() -> None:
    root = parse(MULTIPART)

    first, second = root.parts
    assert first.text == "päivää"
    assert second.raw == b"\r\nsecond\r\n"
    assert second.content == b"second\r\n"
    assert root.source[first.start : first.stop] == first.raw


def test_a_boundary_that_begins_another_does_not_end_it() -> None:
    data = b"From: a@b.example\nContent-Type: multipart/mixed; boundary=X\n\n--X\n\none --X\n--XY\ntwo\n--X--\n"

    (only,) = parse(data).parts

    assert only.content == b"one --X\n--XY\ntwo"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "mail_empty"),
        (b" \r\n\t", "mail_empty"),
        (b"From: a@b.example\r\n\r\n" + b"x" * 2000, "mail_too_large"),
        (b"just some words", "mail_not_a_mail"),
        (b"\x89PNG\r\n\x1a\n\x00", "mail_not_a_mail"),
        (b"hello: world\r\n\r\ntext", "mail_not_a_mail"),
        (b"From: a@b.example\r\nX: " + b"y" * 700 + b"\r\n\r\n", "mail_headers_too_large"),
        (nested(4), "mail_too_deep"),
        (
            b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=X\r\n\r\n" + b"--X\r\n\r\n" * 12,
            "mail_too_many_parts",
        ),
        (b"From: a@b.example\r\nContent-Type: multipart/mixed\r\n\r\ntext", "mail_without_parts"),
        (b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=X\r\n\r\ntext", "mail_without_parts"),
    ],
)
def test_every_limit_has_its_code(data: bytes, code: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        parse(data, MimeLimits(size=1500, parts=10, depth=3, headers=600))

    assert caught.value.code == code


def test_a_deep_mail_within_the_limit_is_read() -> None:
    assert [part.content for part in parse(nested(3), MimeLimits(depth=3)).leaves()] == [b"text"]


def test_no_setting_lets_the_walk_exhaust_the_stack() -> None:
    with pytest.raises(UnreadableError, match="mail_too_deep"):
        parse(nested(5000), MimeLimits(depth=10_000, parts=10_000, headers=10_000_000))


def test_one_long_line_of_boundaries_costs_no_square() -> None:
    data = b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=X\r\n\r\n--X\r\n\r\n" + b"--X " * 2_000_000

    assert len(parse(data).parts) == 1


def test_folded_headers_are_joined_and_the_mailbox_line_is_skipped() -> None:
    root = parse(b"From MAILER Mon Jan 1\nFrom: a@b.example\nSubject: one\n two\n\tthree\n\nbody")

    assert root.header("subject") == "one two\tthree"
    assert root.body == b"body"


@pytest.mark.parametrize(
    ("encoding", "body", "content"),
    [
        ("base64", b"cMOkaXbDpA==", "päivä".encode()),
        ("BASE64", b"cMO\r\nkaXb*DpA", "päivä".encode()),
        ("base64", b"A", b"A"),
        ("quoted-printable", b"p=C3=A4iv=\r\n=C3=A4", "päivä".encode()),
        ("8bit", b"p\xc3\xa4iv\xc3\xa4", "päivä".encode()),
        ("x-uuencode", b"begin", b"begin"),
    ],
)
def test_transfer_encodings(encoding: str, body: bytes, content: bytes) -> None:
    part = parse(b"From: a@b.example\r\nContent-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + body)

    assert part.content == content


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ('attachment; filename="a b.pdf"', "a b.pdf"),
        ("attachment; filename=report.pdf; filename=other.exe", "report.pdf"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\temp\\\\x.doc"', "x.doc"),
        ('attachment; filename="a\\"b.txt"', 'a"b.txt'),
        ("attachment; filename*=utf-8''%C3%A4iti.pdf", "äiti.pdf"),
        ("attachment; filename*0*=utf-8''%C3%A4; filename*1=\"b.pdf\"", "äb.pdf"),
        ("attachment; filename*=x; filename*0=y; filename*1=z", "xz"),
        ("attachment; filename==?utf-8?B?w6RpdGkucGRm?=", "äiti.pdf"),
        ('attachment; filename="a\u202efdp.exe"', "afdp.exe"),
        ('attachment; filename="' + "n" * 300 + '.pdf"', "n" * 180 + "n" * 16 + ".pdf"),
        ('attachment; filename="..."', ""),
        ("attachment", ""),
    ],
)
def test_file_names_are_harmless(value: str, name: str) -> None:
    data = b"From: a@b.example\r\nContent-Disposition: " + value.encode() + b"\r\n\r\nx"

    assert parse(data).name == name


def test_the_first_of_two_parameters_counts() -> None:
    assert parameters('Text/HTML; Charset="utf-8"; charset=latin1') == ("text/html", {"charset": "utf-8"})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("=?utf-8?Q?P=C3=A4iv=C3=A4?=", "Päivä"),
        ("=?utf-8?B?w6Q=?= =?utf-8?B?w6Q=?=", "ää"),
        ("=?iso-8859-1?Q?=E4?= ja =?x-none?Q?=E4?=", "ä ja =?x-none?Q?=E4?="),
        ("=?punycode?Q?xn--4ca?=", "=?punycode?Q?xn--4ca?="),
        ("p\xc3\xa4iv\xc3\xa4", "päivä"),
        ("a\x00b\x1b[31m\u202ec", "ab[31mc"),
        ("=?utf-8?B?A?=", "=?utf-8?B?A?="),
    ],
)
def test_encoded_words(value: str, words: str) -> None:
    assert decode_words(value) == words


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("aino@Example.FI", "aino@example.fi"),
        ("Aino Virtanen <aino.virtanen@example.fi>", "aino.virtanen@example.fi"),
        ('"Virtanen, Aino" <aino@example.fi> (koti)', "aino@example.fi"),
        ("Virtanen, Aino <aino@example.fi>", "aino@example.fi"),
        ("=?utf-8?Q?=C3=84iti?= <aino@example.fi>", "aino@example.fi"),
        ('"boss@clinic.example" <aino@example.fi>', "aino@example.fi"),
        ("boss@clinic.example <aino@example.fi>", None),
        ("a@b.example, c@d.example", None),
        ("a@b.example)c@d.example", None),
        ("Group: a@b.example;", None),
        ("a@b..example", None),
        ("<a@b.example> <c@d.example>", None),
        ("a@b.example\r\nBcc: c@d.example", None),
        ("äiti@example.fi", None),
        ("<>", None),
        ("", None),
        (None, None),
    ],
)
def test_only_one_clear_address_is_taken(value: str | None, address: str | None) -> None:
    assert mailbox(value) == address


def test_message_ids_are_picked_and_capped() -> None:
    assert message_ids("<a@b> junk <c d@e> <f@g>") == ("<a@b>", "<f@g>")
    assert len(message_ids(" ".join(f"<{n}@x>" for n in range(100)))) == 20
    assert message_ids(None) == ()


@pytest.mark.parametrize("value", [None, "", "yesterday", "Mon, 99 Foo 2026 99:99:99 +9999", "1" * 90, "-,", "0 0 0"])
def test_no_date_is_no_error(value: str | None) -> None:
    assert date(value) is None


def test_a_date_is_an_instant() -> None:
    when = date("Sat, 21 Nov 2026 23:30:00 +0200")
    assert when is not None
    assert when.isoformat() == "2026-11-21T21:30:00+00:00"


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        (b"\xe4", "iso-8859-1", "ä"),
        (b"\x80", "iso-8859-1", "€"),  # what mail programs mean by it
        (b"\xe4", None, "ä"),
        (b"\xc3\xa4", "no-such", "ä"),
        (b"\xff", "utf-8", "\ufffd"),
        (b"xn--4ca", "punycode", "xn--4ca"),
        (b"a", "\x00", "a"),
    ],
)
def test_text_is_always_decoded(data: bytes, charset: str | None, text: str) -> None:
    assert decode_text(data, charset) == text


def test_cleaning_and_canonical_line_ends() -> None:
    assert clean("a\r\nb\rc\x00\x9b\u2066d\te") == "a\nb\ncd\te"
    assert canonical(b"a\nb\r\nc") == b"a\r\nb\r\nc"
    assert file_name("/") == ""


@pytest.mark.parametrize(
    "value", [" " * 1000 + "<", "x" + " " * 900 + "y <", "a " * 500 + "<", '"' + "\\a" * 500, "a@" + "b-" * 200]
)
def test_no_sender_costs_its_cube(value: str) -> None:
    begin = time.process_time()

    assert mailbox(value) is None
    assert time.process_time() - begin < 0.1


def test_the_headers_of_a_broken_mail_are_read_all_the_same() -> None:
    data = b"From: a@b.example\r\nContent-Type: multipart/mixed\r\n\r\ntext"

    assert head(data).header("from") == "a@b.example"
    with pytest.raises(UnreadableError, match="mail_without_parts"):
        parse(data)
    with pytest.raises(UnreadableError, match="mail_headers_too_large"):
        head(b"a:\n" * 20, MimeLimits(fields=10))
