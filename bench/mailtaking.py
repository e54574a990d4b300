"""Takes mail in round by round and prints each round's seconds and the process's peak memory in MiB after it.

The product alone, in a process of its own as each run is, without the bench's tools. Run as
``python -m bench.mailtaking SETTINGS ROUNDS MAILS``.
"""

import json
import sys
import time
from pathlib import Path

from vault.office import open_office
from vault.settings import load
from vault.steps.receive_mail import receive_mail


def main(settings: Path, rounds: int, mails: int) -> None:
    """Take in ``rounds`` times ``mails`` mails; the first round's time holds the opening of the office."""
    said = []
    begun = time.perf_counter()
    with open_office("intake", load(settings)) as parts:
        for _ in range(rounds):
            receive_mail(parts, limit=mails)
            said.append((time.perf_counter() - begun, _peak()))
            begun = time.perf_counter()
    sys.stdout.write(json.dumps(said))


def _peak() -> float:
    """Read this process's own peak: what it was forked from counts in getrusage."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
