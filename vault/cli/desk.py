"""``dsr desk``: serves the staff's pages; nothing personal goes into its log."""

import click

from vault.errors import VaultError
from vault.office import open_office


@click.command()
def desk() -> None:
    """Serve the desk until it is told to stop."""
    import uvicorn

    from vault.desk.app import create_app

    try:
        with open_office("desk") as parts:
            settings = parts.settings.desk
            app = create_app(parts)
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
