"""What a started object store tells its users: where it is, and which files hold its keys."""

import json
from dataclasses import dataclass
from pathlib import Path

from vault.settings import ObjectSettings
from vault.testing import places, processes


@dataclass(frozen=True, slots=True)
class ObjectServer:
    """A running S3 server with one user, who may make buckets.

    :param home: its directory: key files, logs, pid files.
    :param stand_in: True when it keeps fewer promises than an object store must.
    """

    port: int
    home: Path
    stand_in: bool

    @property
    def endpoint(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"

    def settings(self, *, bucket: str = "dsr-vault", log_bucket: str = "dsr-vault-log") -> ObjectSettings:
        """Give the settings for two buckets, which the caller makes."""
        return ObjectSettings(
            endpoint=self.endpoint,
            # RADOS Gateway takes any region; moto takes buckets without a location only in its first one
            region="us-east-1" if self.stand_in else "eu-north-1",
            bucket=bucket,
            log_bucket=log_bucket,
            access_key_file=self.home / "access-key",
            secret_key_file=self.home / "secret-key",
        )

    def remember(self) -> None:
        """Note the port, so that a later process can adopt the server."""
        places.write_private(self.home / "server.json", json.dumps({"port": self.port}))


def keep_keys(home: Path, access_key: str, secret_key: str) -> None:
    """Write the user's two keys into files that only we may read."""
    places.write_private(home / "access-key", access_key)
    places.write_private(home / "secret-key", secret_key)


def recall(home: Path, *, count: int, stand_in: bool) -> ObjectServer | None:
    """Find the server that runs from `home`: all of its `count` processes, or None."""
    if len(processes.running_in(home)) < count:
        return None
    return ObjectServer(noted_port(home), home, stand_in)


def noted_port(home: Path) -> int:
    """Give the port under which the server was last started; 0 when it never was."""
    note = home / "server.json"
    return int(json.loads(note.read_text(encoding="utf-8"))["port"]) if note.exists() else 0
