"""gpg's agent is started before gpg would, so that it inherits no mail's limits, and is gone when it was ended.

An agent that was told to end answers a little longer. Whoever comes next must not take it for a living one:
it would remember a passphrase that was changed, or be gone when gpg asks it.
"""

import subprocess
import threading
import time
from pathlib import Path

from vault.domain.private import Private
from vault.errors import OutOfReachError

_ALIVE = 60.0  # seconds for which an agent that was seen is taken to be alive
_PATIENCE = 10.0  # seconds for one to start, or to end
_PAUSE = 0.02
_SEEN: dict[Path, float] = {}  # homes whose agents this process leaves running, and when each was seen
_TURN = threading.Lock()


class Agent(Private):
    """The agents of one home; one that was there before is left alone."""

    def __init__(self) -> None:
        self._seen = -_ALIVE
        self._ours = False
        self._turn = threading.Lock()

    @property
    def seen(self) -> bool:
        """Tell whether it was seen alive within the last minute."""
        return time.monotonic() - self._seen < _ALIVE

    @property
    def ours(self) -> bool:
        """Tell whether it was started here."""
        return self._ours

    def start(self, home: Path) -> None:
        """Start it unless it runs.

        :raises OutOfReachError: it does not start.
        """
        with self._turn:
            if self.seen:
                return
            if not is_running(home):
                _launch(home)
                self._ours = True
            self._seen = time.monotonic()

    def end(self, home: Path) -> None:
        """End it, if it was started here, and wait until it is gone."""
        with self._turn:
            if self._ours:
                end_agent(home)
            self._ours, self._seen = False, -_ALIVE


def keep_agent(home: Path, *, ask: bool = False) -> None:
    """Start a home's agent unless it runs, for whoever does not end it; one seen within the last minute is not asked.

    :param ask: ask it all the same.
    :raises OutOfReachError: it does not start.
    """
    real = home.resolve()
    with _TURN:
        if not ask and time.monotonic() - _SEEN.get(real, -_ALIVE) < _ALIVE:
            return
        if not is_running(home):
            _launch(home)
        _SEEN[real] = time.monotonic()


def is_running(home: Path) -> bool:
    """Tell whether a home's agent answers."""
    asks = ["gpg-connect-agent", "--homedir", str(home), "--no-autostart", "GETINFO pid", "/bye"]
    return b"OK" in subprocess.run(asks, capture_output=True, check=False).stdout  # it exits with 0 either way


def end_agent(home: Path) -> None:
    """End a home's agent and wait until it is gone."""
    _SEEN.pop(home.resolve(), None)
    ends = ["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"]
    subprocess.run(ends, capture_output=True, check=False)
    deadline = time.monotonic() + _PATIENCE
    while is_running(home) and time.monotonic() < deadline:
        time.sleep(_PAUSE)


def _launch(home: Path) -> None:
    """Launch it; where another is just ending, once more."""
    launch = ["gpgconf", "--homedir", str(home), "--launch", "gpg-agent"]
    deadline = time.monotonic() + _PATIENCE
    while subprocess.run(launch, capture_output=True, check=False, cwd="/").returncode != 0:
        if time.monotonic() >= deadline:
            raise OutOfReachError(
                "openpgp_agent", "gpg's agent does not start; try `gpgconf --launch gpg-agent` by hand"
            )
        time.sleep(_PAUSE)
