"""gpgv reads first what is not encrypted, and nothing that it decides is decided otherwise by gpg."""

import os
import random
import zlib
from collections.abc import Iterator, Sequence
from itertools import product

import pytest

from vault.errors import UnreadableError
from vault.intake import gpg as gpg_module
from vault.intake.gpg import Gpg, empty_home
from vault.intake.keyrings import KeyRing
from vault.intake.opened import SignedContent
from vault.intake.openpgp import DEFAULT_LIMITS
from vault.intake.sandbox import private_directory
from vault.intake.tool import ToolRun, run_tool
from vault.testing.mailkeys import PgpHome, make_pgp_home
from vault.testing.mailworld import short_directory

FUZZ = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
DAMAGED = 5_000 if FUZZ else 80
TEXT = b"hello\r\ntext  \n- dash\nFrom x\n"
PAIRED = ("signature", "text", "signed", "sealed")  # with each of the others, before and after


def _units(home: PgpHome) -> dict[str, bytes]:
    """Packets, whole messages and rubbish, to be put together in each order."""
    file = b"hello text\n"
    signed = _uncompressed(home.gpg("--compress-algo", "none", "--sign", data=file))
    once, literal, signature = signed
    text = b"\xac\x0eb\0\0\0\0\0evil txt"
    sealed = home.gpg("--encrypt", "--recipient", home.fingerprint, data=file)
    whole = once + literal + signature
    return {
        "once": once,
        "literal": literal,
        "signature": signature,
        "text": text,
        "signed": _compressed(whole),
        "twice": _compressed(_compressed(whole)),
        "loose": _compressed(text),
        "sealed": sealed,
        "key": home.gpg("--export", home.fingerprint),
        "marker": b"\xa8\x03PGP",
        "junk": b"\x00\x01\x02",
        "cut": whole[:-5],
        "short": _compressed(whole)[:-9],
    }


def _compressed(packets: bytes) -> bytes:
    return b"\xa3\x02" + zlib.compress(packets)


def _uncompressed(message: bytes) -> list[bytes]:
    """Cut a short signed message into its three packets, whose lengths are one octet each."""
    first = 2 + message[1]
    last = first + 2 + message[first + 1]
    return [message[:first], message[first:last], message[last:]]


def _read(message: bytes, own: KeyRing | None, beside: bytes | None = None) -> tuple[str, bytes, str | None]:
    with private_directory() as place:
        gpg = Gpg(place, empty_home(place), DEFAULT_LIMITS, own)
        try:
            read = gpg.read(SignedContent(message, beside), None, ())
        except UnreadableError as error:
            return error.code, b"", None
        return read.proof.kind.value, read.content, read.proof.fingerprint


def test_gpgv_decides_nothing_that_gpg_decides_otherwise(home: PgpHome, runs: list[str]) -> None:
    units = _units(home)
    glanced = 0
    for names in [*product(units), *product(PAIRED, units), *product(units, PAIRED)]:
        message = b"".join(units[name] for name in names)
        for wrapped in (message, _compressed(message)):
            runs.clear()
            found = _read(wrapped, KeyRing())
            if runs == ["gpgv"]:
                glanced += 1
                assert _read(wrapped, None) == found, names
                assert found[0] == "unknown-key"
    assert glanced > len(units)


WAYS = (  # in which a message is signed; a detached signature has its text beside it
    ("--sign",),
    ("--compress-algo", "none", "--sign"),
    ("--compress-algo", "bzip2", "--sign"),
    ("--textmode", "--sign"),
    ("--armor", "--sign"),
    ("--clear-sign",),
    ("--digest-algo", "SHA1", "--sign"),
    ("--detach-sign",),
    ("--armor", "--textmode", "--detach-sign"),
)


@pytest.fixture(scope="module")
def home() -> Iterator[PgpHome]:
    with short_directory() as base:
        made = make_pgp_home(base / "a", "Aino", "aino@example.fi")
        yield made
        made.close()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs that are run from now on."""
    seen: list[str] = []

    def counted(command: Sequence[str], *arguments: object, **named: object) -> ToolRun:
        seen.append(command[0])
        return run_tool(command, *arguments, **named)  # type: ignore[arg-type] # passed on as they came

    monkeypatch.setattr(gpg_module, "run_tool", counted)
    return seen


@pytest.mark.parametrize("way", WAYS, ids=[" ".join(way) for way in WAYS])
def test_each_form_is_read_by_gpgv_as_by_gpg(home: PgpHome, runs: list[str], way: tuple[str, ...]) -> None:
    message, beside = home.gpg(*way, data=TEXT), TEXT if "--detach-sign" in way else None

    found = _read(message, KeyRing(), beside)

    assert runs == ["gpgv"]
    assert (found[0], found[2]) == ("unknown-key", home.fingerprint)
    assert _read(message, None, beside) == found


def test_a_bad_signature_of_a_key_in_our_ring_is_left_to_gpg(home: PgpHome, runs: list[str]) -> None:
    ring = KeyRing(home.gpg("--export", home.fingerprint))
    spoilt = home.gpg("--clear-sign", data=TEXT).replace(b"hello", b"hallo")

    assert _read(spoilt, ring)[0] == "invalid"
    assert runs == ["gpgv", "gpg"]


def test_damaged_messages_are_read_alike(home: PgpHome, runs: list[str]) -> None:
    chance = random.Random(None if FUZZ else 5)  # noqa: S311 - which octets are spoilt is no secret
    forms = [(home.gpg(*way, data=TEXT), TEXT if "--detach-sign" in way else None) for way in WAYS]
    glanced = 0
    for _ in range(DAMAGED):
        message, beside = chance.choice(forms)
        damaged = _damaged(message, [form for form, _ in forms], chance)
        runs.clear()
        found = _read(damaged, KeyRing(), beside)
        if runs == ["gpgv"]:
            glanced += 1
            assert _read(damaged, None, beside) == found, damaged.hex()
    assert glanced


def _damaged(message: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Change, drop, or add octets, or a piece of another message."""
    spoilt = bytearray(message)
    for _ in range(chance.randint(1, 4)):
        at, other = chance.randrange(len(spoilt)), chance.choice(others)
        cut = other[chance.randrange(len(other)) :][: chance.randrange(1, 200)]
        octet = bytes([chance.randrange(256)])
        start, stop, new = chance.choice([(at, at + 1, octet), (at, at + 1, b""), (at, at, octet), (at, at, cut)])
        spoilt[start:stop] = new
    return bytes(spoilt)
