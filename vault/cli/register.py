"""``dsr register``: what the office registry does with the patient register."""

import click

from vault.cli.honey import honey


@click.group()
def register() -> None:
    """Keep the patient register."""


register.add_command(honey)
