"""What proves a log extract, as files of the package: a tlog-proof for each entry, and that none is left out.

Whoever has the log's public key checks them without us, with ``vault/accesslog/standalone.py`` or any other
reader of c2sp.org/tlog-proof; ``docs/formats/package.md`` says how.
"""

from datetime import datetime
from typing import Final

from vault.accesslog.answers import Completeness, Told, tlog_proof
from vault.accesslog.tlogproof import MAP_SUFFIX, SUFFIX, render_map_proof, render_proof
from vault.domain.records import Json
from vault.package.logextract import LogUses

DAY_PROOF: Final = f"log-day{SUFFIX}"
MOST_PROOFS: Final = 500  # entries with a file; the newest when there are more


def proved_uses(told: Told, until: datetime, names_since: datetime | None) -> tuple[LogUses, dict[str, bytes]]:
    """Give what an extract shows, and by name the files that prove it; entries under no checkpoint yet have none.

    :param until: up to when the log was read.
    :param names_since: readers are named from this moment on; None, and nobody is.
    """
    names, files = _entries(told)
    complete = told.complete
    day = tlog_proof(complete.leaf, complete.proof, told.against) if complete is not None else None
    if complete is None or day is None:
        return LogUses(told.entries, until, names, names_since=names_since), files
    lines = _lines(complete)
    listed: list[Json] = [*lines]
    shown: dict[str, Json] = {"day": DAY_PROOF, "lines": listed}
    uses = LogUses(told.entries, until, names, complete.until, shown, names_since)
    return uses, {**files, DAY_PROOF: render_proof(day), **lines}


def _entries(told: Told) -> tuple[dict[int, str], dict[str, bytes]]:
    names: dict[int, str] = {}
    files: dict[str, bytes] = {}
    first = max(0, len(told.entries) - MOST_PROOFS)
    for at, entry in enumerate(told.entries[first:], first):
        proof = told.published(at)
        if proof is not None:
            names[entry.index] = f"log-entry-{entry.index}{SUFFIX}"
            files[names[entry.index]] = render_proof(proof)
    return names, files


def _lines(complete: Completeness) -> dict[str, bytes]:
    return {f"log-map-{line.index}{MAP_SUFFIX}": render_map_proof(line) for line in complete.lines}
