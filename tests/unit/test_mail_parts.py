"""The small readers under mail opening: status lines, armour, HTML, machine mail, programs with limits."""

import time
from pathlib import Path

import pytest

from vault.errors import UnreadableError, WrongUseError
from vault.intake.armour import armour_blocks, starts_armour
from vault.intake.cms import content_kind
from vault.intake.contents import public_keys, read_contents
from vault.intake.gpgstatus import judge, parse_statuses, primary_fingerprint, uid_addresses
from vault.intake.html import html_text, strip
from vault.intake.mail import MailTools, open_mail
from vault.intake.mailheaders import read_headers
from vault.intake.mime import parse
from vault.intake.opened import Outcome, ProofKind
from vault.intake.sandbox import ChildLimits
from vault.intake.tool import STATUS, run_tool

ONE, TWO = "A" * 40, "B" * 40
GOOD = f"[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG {ONE[:16]} Aino\n[GNUPG:] VALIDSIG {ONE} d 1 0 4 0 22 10 00 {TWO}\n"
UNKNOWN = f"[GNUPG:] NEWSIG\n[GNUPG:] ERRSIG {ONE[:16]} 22 10 00 1 9 {ONE}\n[GNUPG:] NO_PUBKEY {ONE[:16]}\n"


@pytest.mark.parametrize(
    ("status", "kind", "fingerprint"),
    [
        ("", ProofKind.NONE, None),
        (GOOD, ProofKind.VALID, TWO),
        (UNKNOWN, ProofKind.UNKNOWN_KEY, ONE),
        (UNKNOWN.replace(f" 9 {ONE}", " 9"), ProofKind.UNKNOWN_KEY, ONE[:16]),
        (UNKNOWN.replace(" 9 ", " 4 "), ProofKind.INVALID, ONE),
        (GOOD + UNKNOWN, ProofKind.VALID, TWO),
        (GOOD + f"[GNUPG:] NEWSIG\n[GNUPG:] BADSIG {ONE[:16]} Aino\n", ProofKind.INVALID, None),
        (GOOD.replace("GOODSIG", "EXPKEYSIG"), ProofKind.INVALID, TWO),
        (GOOD.replace("GOODSIG", "REVKEYSIG"), ProofKind.INVALID, TWO),
        (GOOD.replace("GOODSIG", "EXPSIG"), ProofKind.INVALID, TWO),
        (GOOD.replace(" 10 00 ", " 2 00 "), ProofKind.INVALID, TWO),  # SHA-1
        (GOOD.replace(" 10 00 ", " 10 13 "), ProofKind.INVALID, TWO),  # it certifies a key, not a text
        ("[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG x y\n", ProofKind.INVALID, None),
        ("[GNUPG:] NEWSIG\n", ProofKind.INVALID, None),
        (GOOD.removeprefix("[GNUPG:] NEWSIG\n"), ProofKind.NONE, None),
        (f"gpg: \x85{GOOD}".replace("\n", " "), ProofKind.NONE, None),
        (GOOD.replace("Aino", f"x\x85[GNUPG:] VALIDSIG {ONE} d 1 0 4 0 22 10 00 {ONE}"), ProofKind.VALID, TWO),
        (GOOD.replace(TWO, "no key"), ProofKind.INVALID, None),
    ],
)
def test_signatures_are_judged_by_whole_status_lines(status: str, kind: ProofKind, fingerprint: str | None) -> None:
    assert judge(parse_statuses(status.encode("latin-1")))[:2] == (kind, fingerprint)


def test_only_living_user_ids_speak() -> None:
    rows = [
        "tru::1:::",
        "pub:u:::::::::",
        f"fpr:::::::::{ONE}:",
        "uid:u::::1::H::Aino Virtanen <Aino@Example.fi>::",
        "uid:r::::1::H::Old <old@example.fi>::",
        "uid:e::::1::H::Gone <gone@example.fi>::",
        "uid:u::::1::H::bare@example.fi::",
        "uid:u::::1::H::Two <first@example.fi> <second@example.fi>::",
        "uid:u::::1::H::Colon <a\\x3ab@example.fi>::",
        "uid:u",
        "",
    ]

    found = uid_addresses("\n".join(rows).encode())

    assert found == {"aino@example.fi", "bare@example.fi", "second@example.fi", "a:b@example.fi"}


def test_a_listing_of_several_keys_names_none() -> None:
    row = f"pub:u:::::::::\nfpr:::::::::{ONE}:\n"

    assert primary_fingerprint(row.encode()) == ONE
    assert primary_fingerprint((row + row.replace(ONE, TWO)).encode()) is None
    assert primary_fingerprint(b"pub:u") is None
    assert primary_fingerprint(b"") is None


