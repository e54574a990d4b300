"""The headers of a mail that count: who writes, what it answers, and whether a machine wrote it."""

from vault.domain.request import LANGUAGES
from vault.intake.autocrypt import autocrypt_key
from vault.intake.headers import date, decode_words, mailbox, message_ids
from vault.intake.mime import Part
from vault.intake.opened import MailHeaders
from vault.intake.reports import read_report

_MACHINE_PRECEDENCE = frozenset({"bulk", "junk", "list", "auto_reply"})
_LIST_FIELDS = (  # RFC 2369, RFC 2919, and what older machines put in place of Auto-Submitted
    *("list-id", "list-unsubscribe", "list-subscribe", "list-post", "list-help", "list-owner", "list-archive"),
    *("feedback-id", "x-autoreply", "x-autorespond", "x-auto-reply-from", "x-failed-recipients"),
)
_MACHINE_NAMES = (
    "mailer-daemon",
    "postmaster",
    "noreply",
    "no-reply",
    "donotreply",
    "do-not-reply",
    "bounce",
    "bounces",
)
_LONGEST_SUBJECT = 500  # characters


def read_headers(root: Part, inner: Part | None = None) -> MailHeaders:
    """Read the headers of a mail.

    :param root: the mail as it arrived.
    :param inner: the entity inside the encryption; a subject that stands there is the true one.
    """
    subject = (inner.header("subject") if inner else None) or root.header("subject") or ""
    sender = mailbox(_only(root, "from"))
    ids = message_ids(_only(root, "message-id"))
    machine = _by_machine(root, sender)
    return MailHeaders(
        from_address=sender,
        subject=decode_words(subject)[:_LONGEST_SUBJECT],
        message_id=ids[0] if len(ids) == 1 else None,
        in_reply_to=message_ids(root.header("in-reply-to")),
        references=message_ids(root.header("references")),
        date=date(root.header("date")),
        auto=machine,
        report=read_report(root, sender) if machine else None,
        language=_language(root),
        autocrypt=autocrypt_key(root, sender),
    )


def _only(root: Part, name: str) -> str | None:
    """Return the value of a header that stands exactly once: two of them are a trick."""
    values = root.headers(name)
    return values[0] if len(values) == 1 else None


def _language(root: Part) -> str | None:
    """Return the first of our languages that a mail says it is written in, or its program is set to."""
    tags = ",".join(root.header(name) or "" for name in ("content-language", "accept-language"))[:_LONGEST_SUBJECT]
    spoken = (tag.strip().lower().partition(";")[0].partition("-")[0] for tag in tags.split(","))
    return next((tag for tag in spoken if tag in LANGUAGES), None)


def _by_machine(root: Part, sender: str | None) -> bool:
    """Tell automatic mail (RFC 3834), lists and bounces from what a person wrote."""
    submitted = (root.header("auto-submitted") or "no").partition(";")[0].strip().lower()
    precedence = (root.header("precedence") or "").strip().lower()
    name = (sender or "").partition("@")[0].lower()
    return (
        submitted != "no"
        or precedence in _MACHINE_PRECEDENCE
        or any(root.header(field) for field in _LIST_FIELDS)
        or (root.header("return-path") or "").strip() == "<>"
        or root.type == "multipart/report"
        or name in _MACHINE_NAMES
    )
