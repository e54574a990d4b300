"""``dsr``: the same verbs for people, scripts and conformance tests.

Commands are imported when called, so that `dsr hetu` does not load a web server.
"""

import importlib
from typing import cast

import click

COMMANDS: dict[str, str] = {
    "clock": "vault.cli.rules:clock",
    "hetu": "vault.cli.rules:hetu",
    "mrz": "vault.cli.rules:mrz",
    "inspect": "vault.cli.inspect:inspect",
    "log": "vault.cli.log:log",
    "package": "vault.cli.package:package",
    "cases": "vault.cli.cases:cases",
    "case": "vault.cli.cases:case",
    "step": "vault.cli.cases:step",
    "print": "vault.cli.prints:prints",
    "doctor": "vault.cli.doctor:doctor",
    "migrate": "vault.cli.cases:migrate",
    "database": "vault.cli.database:database",
    "keys": "vault.cli.keys:keys",
    "desk": "vault.cli.desk:desk",
    "demo": "vault.testing.demo.command:demo",
    "airflow": "vault.cli.airflow:airflow",
    "bench": "vault.cli.bench:bench",
    "form": "vault.cli.form:form",
    "register": "vault.cli.register:register",
    "witness": "vault.cli.witness:witness",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        return cast("click.Command", getattr(importlib.import_module(module), name))


@click.group(cls=_Lazy)
@click.version_option(package_name="dsr-vault")
def main() -> None:
    """Answer people who ask what is held about them."""
