"""kill -9 at every point of an append and of publishing: no receipt without an entry, and the next run goes on."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.accesslog.notes import VerifierKey
from vault.accesslog.recount import verify_database
from vault.accesslog.sources import DirectorySource
from vault.accesslog.verify import verify_published
from vault.settings import DatabaseSettings
from vault.storage import log as table
from vault.storage.database import Database, conninfo
from vault.storage.migrate import migrate
from vault.testing.accesslog import ORIGIN, LogBench, MemoryShelf, log_bench, look
from vault.testing.postgres import postgres

SEED = bytes([1] * 32)
KEY = VerifierKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw())
CHILD = """
import os, signal, sys
from pathlib import Path
from vault.accesslog import log as logs, publish as publishing, receipts
from vault.crypto.custody import Custody, Keys
from vault.crypto.keyservice import BOXES, LABELS, SIGNERS
from vault.errors import ConflictError, KeyMissingError
from vault.storage import log as table
from vault.storage.database import Database
from vault.testing.accesslog import ORIGIN, look
from vault.testing.keyservice import memory_ring

point, number, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
info = sys.stdin.read()

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def killing(owner, name, after):
    # kill at the number-th call, before or after it
    true, calls = getattr(owner, name), iter(range(10**6))
    def call(*args, **kwargs):
        due = next(calls) == number
        if due and not after:
            die()
        result = true(*args, **kwargs)
        if due and after:
            die()
        return result
    setattr(owner, name, call)

class Folder:
    def put_locked(self, key, data):
        path = folder / key
        if path.exists():
            assert path.read_bytes() == data, key
            return
        self.replace_locked(key, data)
    def replace_locked(self, key, data):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.draft")  # several are put at once
        draft.write_bytes(data)
        os.replace(draft, path)
    def get_locked(self, key):
        try:
            return (folder / key).read_bytes()
        except OSError:
            raise KeyMissingError("missing", key) from None

# keys from a fixed seed, so that all children are one log
seeds = [{name: bytes([1] * 32) for name in names} for names in (BOXES, LABELS, SIGNERS)]
service = Custody(Keys(1, {1: bytes(32)}, *seeds))
database = Database(info)
log = logs.AccessLog(database, memory_ring(service), service)
if point == "sealing":
    killing(logs, "seal_access", True)
elif point == "sent":
    killing(table, "append", False)
elif point == "committed":
    killing(table, "append", True)
elif point == "receipt":
    killing(receipts.ReceiptBook, "issue", True)
elif point in ("put", "put-done"):
    killing(Folder, "put_locked", point == "put-done")
elif point in ("head", "head-done"):
    killing(Folder, "replace_locked", point == "head-done")
elif point in ("row", "row-done"):
    killing(table, "add_checkpoint", point == "row-done")
elif point == "signing":
    killing(publishing, "sign_checkpoint", True)
if point in ("none", "sealing", "sent", "committed", "receipt"):
    receipt = log.record([look()] * 3)[0]
    print("receipt", receipt.index, flush=True)
else:
    print("published", publishing.publish(publishing.LogParts(database, service, ORIGIN), Folder()).size, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Place:
    """The database, and the folder that children publish to."""

    settings: DatabaseSettings
    bench: LogBench
    folder: Path

    def run(self, point: str, number: int = 0) -> str | None:
        """Run a child that is killed at a point; give what it printed, None where it was killed."""
        done = subprocess.run(
            [sys.executable, "-c", CHILD, point, str(number), str(self.folder)],
            input=conninfo(self.settings),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode == -signal.SIGKILL:
            assert done.stdout == "", "nothing may be printed before the kill"
            return None
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def size(self) -> int:
        with self.bench.database.connect() as connection:
            return sum(1 for _ in table.rows(connection))


@pytest.fixture(scope="module")
def settings() -> Iterator[DatabaseSettings]:
    with postgres() as server:
        made = server.create_database("dsr_faults")
        migrate(made)
        yield made


@pytest.fixture
def place(settings: DatabaseSettings, tmp_path: Path) -> Iterator[Place]:
    database = Database(settings)
    yield Place(settings, log_bench(database), tmp_path)
    database.close()


@pytest.mark.parametrize(
    ("point", "entries"),
    [
        ("sealing", 0),  # one of three is sealed
        ("sent", 0),  # all are sealed, nothing is sent
        ("committed", 3),  # durable, and nobody has a receipt
        ("receipt", 3),  # a receipt was made and died with its process
    ],
)
def test_a_killed_append_is_whole_or_nothing_and_gives_no_receipt(place: Place, point: str, entries: int) -> None:
    assert place.run("none") == "receipt 0"

    assert place.run(point) is None

    assert place.size() == 3 + entries
    assert place.run("none") == f"receipt {3 + entries}"  # the lock of the dead is free, the index goes on
    assert verify_database(place.bench.database, KEY, None).faults == []


def test_a_killed_publisher_is_finished_by_the_next(place: Place) -> None:
    place.run("none")
    published = [place.run("publish")]
    points = [("signing", 0), ("row", 0), ("row-done", 0), ("head", 0), ("head-done", 0)]
    points += [(point, number) for number in range(3) for point in ("put", "put-done")]

    for point, number in points:
        place.bench.log.record([look()] * 3)
        assert place.run(point, number) is None, (point, number)
    published.append(place.run("publish"))
    published.append(place.run("publish"))

    size = place.size()
    assert published == ["published 3", f"published {size}", f"published {size}"]
    assert verify_published(DirectorySource(place.folder), KEY).to_json()["size"] == size
    assert verify_published(DirectorySource(place.folder), KEY).faults == []
    assert verify_database(place.bench.database, KEY, copied(place.folder)).faults == []


def copied(folder: Path) -> MemoryShelf:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".draft")
    return MemoryShelf({str(path.relative_to(folder)): [path.read_bytes()] for path in files})
