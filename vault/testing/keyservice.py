"""Key services for tests and the demo: the verbs in this process, or the real daemon as a child on a private socket."""

import contextlib
import shutil
import socket as sockets
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vault.crypto.custody import Custody, make_keys
from vault.crypto.keydir import KeyDirectory, init
from vault.crypto.keyring import KeyRing
from vault.crypto.keyservice import KeyService
from vault.crypto.local import LocalKeyService
from vault.settings import read_secret
from vault.testing.places import guarded, private_directory
from vault.testing.processes import Running, launch, stop, wait_until

ORIGIN = "log.example/dsr-test"


class MemoryKeys:
    """Wrapped keys in memory (:class:`vault.crypto.keyring.WrappedKeys`)."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], dict[int, bytes]] = {}

    def get_many(self, kind: str, refs: Collection[str]) -> dict[str, bytes]:
        """Give the newest wrapped key of each reference that has one."""
        found = {ref: self.rows[kind, ref] for ref in refs if (kind, ref) in self.rows}
        return {ref: versions[max(versions)] for ref, versions in found.items()}

    def put_many(self, kind: str, version: int, wrapped: Mapping[str, bytes]) -> set[str]:
        """Add a version to each reference; give those where nobody was first."""
        mine = {ref for ref in wrapped if version not in self.rows.get((kind, ref), {})}
        for ref in mine:
            self.rows.setdefault((kind, ref), {})[version] = wrapped[ref]
        return mine


class MemorySealedKeys:
    """Sealed keys in memory (:class:`vault.crypto.keyring.SealedKeys`)."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, bytes]] = {}

    def get(self, owner: str) -> tuple[str, bytes] | None:
        """Give the box's name and the sealed key, or None."""
        return self.rows.get(owner)

    def put(self, owner: str, box: str, sealed: bytes) -> None:
        """Keep a sealed key."""
        self.rows[owner] = (box, sealed)


def memory_service() -> KeyService:
    """Make a key service in this process with fresh keys: every verb, no policy, no audit."""
    return Custody(make_keys())


def memory_ring(service: KeyService | None = None) -> KeyRing:
    """Make a key ring over tables in memory."""
    return KeyRing(service or memory_service(), MemoryKeys(), MemorySealedKeys())


@dataclass(frozen=True, slots=True)
class RunningKeyService:
    """A key daemon that runs now.

    :param files: its directory: keys, public halves, tokens by office, audit.
    """

    files: KeyDirectory
    socket: Path
    process: Running

    def client(self, office: str) -> LocalKeyService:
        """Connect as an office."""
        return LocalKeyService(self.socket, read_secret(self.files.token_files[office]))

    def audit_lines(self) -> list[str]:
        """Give what the daemon has written into its audit so far."""
        return self.files.audit_file.read_text(encoding="ascii").splitlines()


@contextlib.contextmanager
def start_key_service(directory: Path, *options: str) -> Iterator[RunningKeyService]:
    """Run the real daemon over the keys in a directory (made where they are missing); it ends with the block.

    :param directory: as ``dsr keys init`` makes it; the daemon's log goes to ``daemon.log`` there.
    :param options: further options of ``dsr keys serve``.
    """
    init(directory, ORIGIN)
    nest = private_directory("dsrk-")  # a short path of its own: a socket's path has at most 108 bytes
    try:
        running = launch_key_service(KeyDirectory(directory), nest / "s", options)
        try:
            with guarded([running.process], nest):
                yield running
        finally:
            stop(running.process)
    finally:
        shutil.rmtree(nest, ignore_errors=True)


def launch_key_service(files: KeyDirectory, socket: Path, options: Sequence[str] = ()) -> RunningKeyService:
    """Start the daemon and wait until it answers; the caller stops it.

    :raises OutOfReachError: it ended or did not answer; its log stands in the key directory.
    """
    program = [sys.executable, "-c", "from vault.cli import main; main()", "keys", "serve"]
    places = ["--directory", str(files.path), "--socket", str(socket)]
    process = launch([*program, *places, *options], log=files.path / "daemon.log", cwd=Path.cwd())
    wait_until(lambda: _accepts(socket), "the key service", process=process)
    return RunningKeyService(files, socket, process)


def _accepts(path: Path) -> bool:
    with contextlib.closing(sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)) as probe:
        return probe.connect_ex(str(path)) == 0
