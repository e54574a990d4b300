"""Feeds changed mails to everything that reads a stranger's bytes without another program, and watches time and memory.

``python -m vault.testing.mailfuzz SEEDS COUNT NUMBER`` tries ``COUNT`` of them in this process and prints what came of
it; ``NUMBER`` chooses which ones, so a find can be made again. Only :class:`UnreadableError` may come out.
"""

import base64
import json
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake import armour, cms, gpgstatus, headers, html
from vault.intake.contents import public_keys
from vault.intake.layers import find_layer
from vault.intake.mailheaders import read_headers
from vault.intake.mime import MimeLimits, canonical, head, parse

LIMITS = MimeLimits(size=200_000, parts=40, depth=6, headers=30_000, fields=200)
MEMORY = 1_500_000_000  # bytes of address space of one process
PATIENCE = 5.0  # seconds of processor for one execution
_LONGEST = 40_000  # bytes of one changed mail
_WARM = 0.2  # of the executions, before memory is looked at
_INFLATED = 1_000_000  # bytes that CompressedData may become here
_WORDS = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"--",
        b"=",
        b"=3D",
        b"=?utf-8?B?",
        b"?=",
        b";",
        b'"',
        b"\\",
        b"*0*=",
        b"''",
        b"%00",
    ),
    *(b"-----BEGIN PGP MESSAGE-----", b"-----END PGP MESSAGE-----", b"-----BEGIN PGP SIGNED MESSAGE-----", b"- "),
    *(
        b"Content-Type: multipart/mixed; boundary=X\r\n\r\n--X\r\n",
        b"--X--",
        b"boundary=",
        b"charset=utf-16",
        b"\xff\xfe",
    ),
    *(
        b"Content-Type: multipart/signed; boundary=X\r\n",
        b"Content-Type: multipart/encrypted; boundary=X\r\n",
        b"\x1b$B",
    ),
    *(b"Content-Transfer-Encoding: base64\r\n", b"Content-Type: application/pkcs7-mime\r\n", b"From: a@b.example\r\n"),
    *(
        b"\x30\x80",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x24\x80",
        b"\x04\x82\x7f\xff",
        b"\0\0",
        b"\xa0\x80",
        b"\x30\x03\x06\x01",
    ),
    *(
        b"[GNUPG:] VALIDSIG ",
        b"[GNUPG:] NEWSIG\n",
        b"uid:",
        b"\\x3a",
        b"<!--",
        b"<a href='",
        b"&#",
        b"<![CDATA[",
        b"</",
    ),
]


@dataclass(frozen=True, slots=True)
class Tried(Private, shows=("executions", "seconds", "slowest", "growth")):
    """What came of many executions: how long the slowest took, how far memory grew, and what failed.

    :param slowest: seconds of processor.
    :param growth: bytes of resident memory since the first fifth.
    :param found: the error's name and the input, in base64.
    """

    executions: int
    seconds: float
    slowest: float
    growth: int
    found: tuple[str, ...] = ()


class HangError(Exception):
    """One execution took longer than PATIENCE."""


def walk(data: bytes) -> None:
    """Walk the MIME structure and read all that is in it, and find the layer around it."""
    read_headers(head(data, LIMITS))
    root = parse(data, LIMITS)
    for part in root.walk():
        part.name.encode()
        part.text.encode("utf-8", "surrogatepass")
    public_keys(root)
    for opened in (False, True):
        try:
            find_layer(root, opened=opened)
        except UnreadableError:
            continue


def find_armour(data: bytes) -> None:
    """Find armour and take it off."""
    for label, end in ((b"PGP SIGNED MESSAGE", b"PGP SIGNATURE"), (b"PGP PUBLIC KEY BLOCK", None)):
        for block in armour.armour_blocks(data, label, end):
            armour.clear_signed_text(block)
    for block in armour.armour_blocks(data, b"PGP MESSAGE"):
        _refused(armour.message_packets, block)
    armour.message_packets(data)


def read_cms(data: bytes) -> None:
    """Read the outside of CMS, and decompress a little of it."""
    cms.content_kind(data)
    _refused(cms.recipient_kinds, data)
    cms.inflate(_INFLATED.to_bytes(8, "big") + data)


def read_status(data: bytes) -> None:
    """Judge bytes as if gpg had written them."""
    gpgstatus.judge(gpgstatus.parse_statuses(data))
    gpgstatus.uid_addresses(data)
    gpgstatus.primary_fingerprint(data)
    gpgstatus.dead_keys(data)