def test_armour_is_found_at_line_starts_only() -> None:
    block = b"-----BEGIN PGP MESSAGE-----\nx\n-----END PGP MESSAGE-----"
    data = b"a " + block + b"\n" + block + b"\r\n> " + block + b"\n" + block

    assert list(armour_blocks(data, b"PGP MESSAGE")) == [block + b"\n"] * 2
    assert not starts_armour(b"x -----BEGIN PGP MESSAGE-----", b"PGP MESSAGE")


def test_armour_that_is_never_closed_costs_no_square() -> None:
    start = time.monotonic()
    assert list(armour_blocks(b"-----BEGIN PGP MESSAGE-----\n" * 1_000_000, b"PGP MESSAGE")) == []
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hei</p><p>tiedot &amp; loki&nbsp;nyt</p>", "Hei\ntiedot & loki nyt"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<style>x</style><title>t</title>b<script>alert(1)</script>", "b"),
        ("<div>a <b>b</b>\nc</div>", "a b c"),
        ("<script>never closed", ""),
        ("a<![if !vml]>b<![endif]><![x[ c ]]>d<![CDATA[e]]>f<![", "abdf<!["),
        ("</style>x<svg><text>no</text></svg>y", "xy"),
        ("<img src=http://evil.example/x onerror=y>", ""),
        ("a < b", "a < b"),
        ("", ""),
    ],
)
def test_html_becomes_words(html: str, text: str) -> None:
    assert strip(html.encode()).decode() == text


def test_html_is_read_in_a_child_with_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    assert html_text("<p>päivä</p>") == "päivä"
    monkeypatch.setattr("vault.intake.html._LIMITS", ChildLimits(seconds=0.001))
    with pytest.raises(UnreadableError, match="child_timeout"):
        html_text("<p>päivä</p>")
    with pytest.raises(UnreadableError, match="html_too_large"):
        html_text("x" * 5_000_000)


def test_html_that_cannot_be_read_is_kept_as_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.intake.html._LARGEST", 10)
    mail = b"From: a@b.example\r\nContent-Type: text/html\r\n\r\n<p>much too long</p>"

    opened = open_mail(mail, MailTools())

    assert (opened.outcome, opened.reason, opened.text) == (Outcome.PLAIN, "html_unreadable", "")
    assert opened.attachments[0].data == b"<p>much too long</p>"


def test_a_text_that_nobody_reads_to_its_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.intake.contents._LONGEST_TEXT", 12)
    head = 'From: a@b.example\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    first, second, third = ("--b\r\n\r\nten chars.\r\n", "--b\r\n\r\nand more\r\n", "--b\r\n\r\nthe end\r\n--b--\r\n")

    opened = open_mail(f"{head}{first}{second}{third}".encode(), MailTools())
    kept = open_mail(f"{head}{first}--b--\r\n".encode(), MailTools())

    assert (opened.outcome, opened.reason, opened.text) == (Outcome.PLAIN, "text_cut", "ten chars.\n\nan")
    assert (kept.reason, kept.text) == ("", "ten chars.")


