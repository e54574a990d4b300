"""Takes mail in round by round and prints each round's seconds and the process's peak memory in MiB after it.

The product alone, in a process of its own as each run is. Run as
``python -m bench.mailtaking SETTINGS ROUNDS MAILS``.
"""

import json
import sys
import time
from pathlib import Path

from bench.meter import most_memory
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
            said.append((time.perf_counter() - begun, most_memory()))
            begun = time.perf_counter()
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
