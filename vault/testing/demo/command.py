"""``dsr demo``: run the main job, start again what it left, stop it."""

from pathlib import Path
from typing import NoReturn

import click

from vault.errors import VaultError
from vault.testing import installation
from vault.testing.demo.show import Show
from vault.testing.pipeline import found, start_airflow, start_desk, stop_airflow

HOME = Path("build/demo")


@click.group()
def demo() -> None:
    """Show the main job on this machine, with synthetic patients."""


@demo.command()
@click.option("--patients", default=200, show_default=True, type=click.IntRange(min=30), help="Synthetic patients.")
def run(*, patients: int) -> None:
    """Reset all demo state and run the main job; leaves the pages running."""
    home = HOME.absolute()
    _stop(home)
    installation.destroy(home)
    try:
        Show(home, patients).run()
    except VaultError as error:
        _fail(error)


@demo.command()
def up() -> None:
    """Start what the last run left, without resetting it."""
    home = HOME.absolute()
    try:
        found(home)
        again = installation.start(home)
        start_desk(again)
        server = start_airflow(again)
    except VaultError as error:
        _fail(error)
    click.echo(f"Airflow: {server.url}   desk: {again.settings().desk.url}")


@demo.command()
def down() -> None:
    """Stop everything that the demo started."""
    _stop(HOME.absolute())
    click.echo("The demo is stopped.")


def _stop(home: Path) -> None:
    stop_airflow(home)
    installation.stop(home)


def _fail(error: VaultError) -> NoReturn:
    click.echo(f"{error.code}: {error.advice}", err=True)
    raise SystemExit(error.exit_code)
