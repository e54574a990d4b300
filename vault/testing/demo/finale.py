"""The demo's end: the table of cases, two opened packages, who looked at one patient, and the access log's verdict."""

import email
import email.policy
import io
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage

from vault.cli.cases import row_json
from vault.domain.case import Stage
from vault.errors import ConflictError, TamperedError
from vault.steps.doors import open_mailbox
from vault.steps.keep import publish
from vault.steps.parts import Parts
from vault.steps.queue import board
from vault.storage.drafts import package_of
from vault.testing.cast import Cast
from vault.testing.demo.postoffice import PostOffice, first_page
from vault.testing.installation import Installation

_LINES = 8  # of a letter that are shown
_VERDICT = 2  # last lines of a program that checked
_SECONDS = 60.0  # until nobody else publishes the log


def table(parts: Parts) -> str:
    """Show every case: channel, stage, due, safe due, package."""
    lines = [f"{'case':16} {'channel':8} {'stage':14} {'due':11} {'safe due':11} {'package':9} exception"]
    for row in board(parts):
        shown = row_json(row)
        with parts.database.connect() as connection:
            package = package_of(connection, row.case.ref)
        due = shown["due"] or ("paused" if row.case.open else "")
        lines.append(
            f"{shown['ref']:16} {shown['channel']:8} {shown['stage']:14} {due:11} {shown['safe_due']:11} "
            f"{package.format if package else '':9} {shown['exception'] or ''}"
        )
    return "\n".join(line.rstrip() for line in lines)


def _attached(installation: Installation, ending: str) -> Iterator[tuple[str, str, bytes]]:
    """Yield recipient, file name and bytes of the packages in sent mail."""
    for raw in installation.sink().messages():
        message = email.message_from_bytes(raw, policy=email.policy.default)
        if isinstance(message, EmailMessage):
            for part in message.iter_attachments():
                name = part.get_filename() or ""
                if name.endswith(ending):
                    yield str(message["To"]), name, part.get_payload(decode=True)  # type: ignore[misc]  # bytes when decoded


def mailbox_words(installation: Installation) -> str:
    """Say what the mails of this run come through."""
    settings = installation.settings().mailbox
    if settings.kind == "imap":
        return f"Dovecot, read by IMAP over TLS on {settings.host}:{settings.port}"
    return "a Maildir, because Dovecot is not installed"


def left_in_mailbox(installation: Installation) -> int:
    """Count what still lies at the door; what was taken in is gone from there."""
    return open_mailbox(installation.settings().mailbox).count()


def opened_by_key(installation: Installation, cast: Cast) -> str:
    """Open the first requester's package with her own key and the stock gpg; show the letter's first lines.

    :raises TamperedError: it does not open.
    """
    for recipient, name, data in _attached(installation, ".zip.gpg"):
        if recipient == "bound@requester.example":
            archive = zipfile.ZipFile(io.BytesIO(cast.homes["bound"].gpg("--decrypt", data=data)))
            names = archive.namelist()
            letter = next(n for n in names if n.endswith("letter.pdf"))
            return f"  {name}: {len(names)} files\n{_first_lines(first_page(archive.read(letter)))}"
    raise TamperedError("demo_package", "no OpenPGP package was mailed to the first requester")


def opened_by_passphrase(installation: Installation, post: PostOffice) -> str:
    """Open an encrypted PDF with the passphrase that came by post; show the letter's first lines.

    :raises TamperedError: it does not open.
    """
    for _, name, data in _attached(installation, ".pdf"):
        ref = name.removesuffix(".pdf")
        if ref in post.passphrases:
            return f"  {name}\n{_first_lines(first_page(data, post.passphrases[ref]))}"
    raise TamperedError("demo_package", "no encrypted PDF was mailed whose passphrase came by post")


def _first_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "\n".join(f"  | {line}" for line in lines[:_LINES])


def who_looked(installation: Installation) -> str:
    """Tell every look at one answered patient's records, with the day closed, and check the proofs as she would.

    The keeper closes a day after midnight; here he is told that it is tomorrow. Then the evidence bundle's own
    programs check it, with its own README's commands and nothing of ours.

    :raises TamperedError: something does not agree.
    """
    with installation.office("operator") as parts:
        subject = next(row.case.subject for row in board(parts) if row.case.stage is Stage.ANSWERED)
    _close_today(installation)
    folder = installation.nest / "evidence"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        told = _dsr(installation, "log", "who", "--subject", str(subject), "--with-staff", "--bundle", str(folder))
        lines = (folder / "README.txt").read_text(encoding="utf-8").splitlines()
        commands = [line.strip() for line in lines if line.strip().startswith("python3 ")]
        checked = [_run(["sh", "-c", line.replace("python3", sys.executable, 1)], cwd=str(folder)) for line in commands]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    shown = [*told.splitlines(), *(line for text in checked for line in text.splitlines()[-_VERDICT:])]
    return "\n".join(f"  {line}" for line in shown)


def _close_today(installation: Installation) -> None:
    end = time.monotonic() + _SECONDS
    while True:
        try:
            with installation.office("keeper") as parts:
                publish(replace(parts, now=lambda: parts.now() + timedelta(days=1)))
        except ConflictError:  # Airflow publishes too, every minute
            if time.monotonic() > end:
                raise
            time.sleep(1)
        else:
            return


def log_verdict(installation: Installation) -> str:
    """Run `dsr log verify` as anybody would.

    :raises TamperedError: the log is not as it should be.
    """
    return "\n".join(f"  {line}" for line in _dsr(installation, "log", "verify").splitlines())


def _dsr(installation: Installation, *words: str) -> str:
    return _run([sys.executable, "-c", "from vault.cli import main; main()", *words], env=installation.environment())


def _run(command: list[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=env)
    if done.returncode != 0:
        raise TamperedError("demo_log", "the access log did not verify; run dsr log verify")
    return done.stdout
