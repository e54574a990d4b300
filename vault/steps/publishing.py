"""Publish the log as the settings say: under every key that ever signed for it, with the witnesses that they name.

What a person must know of rings: a log that does not continue, a witness that saw another one, or none for a day.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from vault.accesslog.notes import VerifierKey, parse_vkeys
from vault.accesslog.publish import Done, LogParts, publish_and_ask
from vault.accesslog.witness_client import Outcome, open_witnesses
from vault.domain.alarms import AlarmCode
from vault.errors import ConflictError, TamperedError
from vault.settings import Settings
from vault.steps.parts import Parts
from vault.storage.alarms import raise_alarm
from vault.storage.database import Connection
from vault.storage.progress import advance, moved_at, position

SILENCE: Final = timedelta(days=1)
_BUSY: Final = "log_publishing"
_ACCUSE: Final = frozenset({"witness_ahead", "witness_differs", "witness_refused", "cosignature_wrong"})


@contextmanager
def ringing(parts: Parts) -> Iterator[None]:
    """Ring when what happens inside finds that the log does not continue; another publisher at work is no fault.

    :raises TamperedError: what is raised inside.
    :raises ConflictError: what is raised inside.
    """
    try:
        yield
    except (TamperedError, ConflictError) as error:
        if error.code != _BUSY:
            with parts.database.connect() as connection:
                told = {"why": error.code}
                raise_alarm(connection, AlarmCode.LOG_NOT_CONTINUED, at=parts.now(), actor=parts.actor, detail=told)
        raise


def publish_log(parts: Parts) -> dict[str, int]:
    """Bring the published log up to the stored one; tell its size, and how many witnesses did and did not cosign.

    :raises TamperedError: the stored log does not continue the published one.
    :raises ConflictError: another publisher is at work, or a name holds other bytes.
    """
    done = publish_and_ask(log_parts(parts), parts.objects)
    _heard(parts, done)
    lacking = sum(not outcome.ok for outcome in done.outcomes)
    return {
        "size": done.head.size,
        "cosigned": len(parts.settings.log.witnesses) - lacking,
        "not_cosigned": lacking,
    }


def log_parts(parts: Parts) -> LogParts:
    """Give what publishing needs.

    :raises WrongUseError: the file of the log's keys or a witness's is malformed.
    """
    settings = parts.settings
    origin, witnesses = settings.controller.log_origin, open_witnesses(settings.log.witnesses)
    return LogParts(parts.database, parts.service, origin, _older(settings), witnesses)


def _heard(parts: Parts, done: Done) -> None:
    """Ring for what witnesses say against the log, and for those that say nothing."""
    now = parts.now()
    with parts.database.connect() as connection:
        for outcome in done.outcomes:
            actor = f"witness:{outcome.name}"
            if outcome.code in _ACCUSE:
                raise_alarm(connection, AlarmCode.WITNESS_DISAGREES, at=now, actor=actor, detail={"why": outcome.code})
            elif _silent(connection, outcome, done.head.size, now):
                raise_alarm(connection, AlarmCode.WITNESS_SILENT, at=now, actor=actor)


def _silent(connection: Connection, outcome: Outcome, size: int, now: datetime) -> bool:
    """Note who cosigned; tell of who did not whether that is so for a day, or for a day since it was first asked."""
    task = f"witness {outcome.name}"
    since = moved_at(connection, task)
    if outcome.ok or since is None:
        position(connection, task)
        advance(connection, task, size if outcome.ok else 0, now)
        return False
    return now - since > SILENCE


def _older(settings: Settings) -> tuple[VerifierKey, ...]:
    """List the keys that checkpoints may bear beside the held ones; without the file those alone count."""
    try:
        text = settings.log.public_key_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return parse_vkeys(text)
