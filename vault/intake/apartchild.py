"""The inside of a child that opens mails: gives up what it does not need, then answers one mail after the other.

Run as ``python -m vault.intake.apartchild MEMORY SECONDS FILES`` by :mod:`vault.intake.apart`, which it talks to over
the socket that stands in for its standard input; when that closes, it ends.
"""

import contextlib
import functools
import os
import resource
import signal
import socket
import sys
from pathlib import Path

from vault.errors import VaultError
from vault.intake.apart import LENGTH, OwnKeys, Ready, Said
from vault.intake.child import ANSWERED, FAILED, NO_MEMORY, RAISED, bound, give_up_network
from vault.intake.frames import pack, receive, unpack
from vault.intake.mail import MailTools, open_mail
from vault.intake.openpgp import OpenPgp
from vault.intake.smime import Smime
from vault.intake.tool import confined


def main(arguments: list[str]) -> None:
    """Take the keys, then mails, until the parent is gone."""
    memory, seconds, files = map(int, arguments)
    give_up_network()
    os.umask(0o077)
    for kind, wanted in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, files)):
        bound(kind, wanted)
    confined()
    with socket.socket(fileno=os.dup(0)) as parent, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)  # no program that is started here may speak for this one
        take = functools.partial(receive, parent)
        tools = _tools(unpack(OwnKeys, take))
        _send(parent, [ANSWERED, *pack(Ready())])
        with contextlib.suppress(ConnectionResetError):  # the parent is gone
            while True:
                raw = take(int.from_bytes(take(LENGTH), "big"))
                signal.setitimer(signal.ITIMER_REAL, seconds)  # nobody catches it: it ends this process
                answer = _answer(raw, tools)
                signal.setitimer(signal.ITIMER_REAL, 0)
                del raw
                _send(parent, answer)
                del answer


def _tools(keys: OwnKeys) -> MailTools:
    openpgp = OpenPgp(Path(keys.home) if keys.home else None, keys.passphrase)
    return MailTools(openpgp, Smime(keys.smime), keys.limits, keys.known_keys)


def _answer(raw: bytes, tools: MailTools) -> list[bytes]:
    try:
        return [ANSWERED, *pack(open_mail(raw, tools))]
    except VaultError as error:
        return [RAISED, *pack(Said(type(error).__name__, error.code, error.advice))]
    except MemoryError:
        return [NO_MEMORY]
    except Exception:  # noqa: BLE001 - the parent turns any failure into one code; its text may be personal
        return [FAILED]


def _send(parent: socket.socket, pieces: list[bytes]) -> None:
    for piece in pieces:
        parent.sendall(piece)


if __name__ == "__main__":
    main(sys.argv[1:])
