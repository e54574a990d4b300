"""``dsr keys``: make the keys, serve them, ask the key service how it fares."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from vault.cli.output import Answer, answering
from vault.crypto.keydir import KeyDirectory
from vault.crypto.policy import RATES, parse_rate
from vault.domain.roles import OfficeName
from vault.errors import WrongUseError
from vault.settings import KeySettings, load, read_secret

_FILE = click.Path(path_type=Path)


@click.group()
def keys() -> None:
    """Keys in custody: make them, serve them, look after them."""


@keys.command()
@click.argument("directory", type=_FILE)
@click.option("--origin", default="dsr-vault.example/access-log", show_default=True, help="The access log's name.")
@answering
def init(directory: Path, origin: str) -> Answer:
    """Make keys, passphrase, tokens and public halves in DIRECTORY; what stands there stays."""
    from vault.crypto import keydir

    made = keydir.init(directory, origin)
    lines = [f"made {name}" for name in made] or ["everything stands already; nothing was changed"]
    return Answer({"ok": True, "made": made}, lines)


@keys.command()
@click.option("--directory", type=_FILE, help="A directory from `dsr keys init`; else the settings say where.")
@click.option("--socket", type=_FILE, help="The socket to serve on.")
@click.option("--key-file", type=_FILE, help="The sealed keys.")
@click.option("--passphrase-file", type=_FILE, help="Their passphrase.")
@click.option("--audit-file", type=_FILE, help="The key service's own audit.")
@click.option("--token", "tokens", multiple=True, metavar="OFFICE=FILE", help="An office's token file; repeat.")
@click.option("--uid", "uids", multiple=True, type=int, help="An account that may connect; repeat. Else only our own.")
@click.option("--rate", "rates", multiple=True, metavar="OFFICE:VERB=N", help="At most N a second; repeat.")
@answering
def serve(
    *, directory: Path | None, tokens: Sequence[str], uids: Sequence[int], rates: Sequence[str], **given: Path | None
) -> Answer:
    """Serve the keys on a Unix socket until SIGTERM."""
    from vault.crypto import daemon

    settings = _settings(directory, given, dict(map(_pair, tokens)))
    plan = daemon.Plan(
        socket=settings.socket,
        key_file=_present(settings.key_file, "key-file"),
        passphrase_file=_present(settings.passphrase_file, "passphrase-file"),
        audit_file=_present(settings.audit_file, "audit-file"),
        token_files=settings.token_files,
        uids=frozenset(uids),
        rates={**RATES, **dict(map(parse_rate, rates))},
    )
    daemon.serve(plan, lambda: click.echo("the key service is ready"))
    return Answer({"ok": True}, ["the key service has stopped"])


@keys.command()
@click.option("--directory", type=_FILE, help="A directory from `dsr keys init`; else the settings say where.")
@click.option("--socket", type=_FILE, help="The key service's socket.")
@click.option("--token-file", type=_FILE, help="Any office's token; else the operator's.")
@answering
def status(directory: Path | None, socket: Path | None, token_file: Path | None) -> Answer:
    """Ask the key service whether it answers, since when, and how often it granted and refused."""
    from vault.crypto.local import LocalKeyService

    operator = OfficeName.OPERATOR.value
    settings = _settings(directory, {"socket": socket}, {operator: token_file} if token_file else {})
    token = read_secret(_present(settings.token_files.get(operator), "token-file"))
    found = LocalKeyService(settings.socket, token).status()
    since = found.since.isoformat()
    data = {"ok": True, "office": found.office, "since": since, "granted": found.granted, "refused": found.refused}
    return Answer(data, [f"up since {since}: {found.granted} uses granted, {found.refused} refused"])


def _settings(directory: Path | None, given: Mapping[str, Path | None], tokens: Mapping[str, Path]) -> KeySettings:
    """Join what was given with a key directory, else with the settings file where something is missing."""
    told: dict[str, Any] = {name: path for name, path in given.items() if path}
    told |= {"token_files": dict(tokens)} if tokens else {}
    if directory:
        return KeySettings.model_validate(_layout(KeyDirectory(directory)) | told)
    if tokens and all(given.values()):
        return KeySettings.model_validate(told)
    return load().keys.model_copy(update=told)


def _layout(files: KeyDirectory) -> dict[str, Any]:
    names = ("socket", "token_files", "key_file", "passphrase_file", "audit_file")
    return {name: getattr(files, name) for name in names}


def _present(path: Path | None, option: str) -> Path:
    if path is None:
        raise WrongUseError("key_setting_missing", f"give --{option}, or set it under [keys] in the settings")
    return path


def _pair(text: str) -> tuple[str, Path]:
    office, _, file = text.partition("=")
    if not office or not file:
        raise WrongUseError("token_malformed", "write a token file as OFFICE=FILE")
    return office, Path(file)
