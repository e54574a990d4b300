"""``dsr log copy``: keep a copy of the published log on a machine of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vault.cli.output import Answer, answering
from vault.errors import WrongUseError

if TYPE_CHECKING:
    from vault.accesslog.notes import VerifierKey
    from vault.accesslog.sources import Source


@click.command("copy")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.option("--from", "url", metavar="URL", help="The log's web address; else the bucket that the settings name.")
@click.option("--key", "vkeys", metavar="VKEY", multiple=True, help="The log's public key; repeat; needed with --from.")
@answering
def copy(directory: Path, url: str | None, vkeys: tuple[str, ...]) -> Answer:
    """Copy the published log into DIR; again, what is new. A log that is not the copied one is refused."""
    from vault.accesslog.mirror import copy_log
    from vault.accesslog.notes import root_text

    source, keys = _from_url(url, vkeys) if url is not None else _from_bucket(vkeys)
    copied = copy_log(source, directory, keys)
    size, root = copied.head.size, root_text(copied.head.root)
    data = {"ok": True, "size": size, "root": root, "files": copied.files}
    return Answer(data, [f"{size} entries, root {root}; {copied.files} new files"])


def _from_url(url: str, vkeys: tuple[str, ...]) -> "tuple[Source, tuple[VerifierKey, ...]]":
    from vault.accesslog.notes import parse_vkeys
    from vault.accesslog.sources import HttpSource

    if not vkeys:
        raise WrongUseError("key_missing", "give --key with the log's public key, which its controller published")
    return HttpSource(url), parse_vkeys("\n".join(vkeys))


def _from_bucket(vkeys: tuple[str, ...]) -> "tuple[Source, tuple[VerifierKey, ...]]":
    from vault.accesslog.mirror import ShelfSource
    from vault.accesslog.notes import parse_vkeys
    from vault.settings import load
    from vault.storage.objects import Objects

    settings = load()
    text = "\n".join(vkeys)
    if not vkeys:
        try:
            text = settings.log.public_key_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            advice = "the file of log.public_key_file can't be read; copy it there"
            raise WrongUseError("log_key_missing", advice) from None
    return ShelfSource(Objects(settings.objects)), parse_vkeys(text)
