"""``dsr desk``: serves the staff's pages; nothing personal goes into its log."""

from contextlib import ExitStack

import click

from vault.domain.roles import OfficeName
from vault.errors import VaultError
from vault.office import holds, open_office


@click.command()
def desk() -> None:
    """Serve the desk until it is told to stop."""
    import uvicorn

    from vault.desk.app import create_app

    try:
        with ExitStack() as opened:
            parts = opened.enter_context(open_office("desk"))
            settings = parts.settings.desk
            audits = holds(parts.settings, OfficeName.AUDIT)
            audit = opened.enter_context(open_office("audit", parts.settings)) if audits else None
            app = create_app(parts, audit)
            uvicorn.run(
                app,
                host=settings.host,
                port=settings.port,
                access_log=False,
                log_level="warning",
                server_header=False,
                timeout_graceful_shutdown=5,
            )
    except VaultError as error:
        click.echo(f"{error.code}: {error.advice}", err=True)
        raise SystemExit(error.exit_code) from None
