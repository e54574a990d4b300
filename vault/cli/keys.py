"""``dsr keys``: make the keys, serve them, ask the key service how it fares."""

from collections.abc import Sequence
from pathlib import Path

import click

from vault.cli.keys_held import held_settings
from vault.cli.keys_mail import mail
from vault.cli.keys_places import DIRECTORY, FILE, pair, present, settings_for
from vault.cli.keys_recovery import recover, split
from vault.cli.keys_roots import list_keys, rewrap, root, shred
from vault.cli.keys_signers import signer
from vault.cli.output import Answer, answering
from vault.crypto.policy import RATES, parse_rate
from vault.domain.roles import OfficeName
from vault.settings import read_secret

_CUSTODIES = ("local", "aws-kms", "pkcs11")
_CUSTODY_HELP = "What holds the root keys: a key file in DIRECTORY, or what the settings name under [keys]."


@click.group()
def keys() -> None:
    """Keys in custody: make them, serve them, look after them."""


@keys.command()
@click.argument("directory", type=FILE)
@click.option("--origin", default="dsr-vault.example/access-log", show_default=True, help="The access log's name.")
@click.option("--custody", type=click.Choice(_CUSTODIES), default="local", show_default=True, help=_CUSTODY_HELP)
@answering
def init(directory: Path, origin: str, custody: str) -> Answer:
    """Make keys, passphrase, tokens and public halves in DIRECTORY; what stands there stays."""
    from vault.crypto import holder_setup, keydir

    if custody == "local":
        made = keydir.init(directory, origin)
    else:
        made = holder_setup.init_held(directory, origin, held_settings(custody))
    lines = [f"made {name}" for name in made] or ["everything stands already; nothing was changed"]
    return Answer({"ok": True, "made": made}, lines)


@keys.command()
@DIRECTORY
@click.option("--socket", type=FILE, help="The socket to serve on.")
@click.option("--key-file", type=FILE, help="The sealed keys.")
@click.option("--passphrase-file", type=FILE, help="Their passphrase.")
@click.option("--audit-file", type=FILE, help="The key service's own audit.")
@click.option("--token", "tokens", multiple=True, metavar="OFFICE=FILE", help="An office's token file; repeat.")
@click.option("--uid", "uids", multiple=True, type=int, help="An account that may connect; repeat. Else only our own.")
@click.option("--rate", "rates", multiple=True, metavar="OFFICE:VERB=N", help="At most N a second; repeat.")
@answering
def serve(
    *, directory: Path | None, tokens: Sequence[str], uids: Sequence[int], rates: Sequence[str], **given: Path | None
) -> Answer:
    """Serve the keys on a Unix socket until SIGTERM; SIGHUP opens the root keys anew."""
    from vault.crypto import daemon
    from vault.crypto.holders import open_holder
    from vault.crypto.keydir import ledger_beside

    told = dict(map(pair, tokens))
    settings = settings_for(directory, given, told)
    audit_file = present(settings.audit_file, "audit-file")
    plan = daemon.Plan(
        socket=settings.socket,
        open_holder=lambda: open_holder(settings_for(directory, given, told)),  # the settings as they are then
        custody=settings.custody,
        audit_file=audit_file,
        ledger_file=settings.ledger_file or ledger_beside(audit_file),
        token_files=settings.token_files,
        uids=frozenset(uids),
        rates={**RATES, **dict(map(parse_rate, rates))},
    )
    daemon.serve(plan, lambda: click.echo("the key service is ready"))
    return Answer({"ok": True}, ["the key service has stopped"])


@keys.command()
@DIRECTORY
@click.option("--socket", type=FILE, help="The key service's socket.")
@click.option("--token-file", type=FILE, help="Any office's token; else the operator's.")
@answering
def status(directory: Path | None, socket: Path | None, token_file: Path | None) -> Answer:
    """Ask the key service since when it answers, what it holds, and how often it granted and refused."""
    from vault.crypto.local import LocalKeyService

    operator = OfficeName.OPERATOR.value
    settings = settings_for(directory, {"socket": socket}, {operator: token_file} if token_file else {})
    token = read_secret(present(settings.token_files.get(operator), "token-file"))
    service = LocalKeyService(settings.socket, token)
    found, signers = service.status(), service.signers("log")
    data = {
        "ok": True,
        "office": found.office,
        "since": found.since.isoformat(),
        "granted": found.granted,
        "refused": found.refused,
        "custody": found.custody,
        "primary": found.roots.primary,
        "held": list(found.roots.held),
        "destroyed": found.destroyed,
        "log_signer": {"primary": signers.primary, "held": list(signers.held)},
    }
    held, versions = (", ".join(map(str, numbers)) for numbers in (found.roots.held, signers.held))
    lines = [
        f"up since {data['since']}: {found.granted} uses granted, {found.refused} refused",
        f"the log's signer: version {signers.primary} signs first; held: {versions}",
        f"custody {found.custody}: root {found.roots.primary} wraps; held: {held}; {found.destroyed} keys destroyed",
    ]
    return Answer(data, lines)


for _command in (mail, root, signer, rewrap, list_keys, shred, split, recover):
    keys.add_command(_command)