def read_values(data: bytes) -> None:
    """Read bytes as each kind of header value, and as HTML."""
    text = data[:20_000].decode("latin-1")
    for read in (headers.mailbox, headers.message_ids, headers.date, headers.decode_words, headers.file_name):
        read(text)
    _, values = headers.parameters(text)
    headers.decode_text(data, values.get("charset"))
    canonical(data)
    html.strip(data[:2_000])


TARGETS: tuple[Callable[[bytes], None], ...] = (walk, walk, walk, find_armour, read_cms, read_status, read_values)


def change(seeds: Sequence[bytes], draw: random.Random) -> bytes:
    """Change a seed at one to eight places."""
    data = bytearray(draw.choice(seeds)[:_LONGEST])
    for _ in range(draw.randint(1, 8)):
        at = draw.randint(0, len(data))
        size = min(draw.choice((1, 1, 2, 4, 16, 100, 1000)), len(data) - at)
        how = draw.randrange(7)
        if how == 0:
            data[at : at + size] = b""
        elif how == 1:
            data[at : at + size] = draw.randbytes(size)
        elif how == 2:  # noqa: PLR2004 - one of the ways
            data[at:at] = draw.choice(_WORDS) * draw.choice((1, 1, 1, 2, 50))
        elif how == 3:  # noqa: PLR2004
            data[at:at] = data[at : at + size] * draw.choice((1, 2, 20))
        elif how == 4 and size:  # noqa: PLR2004
            data[at] ^= 1 << draw.randrange(8)
        elif how == 5:  # noqa: PLR2004
            other = draw.choice(seeds)
            data[at:] = other[draw.randint(0, len(other)) :]
        else:
            data[at : at + size] = draw.choice(_WORDS)
        del data[_LONGEST:]
    return bytes(data)


def attempt(seeds: Sequence[bytes], count: int, number: int) -> Tried:
    """Try so many changed seeds; end at the first that fails."""
    draw = random.Random(number)  # noqa: S311 - to be made again, not to be secret
    signal.signal(signal.SIGVTALRM, _hang)
    begin, slowest, warm = time.monotonic(), 0.0, 0
    for done in range(count):
        data, target = change(seeds, draw), draw.choice(TARGETS)
        before = time.process_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
        try:
            _refused(target, data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the find
            found = f"{target.__name__} {type(error).__name__} {base64.b64encode(data).decode()}"
            return Tried(done, time.monotonic() - begin, slowest, 0, (found,))
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        slowest = max(slowest, time.process_time() - before)
        if done == int(count * _WARM):
            warm = _resident()
    return Tried(count, time.monotonic() - begin, slowest, _resident() - warm)


def attempt_in_parallel(seeds: Sequence[bytes], count: int, first: int, processes: int, folder: Path) -> Tried:
    """Share the executions among processes, each with bounded memory.

    :param first: the number of the first process's choice.
    :param folder: for the seeds.
    """
    file = folder / "seeds.json"
    file.write_text(json.dumps([base64.b64encode(seed).decode() for seed in seeds]), encoding="ascii")
    command = [sys.executable, "-m", "vault.testing.mailfuzz", str(file), str(count // processes)]
    running = [
        subprocess.Popen([*command, str(first + one)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for one in range(processes)
    ]
    said = [process.communicate() for process in running]
    for process, (_, complaints) in zip(running, said, strict=True):
        if process.returncode != 0:
            raise RuntimeError(complaints.decode("utf-8", "replace")[-2000:])
    all_tried = [Tried(**json.loads(output)) for output, _ in said]
    return Tried(
        sum(tried.executions for tried in all_tried),
        max(tried.seconds for tried in all_tried),
        max(tried.slowest for tried in all_tried),
        max(tried.growth for tried in all_tried),
        tuple(found for tried in all_tried for found in tried.found),
    )


def _refused(read: Callable[[bytes], object], data: bytes) -> None:
    try:
        read(data)
    except UnreadableError:
        return


def _hang(*_: object) -> None:
    raise HangError


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def main(arguments: list[str]) -> None:
    """Try, and print what came of it."""
    file, count, number = arguments
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    seeds = [base64.b64decode(line) for line in json.loads(Path(file).read_text(encoding="ascii"))]
    sys.stdout.write(json.dumps(asdict(attempt(seeds, int(count), int(number)))))


if __name__ == "__main__":
    main(sys.argv[1:])
