"""An evidence bundle: one subject's looks in a folder that anybody checks with public keys and two short programs.

Each shown entry comes with the key of its own envelope, which opens nothing else. Who looked is in it only
when asked for. The folder appears whole under its name, or not at all.
"""

import base64
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.accesslog.answers import Told, tlog_proof
from vault.accesslog.entries import key_ref
from vault.accesslog.leaves import VERSION, parse_leaf, seconds
from vault.accesslog.notes import VerifierKey, parse_checkpoint, parse_note, render_vkey
from vault.accesslog.tlogproof import MAP_SUFFIX, SUFFIX, render_map_proof, render_proof
from vault.crypto.durable import sync_directory
from vault.crypto.envelope import Context
from vault.crypto.opening import open_with, opening_of
from vault.domain.private import Private
from vault.errors import RefusedError, WrongUseError
from vault.storage import log as table
from vault.storage.database import Database

_DIGITS = 12
_PROGRAMS = ("standalone.py", "openings.py")
_README = Path(__file__).with_name("bundle.txt")


@dataclass(frozen=True, slots=True)
class Handout(Private):
    """What a bundle is made of.

    :param told: the subject's looks, proved.
    :param subject: whose they are.
    :param shown: indexes of the entries that are opened; the others are proved only.
    :param staff: whether who looked is opened too.
    :param keys: the log's public keys; ``witnesses`` are those of its witnesses, as their files hold them.
    """

    told: Told
    subject: str
    shown: Collection[int]
    staff: bool
    keys: Sequence[VerifierKey]
    witnesses: Sequence[str]


def write_bundle(folder: Path, handout: Handout, database: Database, key_of: Callable[[str], bytes]) -> int:
    """Write a bundle; give the number of proved looks.

    :param folder: must not be there yet; only its owner may read it.
    :param key_of: opens a log key by its reference.
    :raises RefusedError: no checkpoint covers anything yet.
    :raises TamperedError: an envelope is not the one that its leaf commits to.
    :raises WrongUseError: the folder is there or can't be made.
    """
    if handout.told.against.checkpoint is None:
        raise RefusedError("nothing_published", "the log has no checkpoint yet; run the step publish and ask again")
    draft = folder.with_name(f".{folder.name}.draft")
    try:
        if folder.exists():
            raise WrongUseError("bundle_there", "such a folder is there already; give --bundle another name")
        shutil.rmtree(draft, ignore_errors=True)  # of a run that was killed
        draft.mkdir(mode=0o700)
        try:
            count = _fill(draft, handout, database, key_of)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        sync_directory(folder.parent)
    except OSError:
        raise WrongUseError("bundle_folder", "the folder can't be written there; give --bundle another place") from None
    return count


def _fill(draft: Path, handout: Handout, database: Database, key_of: Callable[[str], bytes]) -> int:
    proved = 0
    for name, data in _proofs(handout):
        _put(draft / name, data)
        proved += name.startswith("entries/")
    for name, data in _openings(handout, database, key_of):
        _put(draft / name, data)
    for name, data in _beside(handout, proved):
        _put(draft / name, data)
    for directory in (draft / "entries", draft / "map", draft):
        if directory.is_dir():
            sync_directory(directory)
    return proved


def _proofs(handout: Handout) -> Iterator[tuple[str, bytes]]:
    told = handout.told
    for at, entry in enumerate(told.entries):
        if proof := told.published(at):
            yield f"entries/{entry.index:0{_DIGITS}d}{SUFFIX}", render_proof(proof)
    if told.complete and (day := tlog_proof(told.complete.leaf, told.complete.proof, told.against)):
        yield f"day{SUFFIX}", render_proof(day)
        for number, line in enumerate(told.complete.lines):
            yield f"map/{number}{MAP_SUFFIX}", render_map_proof(line)


def _openings(handout: Handout, database: Database, key_of: Callable[[str], bytes]) -> Iterator[tuple[str, bytes]]:
    told = handout.told
    wanted = {index for index in handout.shown if index < told.against.checkpoint_size}
    leaves = {entry.index: entry.leaf for entry in told.entries}
    tag = parse_leaf(told.entries[0].leaf).tag if told.entries else None
    if tag is None:
        return
    with database.connect() as connection:
        for row in table.tagged(connection, tag):
            if row.index in wanted and row.leaf == leaves.get(row.index):
                data = _opening(row, handout, key_of)
                yield f"entries/{row.index:0{_DIGITS}d}.json", json.dumps(data, ensure_ascii=False, indent=1).encode()


def _opening(row: table.LeafRow, handout: Handout, key_of: Callable[[str], bytes]) -> dict[str, Any]:
    leaf = parse_leaf(row.leaf)
    ref = key_ref(handout.subject, leaf.case, leaf.time)

    def part(column: str, envelope: bytes) -> dict[str, Any]:
        place = Context("log_leaves", seconds(leaf.time), column, ref.rpartition("/")[0], VERSION)
        opening = opening_of(key_of(ref), place, envelope)
        return {
            "says": json.loads(open_with(opening, envelope)),
            "envelope": base64.b64encode(envelope).decode("ascii"),
            "key": opening.key.hex(),
            "nonce": opening.nonce.hex(),
        }

    data: dict[str, Any] = {"index": row.index, "entry": part("entry", row.entry)}
    if handout.staff:
        data["staff"] = part("staff", row.staff) | {"mark": (row.reader or b"").hex()}
    return data


def _beside(handout: Handout, proved: int) -> Iterator[tuple[str, bytes]]:
    note = (handout.told.against.checkpoint or "").encode()
    yield "checkpoint", note
    yield "log.vkey", "".join(f"{render_vkey(key)}\n" for key in handout.keys).encode()
    if handout.witnesses:
        yield "witnesses.vkey", "".join(f"{text}\n" for text in handout.witnesses).encode()
    for name in _PROGRAMS:
        yield name, Path(__file__).with_name(name).read_bytes()
    checkpoint = parse_checkpoint(parse_note(note).text)
    text = _README.read_text(encoding="utf-8").format(
        origin=checkpoint.origin,
        size=checkpoint.size,
        looks=proved,
        shown=sum(index < checkpoint.size for index in handout.shown),
        complete=_complete(handout.told),
        command=_command(handout, proved),
    )
    yield "README.txt", text.encode()


def _complete(told: Told) -> str:
    if told.complete is None:
        return "No closed day stands under the checkpoint yet: that nothing is left out is not proved."
    count = sum(told.complete.covers(entry.index) for entry in told.entries)
    return (
        f"Up to the end of {told.complete.until} these are all {count} looks; later ones are not yet proved complete."
    )


def _command(handout: Handout, proved: int) -> str:
    told = handout.told
    words = ["python3 standalone.py --proof", *(["entries/*.tlog-proof"] if proved else [])]
    words += ["day.tlog-proof", *(["--map map/*.map-proof"] if proved else [])] if told.complete else []
    words += [f"--key '{render_vkey(key)}'" for key in handout.keys]
    return " ".join(words + [f"--witness '{text}'" for text in handout.witnesses])


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
