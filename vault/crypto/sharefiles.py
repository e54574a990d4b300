"""One file for each custodian: what it is, what to do with it, and the words; only its owner may open it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vault.crypto.durable import write_once
from vault.errors import WrongUseError

_HEADING: Final = "WORDS"
_IN_A_ROW = 6  # words
_LARGEST = 64 * 1024  # bytes
_TEXT = """\
DSR Vault: share {number} of {shares} of the key service's passphrase

Any {threshold} of the {shares} shares give the passphrase back; fewer tell nothing.

You are its custodian. Keep it where nobody else comes to it and where it outlasts a fire elsewhere: a sealed
envelope in a safe will do. Never keep two shares in one place, never send this by mail, tell nobody the words.

When the keys must be recovered, meet the other custodian at the new machine, each with a share in a file (the words
alone will do, typed off), and run

    dsr keys recover SHARE SHARE --into passphrase --key-file keys.sealed

then remove the files from that machine. When a custodian leaves, take the share back and destroy it: a new split makes
other words, but the old ones go on giving the same passphrase.

The words are a share by SLIP-0039, without a passphrase of its own; other programs join them too. What comes out are
32 bytes; their base64url without "=" is the passphrase.

{heading}

{words}
"""


def write_shares(folder: Path, shares: Sequence[str], threshold: int) -> list[Path]:
    """Write each share into its own file, ``custodian-1.txt`` and so on, mode 600.

    :raises WrongUseError: the folder holds something already, or can't be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise WrongUseError(
                "share_folder_taken", "choose an empty folder for the shares; old ones don't mix with new"
            )
        paths = [folder / f"custodian-{number}.txt" for number in range(1, len(shares) + 1)]
        for number, (path, words) in enumerate(zip(paths, shares, strict=True), 1):
            write_once(path, _render(number, len(shares), threshold, words).encode("ascii"), 0o600)
    except OSError as error:
        raise WrongUseError("share_folder", f"the folder can't be written ({error.strerror}); choose another") from None
    return paths


def read_share(path: Path) -> str:
    """Give the words of a custodian's file; a file with nothing but words will do.

    :raises WrongUseError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise WrongUseError("share_missing", f"{path.name} can't be read; give the file of a custodian") from None
    lines = text.splitlines()
    start = lines.index(_HEADING) + 1 if _HEADING in lines else 0
    return " ".join(lines[start:])


def _render(number: int, shares: int, threshold: int, words: str) -> str:
    every = words.split()
    rows = [" ".join(every[start : start + _IN_A_ROW]) for start in range(0, len(every), _IN_A_ROW)]
    text = {"number": number, "shares": shares, "threshold": threshold}
    return _TEXT.format(**text, heading=_HEADING, words="\n".join(rows))
