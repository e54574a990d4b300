"""``dsr database``: what the database's administrator runs once; the program itself never makes a role."""

import click

from vault.cli.output import Answer, answering
from vault.domain.roles import OfficeName
from vault.errors import WrongUseError
from vault.settings import DatabaseSettings, load, read_secret
from vault.storage.roles import role_sql, scram_verifier

_OFFICES = click.Choice([office.value for office in OfficeName])


@click.group()
def database() -> None:
    """Give each office a database role of its own."""


@database.command()
@click.option(
    "--office", "offices", multiple=True, type=_OFFICES, help="Only this one; repeat. Else all in the settings."
)
@answering
def roles(offices: tuple[str, ...]) -> Answer:
    """Print SQL that makes the offices' roles or gives them new passwords; for a role with CREATEROLE.

    It holds SCRAM verifiers, no password: `dsr database roles | psql -d DATABASE`. Then run `dsr migrate`.
    """
    settings = load().database
    verifiers = dict(_verifier(settings, office) for office in offices or sorted(settings.password_files))
    if not verifiers:
        raise WrongUseError("no_database_password", "name each office's password file in database.password_files")
    sql = role_sql(verifiers)
    return Answer({"roles": sorted(verifiers), "sql": sql}, [sql])


def _verifier(settings: DatabaseSettings, office: str) -> tuple[str, str]:
    account = settings.for_office(office)
    return account.user, scram_verifier(read_secret(account.password_file))
