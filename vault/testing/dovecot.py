"""A mailbox of one's own: Dovecot, unprivileged, IMAP over TLS only, and LMTP on 127.0.0.1 for deliveries."""

import base64
import contextlib
import functools
import grp
import hashlib
import json
import os
import pwd
import secrets
import signal
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vault.errors import OutOfReachError, WrongUseError
from vault.settings_mailbox import MailboxSettings
from vault.testing import places, processes
from vault.testing.certificates import Certificates, make_certificates
from vault.testing.ports import answers, free_ports
from vault.testing.processes import Account, find_program

USER = "inbox"
_CONFIGURATION = """\
base_dir = {run}
state_dir = {base}/state
log_path = {base}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 0
first_valid_gid = 0
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
ssl_min_protocol = TLSv1.2
# an index on disk keeps senders and subjects of messages that were removed
mail_location = maildir:{base}/mail/%n:INDEX=MEMORY
auth_mechanisms = plain login
# without the next line LMTP answers 550 User doesn't exist
auth_username_format = %Ln
mail_fsync = never
# its default names every Message-ID, which a requester's own program chose
deliver_log_format = %$
passdb {{
  driver = passwd-file
  args = {base}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={base}/mail/%n
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""

FULL = "Full/"  # the folders below it have a quota of their own
_QUOTA = """\
mail_plugins = quota
protocol imap {{
  mail_plugins = quota imap_quota
}}
namespace inbox {{
  separator = /
}}
namespace full {{
  prefix = {full}
  separator = /
  location = maildir:~/full:INDEX=MEMORY
}}
plugin {{
  quota = maildir:Inbox
  quota_rule = *:bytes={inbox}
  quota_grace = 0
  quota_full_tempfail = yes
  quota2 = maildir:Full:ns={full}
  quota2_rule = *:bytes={below}
}}
"""


@dataclass(frozen=True, slots=True)
class MailServer:
    """A running mailbox.

    :param port: IMAP over TLS on 127.0.0.1; `port + 1` takes deliveries by LMTP.
    :param home: its directory: password, certificate, pid file.
    """

    port: int
    home: Path

    def settings(self, address: str = "requests@clinic.example") -> MailboxSettings:
        """Give the mailbox's settings under the address that requesters write to."""
        return MailboxSettings(
            kind="imap",
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password_file=self.home / "password",
            ca_file=self.home / "ca.pem",
            address=address,
        )

    def deliver(self, raw: bytes, *, sender: str = "sender@example.org") -> None:
        """Put one message into the mailbox, as a mail server in front of it would (LMTP, RFC 2033).

        :raises OutOfReachError: the mailbox does not take it.
        """
        try:
            with smtplib.LMTP("127.0.0.1", self.port + 1) as line:
                line.sendmail(sender, [f"{USER}@localhost"], raw)
        except (OSError, smtplib.SMTPException):
            raise OutOfReachError("mailbox_refused", "Dovecot did not take the message; read dovecot.log") from None


def quota(inbox: int, below: int) -> str:
    """Give the lines of configuration that bound what lies in the mailbox (OVERQUOTA, RFC 9208 section 4.3.1).

    Its quota is told through Dovecot's Maildir++ file: this Dovecot's own count dies when its index is in memory.

    :param inbox: bytes of the inbox and its folders.
    :param below: bytes of all folders below :data:`FULL`.
    """
    return _QUOTA.format(full=FULL, inbox=inbox, below=below)


@contextlib.contextmanager
def dovecot(directory: Path | None = None, *, extra: str = "") -> Iterator[MailServer]:
    """Run a mailbox while inside; without `directory` it lives in memory and leaves nothing behind.

    :param extra: lines of Dovecot's configuration behind ours.
    :raises WrongUseError: `server_missing`, with the name of the Debian package.
    :raises OutOfReachError: the server does not start.
    """
    # its clean end takes a second, which memory that is thrown away does not need
    stopper = stop if directory else functools.partial(stop, first=signal.SIGKILL)
    with places.lent(functools.partial(start, extra=extra), stopper, directory, "dsr-imap-") as server:
        yield server


def start(directory: Path, *, extra: str = "") -> MailServer:
    """Start a mailbox that outlives us, or adopt the one that runs there.

    :param extra: lines of Dovecot's configuration behind ours.
    :raises WrongUseError: `server_missing`, with the name of the Debian package.
    :raises OutOfReachError: the server does not start.
    """
    program = _program()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    server = _recall(directory)
    if server is not None and processes.running_in(directory):
        return server
    stop(directory)  # what a crash left
    account = processes.unprivileged("dovecot")
    base = places.base_of(directory, account)
    server = server or MailServer(free_ports(2), directory)
    places.write_private(directory / "server.json", json.dumps({"port": server.port}))
    conf = _prepare(server, base, account, extra)
    running = processes.start_named("dovecot", directory, [program, "-F", "-c", conf], account=account, cwd=base)
    for port, what in ((server.port, "Dovecot's IMAP"), (server.port + 1, "Dovecot's LMTP")):
        processes.wait_until(functools.partial(answers, port), what, process=running)
    return server


def stop(directory: Path, *, first: signal.Signals = signal.SIGTERM) -> None:
    """Stop the mailbox that runs there, if one does; its messages stay."""
    processes.stop_named("dovecot", directory, first=first)
    places.close_run_directory(directory)


def destroy(directory: Path) -> None:
    """Stop the mailbox and remove its messages, password and logs."""
    stop(directory)
    places.discard(directory)


def installed() -> bool:
    """Tell whether Debian's packages for it are here."""
    try:
        _program()
    except WrongUseError:
        return False
    return True


def _program() -> str:
    program = find_program("dovecot", "dovecot-core")
    for part, package in (("imap", "dovecot-imapd"), ("lmtp", "dovecot-lmtpd")):
        if not Path("/usr/lib/dovecot", part).exists():
            raise processes.server_missing(f"Dovecot's {part}", package)
    return program


def _prepare(server: MailServer, base: Path, account: Account | None, extra: str) -> Path:
    """Write the password, the certificate and the configuration."""
    for name in ("state", "mail"):
        (base / name).mkdir(exist_ok=True, mode=0o700)
        places.give(base / name, account)
    certificates = make_certificates(base, account)
    places.write_private(server.home / "ca.pem", certificates.authority.read_text(encoding="utf-8"))
    password_file = server.home / "password"
    if not password_file.exists():
        places.write_private(password_file, secrets.token_urlsafe(24))
    line = f"{USER}:{_hashed(password_file.read_text(encoding='utf-8'))}\n"
    places.write_private(base / "users", line, account)
    conf = _configuration(server, base, certificates, account) + extra
    return places.write_private(base / "dovecot.conf", conf, account)


def _configuration(server: MailServer, base: Path, certificates: Certificates, account: Account | None) -> str:
    entry = pwd.getpwuid(account.uid if account else os.geteuid())
    return _CONFIGURATION.format(
        run=places.run_directory(server.home, account),
        base=base,
        user=entry.pw_name,
        group=grp.getgrgid(entry.pw_gid).gr_name,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        certificate=certificates.certificate,
        key=certificates.key,
        imaps=server.port,
        lmtp=server.port + 1,
    )


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(16)
    return "{SSHA512}" + base64.b64encode(hashlib.sha512(password.encode() + salt).digest() + salt).decode()


def _recall(home: Path) -> MailServer | None:
    try:
        return MailServer(int(json.loads((home / "server.json").read_text(encoding="utf-8"))["port"]), home)
    except (OSError, ValueError, KeyError):
        return None