def multipart(kind: str, *parts: str) -> str:
    inner = "".join(f"--{kind}\r\n{part}\r\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{kind}"\r\n\r\n{inner}--{kind}--'


PLAIN_PART = "Content-Type: text/plain\r\n\r\nplain"
HTML_PART = "Content-Type: text/html\r\n\r\n<b>html</b>"
PDF_PART = "Content-Type: application/pdf; name=a.pdf\r\n\r\n%PDF"


@pytest.mark.parametrize(
    ("body", "text", "names"),
    [
        (multipart("alternative", PLAIN_PART, HTML_PART), "plain", []),
        (multipart("alternative", HTML_PART), "html", []),
        (multipart("alternative", "Content-Type: text/plain\r\n\r\n ", HTML_PART), "html", []),
        (multipart("alternative", PLAIN_PART, multipart("mixed", HTML_PART, PDF_PART)), "plain", ["a.pdf"]),
        (multipart("mixed", PLAIN_PART, PDF_PART, "\r\nmore"), "plain\n\nmore", ["a.pdf"]),
        (multipart("mixed", PLAIN_PART, "Content-Disposition: attachment\r\n\r\nx"), "plain", ["attachment-1"]),
        (multipart("mixed", PLAIN_PART, 'Content-Type: text/plain; name="n.txt"\r\n\r\nx'), "plain", ["n.txt"]),
        (multipart("mixed", "Content-Type: message/rfc822\r\n\r\nFrom: x@y.example\r\n\r\nz"), "", ["attachment-1"]),
        (multipart("related", HTML_PART, "Content-Type: image/png\r\n\r\nx"), "html", ["attachment-1"]),
    ],
)
def test_words_and_files_are_told_apart(body: str, text: str, names: list[str]) -> None:
    contents = read_contents(parse(f"From: a@b.example\r\n{body}".encode()))

    assert contents.text == text
    assert [a.name for a in contents.attachments] == names


def test_public_keys_are_found_wherever_they_stand() -> None:
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAA==\n-----END PGP PUBLIC KEY BLOCK-----\n"
    raw = "Content-Type: application/pgp-keys\r\n\r\n\x01binary"
    body = multipart("mixed", f"\r\nhei\n{key}", f"Content-Type: application/pgp-keys\r\n\r\n{key}", raw)

    assert public_keys(parse(f"From: a@b.example\r\n{body}".encode())) == (key.encode(), b"\x01binary")


@pytest.mark.parametrize(
    ("headers", "auto"),
    [
        ("From: aino@example.fi", False),
        ("From: aino@example.fi\nAuto-Submitted: no", False),
        ("From: aino@example.fi\nAuto-Submitted: auto-replied; x", True),
        ("From: aino@example.fi\nPrecedence: Bulk", True),
        ("From: aino@example.fi\nPrecedence: first-class", False),
        ("From: aino@example.fi\nList-Id: <x.example>", True),
        ("Return-Path: <>\nFrom: aino@example.fi", True),
        ("Return-Path: <aino@example.fi>\nFrom: aino@example.fi", False),
        ("From: MAILER-DAEMON@example.fi", True),
        ("From: no-reply@example.fi", True),
        ("From: a@b.example\nContent-Type: multipart/report; boundary=X\n\n--X\n\nx\n--X--", True),
    ],
)
def test_machine_mail_is_known_by_its_headers(headers: str, auto: bool) -> None:
    assert read_headers(parse(f"{headers}\n\nx".encode())).auto is auto


def test_two_senders_are_none() -> None:
    found = read_headers(parse(b"From: a@b.example\nFrom: c@d.example\nMessage-ID: <1@x>\nMessage-ID: <2@x>\n\nx"))

    assert (found.from_address, found.message_id) == (None, None)


@pytest.mark.parametrize(
    ("der", "kind"),
    [
        ("308006092a864886f70d010703", "enveloped"),
        ("3082010006092a864886f70d010702", "signed"),
        ("3080060b2a864886f70d0109100117", "enveloped"),
        ("3080060b2a864886f70d0109100109", "compressed"),
        ("308006092a864886f70d010701", None),
        ("06092a864886f70d010703", None),
        ("", None),
    ],
)
def test_cms_is_known_by_its_own_identifier(der: str, kind: str | None) -> None:
    assert content_kind(bytes.fromhex(der)) == kind


def test_a_program_runs_on_memory_with_its_status_apart(tmp_path: Path) -> None:
    script = "cat; cat $1; echo status > /dev/fd/$2; echo complaint >&2; exit 3"

    run = run_tool(
        ["sh", "-c", script, "sh", "{key}", STATUS], b"in", cwd=tmp_path, limits=ChildLimits(), files={"key": b"secret"}
    )

    assert (run.code, run.output, run.status, run.complaints) == (3, b"insecret", b"status\n", b"complaint\n")
    assert list(tmp_path.iterdir()) == []
    assert "secret" not in repr(run)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sleep", "30"], "tool_timeout"),
        (["head", "-c", "3000000", "/dev/zero"], "tool_output"),
        (["sh", "-c", "kill -SEGV $$"], "tool_died"),
    ],
)
def test_a_program_that_goes_wrong_has_a_code(tmp_path: Path, command: list[str], code: str) -> None:
    limits = ChildLimits(seconds=1.0, output=1_000_000)

    with pytest.raises(UnreadableError, match=code):
        run_tool(command, b"", cwd=tmp_path, limits=limits)


def test_a_program_sees_no_network_and_dumps_no_core(tmp_path: Path) -> None:
    run = run_tool(["sh", "-c", "cat /proc/net/dev; ulimit -c"], b"", cwd=tmp_path, limits=ChildLimits())

    assert b"lo:" in run.output
    assert b"eth" not in run.output
    assert run.output.endswith(b"\n0\n")


def test_a_missing_program_is_our_own_fault(tmp_path: Path) -> None:
    with pytest.raises(WrongUseError, match="program_missing"):
        run_tool(["no-such-program"], b"", cwd=tmp_path, limits=ChildLimits())
