"""``dsr bench``: measures the parts and the road of a case; runs the source checkout's own bench folder as a child."""

import json
import subprocess
import sys
from pathlib import Path

import click

import vault
from vault.cli.output import Answer, answering
from vault.errors import OutOfReachError, WrongUseError

PARTS = ("sealing", "reading", "appending", "importing", "watching", "road")


@click.command()
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only this part; repeat.")
@click.option("--cases", default=200, show_default=True, type=click.IntRange(min=1), help="Cases by mail.")
@click.option("--without-airflow", is_flag=True, help="Leave the run with Airflow out; much quicker.")
@answering
def bench(*, parts: tuple[str, ...], cases: int, without_airflow: bool) -> Answer:
    """Measure sealing, reading, importing and the whole road, beside peers; writes build/bench.json."""
    root = checkout()
    output = root / "build" / "bench.json"
    command = [sys.executable, "-m", "bench.run", "--cases", str(cases), "--output", str(output)]
    command += [word for part in parts for word in ("--part", part)]
    command += ["--without-airflow"] if without_airflow else []
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        click.echo(done.stdout, err=True)
        raise OutOfReachError("bench_failed", "the bench did not end; read what it says above")
    return Answer({"rows": json.loads(output.read_text(encoding="utf-8"))}, done.stdout.splitlines())


def checkout() -> Path:
    """Return the source checkout that this program runs from.

    :raises WrongUseError: it runs from an installed package, which has no bench folder.
    """
    root = Path(vault.__file__).parents[1]
    if not (root / "bench" / "run.py").is_file() or not (root / "pyproject.toml").is_file():
        raise WrongUseError("no_checkout", "the bench is not in the installed package; run it from a source checkout")
    return root
