"""Who sits at this terminal, as the access log names a look that is made from the command line."""

import getpass
import os
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vault.accesslog.entries import Access

LOG = "access_log"  # what is looked at: the log itself


def audit_looks(subjects: Sequence[str | None], now: datetime, legal_ground: str) -> "list[Access]":
    """Describe looks at the log, one for each subject.

    :param subjects: references; None for a look that is about nobody in particular.
    :param now: with a time zone.
    """
    from vault.accesslog.entries import Access
    from vault.domain.roles import Purpose

    actor, name = f"account:{os.getuid()}", _name()
    return [
        Access(
            at=now,
            actor=actor,
            actor_name=name,
            role="auditor",
            purpose=Purpose.AUDIT,
            legal_ground=legal_ground,
            case=None,
            subject=subject,
            kinds=(LOG,),
        )
        for subject in subjects
    ]


def _name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
