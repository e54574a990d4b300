"""``dsr witness``: a witness of the access log on a machine of the data protection officer's own."""

from pathlib import Path

import click

from vault.cli.output import Answer, answering

_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
_FILE = click.Path(path_type=Path, dir_okay=False)
_LOG = click.option("--log", "where", required=True, metavar="DIR_OR_URL", help="Where the log is published or copied.")


@click.group()
def witness() -> None:
    """Cosigns the access log's checkpoints, after reading all that they stand for."""


@witness.command()
@_DIRECTORY
@click.option("--name", required=True, help="The witness's name, such as dpo.example/witness.")
@click.option("--log-keys", required=True, type=_FILE, help="The log's public keys: its controller's log.vkey.")
@answering
def init(directory: Path, name: str, log_keys: Path) -> Answer:
    """Make a witness's key and state in DIRECTORY; what stands there stays."""
    from vault.accesslog.witness.keys import WitnessPlace
    from vault.accesslog.witness.keys import init as make
    from vault.errors import WrongUseError

    try:
        text = log_keys.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise WrongUseError("log_key_missing", "the file of --log-keys can't be read; copy log.vkey there") from None
    made = make(directory, name, text)
    vkey = WitnessPlace(directory).vkey_file.read_text(encoding="utf-8").removesuffix("\n")
    lines = [f"made {name}" for name in made] or ["everything stands already; nothing was changed"]
    return Answer({"ok": True, "made": made, "vkey": vkey}, [*lines, vkey])


@witness.command()
@_DIRECTORY
@_LOG
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8095, show_default=True, type=click.IntRange(0, 65535), help="The port.")
@answering
def serve(directory: Path, where: str, host: str, port: int) -> Answer:
    """Serve add-checkpoint of c2sp.org/tlog-witness until SIGTERM."""
    from datetime import UTC, datetime

    from vault.accesslog.sources import DirectorySource, HttpSource
    from vault.accesslog.witness.keys import WitnessPlace
    from vault.accesslog.witness.server import serve as run
    from vault.accesslog.witness.service import SOURCE_SECONDS, WitnessService

    place = WitnessPlace(directory)
    state, signer = place.open()
    remote = where.startswith(("http://", "https://"))
    source = HttpSource(where, seconds=SOURCE_SECONDS) if remote else DirectorySource(Path(where))
    service = WitnessService(state, signer, place.log_keys(), source, lambda: datetime.now(UTC))
    run(service, host, port, lambda bound: click.echo(f"the witness {signer.name} listens on port {bound}"))
    return Answer({"ok": True}, ["the witness has stopped"])


@witness.command()
@_DIRECTORY
@_LOG
@answering
def check(directory: Path, where: str) -> Answer:
    """Read what is published now and compare it with what was cosigned; exit 1 when they differ."""
    from datetime import UTC, datetime

    from vault.accesslog.sources import open_source
    from vault.accesslog.witness.check import check_published
    from vault.accesslog.witness.keys import WitnessPlace

    place = WitnessPlace(directory)
    state, _ = place.open()
    verdict = check_published(state, place.log_keys(), open_source(where), datetime.now(UTC))
    data = verdict.to_json()
    lines = [f"{verdict.size} entries, root {data['root']}"]
    lines += [f"{fault['code']}: {fault['at']}" for fault in data["faults"]]
    lines.append("it goes on from what was cosigned" if verdict.ok else "THE LOG IS NOT what this witness saw")
    return Answer(data, lines, verdict.ok)


@witness.command()
@_DIRECTORY
@answering
def status(directory: Path) -> Answer:
    """Tell what was cosigned last, how far the log is read, and what was refused; exit 1 when something was."""
    from vault.accesslog.notes import root_text
    from vault.accesslog.witness.keys import WitnessPlace

    state, signer = WitnessPlace(directory).open()
    with state.change() as memory:
        found, reading, refused = memory.remembered(), memory.reading(), memory.refused()
    data = {
        "ok": not refused,
        "name": signer.name,
        "vkey": found.vkey,
        "origin": found.origin,
        "size": found.head.size,
        "root": root_text(found.head.root),
        "cosigned_at": found.at.isoformat() if found.at else None,
        "read": reading.size,
        "closed_day": reading.day.isoformat() if reading.day else None,
        "refused": [{"at": one.at.isoformat(), "code": one.code, "checkpoint": one.note} for one in refused],
    }
    lines = [
        f"{signer.name} for {found.origin}",
        f"cosigned {found.head.size} entries at {data['cosigned_at'] or 'no time yet'}; read {reading.size}",
        f"closed days are right up to {data['closed_day'] or 'none yet'}",
        *(f"REFUSED {one.at.isoformat()}: {one.code}\n{one.note}" for one in refused),
    ]
    return Answer(data, lines, not refused)
