"""Settings of a mailbox: where it is, as whom we come, and what becomes of a message that was taken."""

import os
from typing import Literal, Self

from pydantic import Field, model_validator

from vault.errors import WrongUseError
from vault.settings_parts import FilePath, Part


class MailboxSettings(Part):
    """Where requests arrive: IMAP over TLS, or a Maildir."""

    kind: Literal["imap", "maildir"]
    name: str = Field(default="", pattern=r"^[a-z0-9-]{0,40}$")
    path: FilePath | None = None
    host: str = "127.0.0.1"
    port: int = 993
    user: str = ""
    password_file: FilePath | None = None
    ca_file: FilePath | None = None
    folder: str = "INBOX"
    address: str
    auth: Literal["password", "xoauth2"] = "password"
    token_url: str = ""
    client_id: str = ""
    client_secret_file: FilePath | None = None
    refresh_token_file: FilePath | None = None
    scope: str = ""
    token_ca_file: FilePath | None = None
    after_taking: Literal["expunge", "move"] = "expunge"
    move_to: str = Field(default="", pattern=r"^[^|\x00-\x1f\x7f]*$", max_length=200)
    aside: str = Field(default="Aside", pattern=r"^[^|\x00-\x1f\x7f]+$", max_length=200)

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        secrets = (self.client_secret_file, self.refresh_token_file)
        if self.auth == "password":
            if any((self.token_url, self.client_id, *secrets)):
                raise WrongUseError("mailbox_mixed", "mailbox.auth is password: take the token settings out")
            return self
        if self.kind == "maildir" or self.password_file is not None:
            raise WrongUseError("mailbox_mixed", "mailbox.auth xoauth2 is for IMAP, and without a password_file")
        if not (self.user and self.client_id and any(secrets)):
            advice = "mailbox.auth is xoauth2: set user, client_id, and client_secret_file or refresh_token_file"
            raise WrongUseError("mailbox_incomplete", advice)
        if not self.token_url.startswith("https://"):
            raise WrongUseError("mailbox_plain", "tokens are fetched by https; correct mailbox.token_url")
        return self

    @model_validator(mode="after")
    def _other_folders(self) -> Self:
        if (self.after_taking == "move") != bool(self.move_to):
            raise WrongUseError("mailbox_move", "set mailbox.move_to together with mailbox.after_taking = move")
        door = self.folder if self.kind == "imap" else ""
        if door.upper() in {self.move_to.upper() or None, self.aside.upper()} or self.move_to == self.aside:
            raise WrongUseError("mailbox_move", "mailbox.folder, move_to and aside must be three different folders")
        if self.kind == "maildir" and any(set(name) & {"/", "."} for name in (self.move_to, self.aside)):
            raise WrongUseError("mailbox_move", "in a Maildir, move_to and aside are plain names without / and .")
        return self

    def place(self) -> tuple[str, ...]:
        """Tell which folder of which account this is, so that none is emptied under two names."""
        if self.kind == "maildir":
            return (os.path.realpath(self.path or ""),)  # links and dots lead to one folder by several names
        inbox = self.folder.upper() == "INBOX"  # the one name that servers take in any case (RFC 3501 section 5.1)
        return (self.host.lower(), str(self.port), self.user, "INBOX" if inbox else self.folder)


def all_different(first: MailboxSettings, others: list[MailboxSettings]) -> None:
    """Refuse mailboxes that could not be told apart.

    :raises WrongUseError: a name is missing or stands twice, the first has one, or two are the same folder.
    """
    names = [mailbox.name for mailbox in others]
    if first.name or not all(names) or len(set(names)) < len(names):
        advice = "give each of [[mailboxes]] a name of its own, and [mailbox] none"
        raise WrongUseError("mailbox_names", advice)
    if len({mailbox.place() for mailbox in (first, *others)}) <= len(others):
        raise WrongUseError("mailbox_twice", "two mailboxes are the same folder; take one out of [[mailboxes]]")
