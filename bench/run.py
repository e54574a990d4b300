"""Measures sealing, reading, importing, and the road of a case; ``python -m bench.run``, or ``dsr bench``.

Progress goes to standard error, the table to standard output, rows to ``build/bench.json``.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from bench.appending import appending_rows
from bench.asking import asking_rows
from bench.figures import airflow_rows, road_rows, step_rows
from bench.importing import importing_rows
from bench.mailin import mail_rows
from bench.people import gather, mails
from bench.publishing import publishing_rows
from bench.reading import reading_rows
from bench.road import Road
from bench.rows import Row, table, write
from bench.sealing import sealing_rows
from bench.verifying import verifying_rows
from bench.watching import watching_rows
from bench.withairflow import Watch, Watched
from vault.errors import VaultError
from vault.testing.cast import deliverer
from vault.testing.installation import installed
from vault.testing.pipeline import start_airflow, stop_airflow

OUTPUT = Path(__file__).parents[1] / "build" / "bench.json"
_FEWEST_SECONDS, _SECONDS_A_CASE = 240.0, 3.0  # after which Airflow is given up
_LETTERS = 20  # cases by mail for one by post, whose reading takes seconds
PARTS = (
    "sealing",
    "reading",
    "appending",
    "publishing",
    "asking",
    "verifying",
    "importing",
    "watching",
    "mail",
    "road",
)

Say = Callable[[str], None]


def main() -> int:
    """Run, show and write."""
    options = _options()
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:5.0f} s] {text}", file=sys.stderr, flush=True)

    rows: list[Row] = []
    status = 0
    try:
        for rows in measure(options, say):
            write(rows, options.output)
    except VaultError as error:
        print(f"{error.code}: {error.advice}", file=sys.stderr)
        status = error.exit_code
    print(table(rows))
    missed = sum(row.met is False for row in rows)
    say(f"{len(rows)} rows are in {options.output.name}; {missed} limits missed" if rows else "nothing was measured")
    return status


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dsr bench", description=__doc__)
    parser.add_argument("--part", dest="parts", action="append", choices=PARTS, help="only this part; repeat")
    parser.add_argument("--cases", type=_positive, default=200, help="cases by mail (default 200)")
    parser.add_argument("--without-airflow", action="store_true", help="leave the run with Airflow out")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the file for the rows")
    return parser.parse_args()


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("a number of 1 or more")
    return int(text)


def measure(options: argparse.Namespace, say: Say) -> Iterator[list[Row]]:
    """Measure the parts one after the other; yield all rows that there are, again and again.

    :raises VaultError: a server or peer is missing, or the road did not end.
    """
    rows: list[Row] = []
    parts = options.parts or PARTS
    small: dict[str, Callable[[Say], Iterator[Row]]] = {
        "sealing": sealing_rows,
        "reading": reading_rows,
        "appending": appending_rows,
        "publishing": publishing_rows,
        "asking": asking_rows,
        "verifying": verifying_rows,
        "importing": importing_rows,
        "watching": watching_rows,
        "mail": mail_rows,
    }
    for part in (part for part in PARTS if part in parts and part in small):
        for row in small[part](say):
            rows.append(row)
            yield rows
    if "road" in parts:
        for more in _road(options.cases, with_airflow=not options.without_airflow, say=say):
            yield rows + more


def _road(cases: int, *, with_airflow: bool, say: Say) -> Iterator[list[Row]]:
    """Run the road on fresh servers, once without and once with Airflow; yield all its rows after each."""
    road = _without(cases, say)
    rows = step_rows(road) + road_rows(road)
    yield rows
    if with_airflow:
        yield rows + airflow_rows(road, _with(cases, say))


def _without(cases: int, say: Say) -> Road:
    say("starting servers")
    with installed() as installation:
        crowd = gather(installation, cases)
        road = Road(installation, crowd, mails(installation, crowd), say)
        try:
            drop = deliverer(installation)
            for raw in road.mails:
                drop(raw)
            say(f"{cases} mails lie in the mailbox")
            road.run(max(2, cases // _LETTERS))
        finally:
            crowd.close()
    return road


def _with(cases: int, say: Say) -> Watched:
    say("starting servers and Airflow")
    with installed() as installation, ThreadPoolExecutor(1) as aside:
        starting = aside.submit(start_airflow, installation)
        try:
            crowd = gather(installation, cases)
            letters = mails(installation, crowd)
            crowd.close()
            server = starting.result()
            say("Airflow is healthy")
            limit = max(_FEWEST_SECONDS, _SECONDS_A_CASE * cases)
            return Watch(installation, server, say).run(letters, limit)
        finally:
            wait([starting])
            stop_airflow(installation.home)


if __name__ == "__main__":
    sys.exit(main())
