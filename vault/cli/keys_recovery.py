"""``dsr keys split`` and ``dsr keys recover``: the passphrase in shares for custodians, and back."""

from pathlib import Path

import click

from vault.cli.keys_places import FILE
from vault.cli.output import Answer, answering
from vault.crypto.durable import write_once
from vault.crypto.keydir import KeyDirectory
from vault.crypto.keyfile import read_key_file, read_private_secret, read_sealed, unseal_keys
from vault.crypto.recovery import MOST_SHARES, join_shares, split_passphrase
from vault.crypto.sharefiles import read_share, write_shares
from vault.errors import RefusedError, TamperedError, WrongUseError

_NUMBER = click.IntRange(2, MOST_SHARES)


@click.command()
@click.argument("directory", type=FILE)
@click.option("--into", "folder", type=FILE, required=True, help="An empty folder for one file a custodian.")
@click.option("--shares", type=_NUMBER, default=3, show_default=True, help="How many custodians.")
@click.option("--threshold", type=_NUMBER, default=2, show_default=True, help="How many must come together.")
@answering
def split(directory: Path, folder: Path, shares: int, threshold: int) -> Answer:
    """Split the passphrase of DIRECTORY's key file into shares; nothing secret is printed."""
    files = KeyDirectory(directory)
    read_key_file(files.key_file, files.passphrase_file)  # shares of a passphrase that opens nothing help nobody
    words = split_passphrase(read_private_secret(files.passphrase_file), shares, threshold)
    written = write_shares(folder, words, threshold)
    if [" ".join(read_share(path).split()) for path in written] != words:
        raise RefusedError("shares_unproved", "the files don't hold what was written; remove them and try another disk")
    names = [path.name for path in written]
    line = f"any {threshold} of these {shares} open the key file; hand each to its custodian and remove it from here"
    return Answer({"ok": True, "made": names, "threshold": threshold}, [*names, line])


@click.command()
@click.argument("share_files", metavar="SHAREFILE...", type=FILE, nargs=-1, required=True)
@click.option("--into", type=FILE, required=True, help="Where the passphrase goes; a new file, mode 600.")
@click.option("--key-file", type=FILE, required=True, help="The sealed keys that it must open.")
@answering
def recover(share_files: tuple[Path, ...], into: Path, key_file: Path) -> Answer:
    """Join custodians' shares into the passphrase, once it has opened the key file."""
    names = [f"share {number}" for number in range(1, len(share_files) + 1)]
    passphrase = join_shares(dict(zip(names, map(read_share, share_files), strict=True)))
    sealed = read_sealed(key_file)
    try:
        unseal_keys(sealed, passphrase)
    except TamperedError:
        advice = "the shares join, but not to this key file's passphrase; bring the key file of their time"
        raise RefusedError("shares_of_another_file", advice) from None
    _write(into, passphrase)
    return Answer({"ok": True}, [f"the passphrase stands in {into.name} and opens {key_file.name}"])


def _write(into: Path, passphrase: str) -> None:
    try:
        made = write_once(into, f"{passphrase}\n".encode("ascii"), 0o600)
    except OSError as error:
        advice = f"the passphrase file can't be written ({error.strerror}); choose another place"
        raise WrongUseError("passphrase_file", advice) from None
    if made is None and read_private_secret(into) != passphrase:
        raise WrongUseError("passphrase_file", "another passphrase stands there; move it away, or choose another place")
