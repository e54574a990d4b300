"""Reports of machines: what became of our mail, and which of our mails it was."""

from email.message import EmailMessage

import pytest

from vault.intake.mime import parse
from vault.intake.reports import Report, ReportKind, item_named, read_report

CASE = "DSR-2026-7K3QXM"
ITEM = f"{CASE}-acknowledgement"
OURS = f"<{ITEM}@clinic.example>"
RETURNED = f"Message-ID: {OURS}\r\nSubject: [...]\r\nTo: aino@example.fi\r\n\r\nHello\r\n"


def dsn(action: str, status: str, returned: str = RETURNED, kind: str = "message/rfc822") -> bytes:
    """Write a delivery report as RFC 3464 shows it."""
    parts = [
        "Content-Type: text/plain\r\n\r\nSorry.\r\n",
        (
            "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
            f"Final-Recipient: rfc822; aino@example.fi\r\nAction: {action}\r\nStatus: {status}\r\n"
        ),
        f"Content-Type: {kind}\r\n\r\n{returned}",
    ]
    head = (
        "From: Mail Delivery <mailer-daemon@mx.example>\r\nReturn-Path: <>\r\nAuto-Submitted: auto-replied\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    )
    return (head + "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--\r\n").encode()


def read(raw: bytes, sender: str | None = "mailer-daemon@mx.example") -> Report:
    return read_report(parse(raw), sender)


@pytest.mark.parametrize(
    ("action", "status", "kind"),
    [
        ("failed", "5.1.1", ReportKind.FAILED),
        ("Failed", "4.4.7", ReportKind.FAILED),
        ("delayed", "4.4.1", ReportKind.DELAYED),
        ("delivered", "2.0.0", ReportKind.DELIVERED),
        ("relayed", "2.0.0", ReportKind.DELIVERED),
        ("expanded", "2.0.0", ReportKind.DELIVERED),
        ("", "", ReportKind.FAILED),
        ("", "4.2.2", ReportKind.DELAYED),
        ("", "5.2.2", ReportKind.FAILED),
    ],
)
def test_a_delivery_report_says_what_became_of_the_mail(action: str, status: str, kind: ReportKind) -> None:
    report = read(dsn(action, status))
    assert (report.kind, report.status, report.items[0], report.case_ref) == (kind, status, ITEM, CASE)


def test_one_failure_among_several_recipients_is_a_failure() -> None:
    raw = dsn("delivered", "2.0.0").replace(
        b"Status: 2.0.0\r\n",
        b"Status: 2.0.0\r\n\r\nFinal-Recipient: rfc822; b@example.fi\r\nAction: failed\r\nStatus: 5.7.1\r\n",
    )
    assert (read(raw).kind, read(raw).status) == (ReportKind.FAILED, "5.7.1")


@pytest.mark.parametrize("kind", ["message/rfc822", "text/rfc822-headers", "message/global", "text/plain"])
def test_the_returned_part_names_our_mail(kind: str) -> None:
    assert read(dsn("failed", "5.1.1", kind=kind)).items[0] == ITEM


def test_a_reference_in_the_returned_part_is_enough_where_the_id_was_lost() -> None:
    report = read(dsn("failed", "5.1.1", f"Subject: Case {CASE}\r\n\r\n"))
    assert (report.items, report.case_ref) == ((CASE,), CASE)


def test_somebody_elses_report_names_nothing() -> None:
    assert read(dsn("failed", "5.1.1", "Message-ID: <1@example.fi>\r\n\r\n")).case_ref is None


def automatic(**headers: str) -> bytes:
    message = EmailMessage()
    message["From"] = "aino@example.fi"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("I am away until Monday.")
    return message.as_bytes()


def test_a_vacation_notice_answers_our_mail_and_is_no_failure() -> None:
    report = read(automatic(In_Reply_To=OURS, Auto_Submitted="auto-replied", Return_Path="<>"), "aino@example.fi")
    assert (report.kind, report.items) == (ReportKind.AUTOMATIC, (ITEM,))


def test_a_read_receipt_is_no_failure() -> None:
    raw = dsn("displayed", "").replace(b"message/delivery-status", b"message/disposition-notification")
    assert read(raw.replace(b"delivery-status", b"disposition-notification"), "aino@example.fi").kind is (
        ReportKind.AUTOMATIC
    )


@pytest.mark.parametrize("sender", ["MAILER-DAEMON@mx.example", "postmaster@mx.example"])
def test_a_postmans_mail_without_a_report_is_a_failure(sender: str) -> None:
    raw = automatic(References=f"<1@example.fi> {OURS}")
    assert read(raw, sender) == Report(ReportKind.FAILED, "", (ITEM,))


def test_a_report_full_of_references_is_bounded() -> None:
    many = "".join(f"<DSR-2026-{number:06d}-code@clinic.example>\r\n" for number in range(1, 5000))
    assert len(read(dsn("failed", "5.1.1", f"Subject: x\r\n\r\n{many}")).items) == 8


@pytest.mark.parametrize(
    ("ids", "item"),
    [
        ((), None),
        (("<1@example.fi>",), None),
        ((OURS,), ITEM),
        ((OURS, "<2@example.fi>"), ITEM),
        ((OURS, f"<{CASE}-question-1@clinic.example>"), f"{CASE}-question-1"),
        ((f"<x{ITEM}@clinic.example>",), None),
        (("<é@example.fi>",), None),
    ],
)
def test_an_answer_names_the_last_of_our_mails(ids: tuple[str, ...], item: str | None) -> None:
    assert item_named(ids) == item


def test_what_a_server_did_counts_more_than_its_number() -> None:
    assert read(dsn("delivered", "4.4.1")).kind is ReportKind.DELIVERED
