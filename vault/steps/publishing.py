"""Publish the log as the settings say: under every key that ever signed for it, with the witnesses that they name."""

from vault.accesslog.notes import VerifierKey, parse_vkeys
from vault.accesslog.publish import LogParts, publish_and_ask
from vault.accesslog.witness_client import open_witnesses
from vault.settings import Settings
from vault.steps.parts import Parts


def publish_log(parts: Parts) -> dict[str, int]:
    """Bring the published log up to the stored one; tell its size, and how many witnesses did and did not cosign."""
    done = publish_and_ask(log_parts(parts), parts.objects)
    cosigned = len(parts.settings.log.witnesses) - sum(not outcome.ok for outcome in done.outcomes)
    return {
        "size": done.head.size,
        "cosigned": cosigned,
        "not_cosigned": sum(not outcome.ok for outcome in done.outcomes),
    }


def log_parts(parts: Parts) -> LogParts:
    """Give what publishing needs.

    :raises WrongUseError: the file of the log's keys or a witness's is malformed.
    """
    settings = parts.settings
    origin, witnesses = settings.controller.log_origin, open_witnesses(settings.log.witnesses)
    return LogParts(parts.database, parts.service, origin, _older(settings), witnesses)


def _older(settings: Settings) -> tuple[VerifierKey, ...]:
    """List the keys that checkpoints may bear beside the held ones; without the file those alone count."""
    try:
        text = settings.log.public_key_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return parse_vkeys(text)
