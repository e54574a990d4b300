"""``dsr register``: what the office registry does with the patient register."""

import click

from vault.cli.honey import honey
from vault.cli.imports import import_


@click.group()
def register() -> None:
    """Keep the patient register."""


register.add_command(honey)
register.add_command(import_)
