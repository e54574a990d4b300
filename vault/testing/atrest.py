"""Gathers everything that an installation leaves at rest, as places to search: what a thief of all of it would have."""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg

from vault.settings import DatabaseSettings, read_secret
from vault.storage.objects import Objects
from vault.testing import postgres, processes
from vault.testing.canaries import Place
from vault.testing.installation import Installation

TEMPORARY = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108 - looked into, not written to
_PIECE = 64_000_000  # bytes of a file that are searched at once
_OVERLAP = 4096
_OF_A_TEST = re.compile(r"dsr-(\w+-)?[a-z0-9_]{8}|dsrq-.*|pytest-of-.*")  # as vault.testing.places names them


def dumps(server: postgres.PostgresServer, database: DatabaseSettings) -> Iterator[Place]:
    """Dump a database as SQL and in PostgreSQL's own packed form."""
    process = processes.running_in(server.home)[0].pid
    program = Path(f"/proc/{process}/exe").readlink().with_name("pg_dump")  # of the server's own version
    command = [str(program), "-h", database.host, "-p", str(database.port), "-U", database.user, database.name]
    environment = {**os.environ, "PGPASSWORD": read_secret(database.password_file)}
    for form in ("plain", "custom"):
        done = subprocess.run([*command, f"--format={form}"], env=environment, check=True, capture_output=True)
        yield f"pg_dump {database.name} {form}", done.stdout


def checkpoint(server: postgres.PostgresServer) -> None:
    """Have the server write its memory to its files."""
    with psycopg.connect(server.dsn(server.admin), autocommit=True) as connection:
        connection.execute("checkpoint")


def objects(store: Objects) -> Iterator[Place]:
    """Fetch every object of both buckets; its name is searched too."""
    for key in store.list():
        yield f"bucket {key}", key.encode() + b"\n" + store.get(key)
    for key in store.list_locked():
        yield f"log bucket {key}", key.encode() + b"\n" + store.get_locked(key)


def files(root: Path, *, skip: Iterable[Path] = (), since: float = 0.0) -> Iterator[Place]:
    """Read every file below a folder with its path, symbolic links' targets too; what vanishes meanwhile is gone.

    :param skip: folders and files to leave out.
    :param since: only files that changed after this moment (seconds since the epoch).
    """
    left_out = {path.resolve() for path in skip}
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if (here / name).resolve() not in left_out]
        for path in (here / name for name in names):
            with suppress(OSError):
                if path.is_symlink():
                    yield str(path), f"{path}\n{path.readlink()}".encode(errors="surrogateescape")
                elif path.is_file() and path.resolve() not in left_out and path.stat().st_ctime >= since:
                    yield from _pieces(path)


def _pieces(path: Path) -> Iterator[Place]:
    """Read a file's data in pieces that overlap, and pass over its holes."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        yield str(path), os.fsencode(path)
        at = 0
        while at < size:
            with suppress(OSError):
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                end = min(os.lseek(file.fileno(), at, os.SEEK_HOLE), at + _PIECE)
                yield f"{path} @{at}", os.pread(file.fileno(), end - at, at)
                at = end if end == size else max(end - _OVERLAP, at + 1)
                continue
            return  # nothing but a hole is left


def temporary_files(since: float, *, skip: Iterable[Path] = ()) -> Iterator[Place]:
    """Read what changed in the temporary folders since a moment, but not other tests' servers."""
    for root in TEMPORARY:
        others = [path for path in root.iterdir() if _OF_A_TEST.fullmatch(path.name)]
        yield from files(root, skip=[*skip, *others], since=since)


def everything(installation: Installation, since: float, *, skip: Iterable[Path] = ()) -> Iterator[Place]:
    """Gather all of it: dumps, buckets, every server's own files and logs, the doors, the key audit, temporary files.

    :param since: when the run began, in seconds since the epoch.
    :param skip: what is not at rest with us, such as requesters' own homes.
    """
    settings = installation.settings()
    server = postgres.start(installation.home / "postgres")
    yield from dumps(server, settings.database)
    checkpoint(server)
    yield from objects(Objects(settings.objects))
    for root in roots(installation):
        yield from files(root, skip=skip)
    yield from temporary_files(since, skip=[*skip, *roots(installation)])


def roots(installation: Installation) -> list[Path]:
    """Name the folders that hold an installation: its home, its nest, and where servers had to keep their data."""
    notes = [note for name in ("base", "run") for note in installation.home.glob(f"*/{name}") if note.is_file()]
    return [installation.home, installation.nest, *(Path(note.read_text(encoding="utf-8")) for note in notes)]
