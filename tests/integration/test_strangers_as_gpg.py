"""Whatever is said of strangers' signatures without gpg, gpg says with our own ring: the text, the verdict, the key."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.gpg import Gpg
from vault.intake.keyrings import KeyRing
from vault.intake.opened import SignedContent
from vault.intake.openpgp import DEFAULT_LIMITS
from vault.intake.ownring import OwnRing
from vault.intake.sandbox import private_directory
from vault.intake.strangers import only_strangers
from vault.testing.mailkeys import PgpHome, make_pgp_home
from vault.testing.mailpackets import packets
from vault.testing.mailworld import short_directory
from vault.testing.packetforms import FORMS, packed, written

MUTANTS = settings(
    max_examples=5_000 if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else 400,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TEXT = b"hello\r\ntext  \n- dash\nFrom x\ry\n\xff" + bytes(range(256)) * 3
SIGNATURE, LITERAL = 2, 11


@dataclass(frozen=True, slots=True)
class Clinic(Private):
    """Our home with a signing subkey, its ring, and two strangers; the second has the first one's secret key too."""

    home: PgpHome
    own: KeyRing
    aino: PgpHome
    both: PgpHome

    def by_gpg(self, signed: SignedContent) -> tuple[str, bytes, str | None]:
        """Say what gpg says with the home's own ring."""
        with private_directory() as place:
            try:
                read = Gpg(place, self.home.path, DEFAULT_LIMITS).read(signed, None, ())
            except UnreadableError as error:
                return error.code, b"", None
        return read.proof.kind.value, read.content, read.proof.fingerprint

    def glanced(self, message: bytes, beside: bytes | None = None) -> bool:
        """Tell whether the glance says something, which must be what gpg says."""
        signed = SignedContent(message, beside)
        assert self.own.key_ids
        found = only_strangers(signed, self.own.key_ids)
        if found is None:
            return False
        assert self.by_gpg(signed) == ("unknown-key", *found), message.hex()
        return True


@pytest.fixture(scope="module")
def clinic() -> Iterator[Clinic]:
    with short_directory() as base:
        home, aino, both = (
            make_pgp_home(base / name, name, f"{name}@example.fi", kind)
            for name, kind in (("c", "future-default"), ("a", "future-default"), ("b", "rsa2048"))
        )
        home.gpg("--passphrase", "", "--quick-add-key", home.fingerprint, "ed25519", "sign", "never")
        both.gpg("--import", data=aino.gpg("--export-secret-keys"))
        with private_directory() as place:
            own = OwnRing().of(Gpg(place, home.path, DEFAULT_LIMITS))
        assert own is not None
        yield Clinic(home, own, aino, both)
        for one in (home, aino, both):
            one.close()


def _two(clinic: Clinic) -> tuple[str, ...]:
    return ("--local-user", clinic.aino.fingerprint, "--local-user", clinic.both.fingerprint)


WAYS: dict[tuple[str, ...], bool] = {  # in which a message is signed, and whether gpg is spared
    ("--sign",): True,
    ("--textmode", "--sign"): True,
    ("--compress-algo", "none", "--sign"): True,
    ("--compress-algo", "zlib", "--sign"): True,
    ("--compress-algo", "bzip2", "--sign"): False,
    ("--set-filename", "_CONSOLE", "--sign"): True,
    ("--set-filename", "[GNUPG:]\n\x01%é", "--sign"): True,
    ("--sig-notation", "a@example.fi=b", "--sign"): True,
    ("--sig-notation", "a@example.fi=" + 300 * "b", "--sign"): True,
    ("--sig-notation", "!a@example.fi=b", "--sign"): False,
    ("--default-sig-expire", "1d", "--sign"): True,
    ("--sender", "a@example.fi", "--sign"): True,
    ("--digest-algo", "SHA1", "--sign"): False,
    ("--digest-algo", "SHA224", "--sign"): True,
    ("--digest-algo", "SHA384", "--sign"): True,
    ("--armor", "--sign"): False,
    ("--clear-sign",): False,
    ("--store",): False,
    ("--detach-sign",): True,
    ("--armor", "--textmode", "--detach-sign"): True,
    ("--armor", "--comment", "x: y", "--detach-sign"): True,
    ("--armor", "--emit-version", "--detach-sign"): True,
    ("--digest-algo", "SHA1", "--detach-sign"): False,
}


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
@pytest.mark.parametrize("size", [0, 1, len(TEXT), 300_000, 900_000])
def test_what_gpg_makes_is_read_as_gpg_reads_it(clinic: Clinic, way: tuple[str, ...], size: int) -> None:
    text = (TEXT * (size // len(TEXT) + 1))[:size]

    made = clinic.aino.gpg(*way, data=text)

    assert clinic.glanced(made, text if "--detach-sign" in way else None) is WAYS[way]


@pytest.mark.parametrize("how", ["--sign", "--detach-sign"])
def test_of_two_signers_the_one_is_named_whom_gpg_names(clinic: Clinic, how: str) -> None:
    for users in (_two(clinic), _two(clinic)[2:] + _two(clinic)[:2]):
        assert clinic.glanced(clinic.both.gpg(*users, how, data=TEXT), TEXT if "detach" in how else None)


def test_what_a_key_of_ours_signed_is_left_to_gpg(clinic: Clinic) -> None:
    """The subkey signed it, and a stranger beside it."""
    made = clinic.home.gpg("--compress-algo", "none", "--sign", data=TEXT)
    strangers = clinic.aino.gpg("--compress-algo", "none", "--sign", data=TEXT)
    (once, ours), (first, second) = (
        ([one for one in packets(message) if one[0] != LITERAL]) for message in (made, strangers)
    )
    literal = packets(made)[1]
    last = (once[0], once[1][:-1] + b"\0")
    both = b"".join(written(*one) for one in (last, first, literal, second, ours))

    assert clinic.own.key_ids
    assert only_strangers(SignedContent(made), clinic.own.key_ids) is None
    assert clinic.by_gpg(SignedContent(made))[0] == "valid"
    assert only_strangers(SignedContent(both), clinic.own.key_ids) is None
    assert only_strangers(SignedContent(both), frozenset()) is not None


@pytest.mark.parametrize("algorithm", [0, 1, 2, 3])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("inside", FORMS)
def test_each_form_of_a_length_is_read_as_by_gpg(clinic: Clinic, form: str, inside: str, algorithm: int) -> None:
    parts = packets(clinic.aino.gpg("--compress-algo", "none", "--sign", data=TEXT))
    message = b"".join(written(tag, body, inside if tag == LITERAL else "short") for tag, body in parts)

    glanced = clinic.glanced(packed(algorithm, message, form) if algorithm else message)

    assert glanced is (inside != "open" and algorithm != 3)


def test_no_order_of_packets_is_read_otherwise_than_by_gpg(clinic: Clinic) -> None:
    once, literal, signature = packets(clinic.aino.gpg("--compress-algo", "none", "--sign", data=b"hello\n"))
    whole = b"".join(written(*one) for one in (once, literal, signature))
    units = {
        "once": written(*once),
        "literal": written(*literal),
        "signature": written(*signature),
        "whole": whole,
        "packed": packed(2, whole),
        "twice": packed(1, packed(2, whole, "long"), "long"),
        "text": written(LITERAL, b"b\0\0\0\0\0evil"),
        "sealed": clinic.aino.gpg("--encrypt", "--recipient", clinic.aino.fingerprint, data=TEXT),
        "key": clinic.aino.gpg("--export"),
        "marker": written(10, b"PGP"),
        "padding": written(21, b"xx"),
        "junk": b"\x00\x01",
        "cut": whole[:-1],
        "nothing": b"",
    }
    said = set()
    for names in (*product(units), *product(units, repeat=2), *product(list(units)[:4], units, units)):
        message = b"".join(units[name] for name in names)
        for number, wrapped in enumerate((message, packed(1, message), packed(2, message, "long"))):
            if clinic.glanced(wrapped):
                said.add((tuple(name for name in names if name != "nothing"), number))

    one = {("whole",), ("once", "literal", "signature"), ("once", "text", "signature")}
    assert said == {(("packed",), 0), *product(one, range(3))}


# --- mutants of messages that gpg made


@pytest.fixture(scope="module")
def seeds(clinic: Clinic) -> list[tuple[list[tuple[int, bytes]], bool]]:
    """The packets of messages, and whether their text stands beside them."""
    ways = [way for way in WAYS if way[-1] in {"--sign", "--detach-sign"} and "--armor" not in way]
    signers = [
        *((clinic.aino, way) for way in ways),
        *((clinic.both, (*_two(clinic), how)) for how in ("--sign", "--detach-sign")),
    ]
    return [
        (packets(home.gpg("--compress-algo", "none", *way, data=TEXT)), "--detach-sign" in way) for home, way in signers
    ]


def _mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """Change, drop, add or repeat octets; most of them near the front, where lengths and kinds stand."""
    at = min(draw(st.integers(0, max(0, len(data) - 1))), draw(st.integers(0, max(0, len(data) - 1))))
    some = draw(st.one_of(st.binary(min_size=1, max_size=1), st.binary(max_size=4)))
    length = draw(st.integers(0, 40))
    return draw(
        st.sampled_from(
            [
                data[:at] + some + data[at + len(some) :],
                data[:at] + data[at + len(some) :],
                data[:at] + some + data[at:],
                data[: at + length] + data[at:],
                data[:at],
                data + some,
            ]
        )
    )


def _shuffled(draw: st.DrawFn, parts: Sequence[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Drop, repeat or move a packet, or give it another type."""
    at, to = (draw(st.integers(0, len(parts) - 1)) for _ in range(2))
    moved = [one for number, one in enumerate(parts) if number != at]
    return draw(
        st.sampled_from(
            [
                moved,
                [*parts[:to], parts[at], *parts[to:]],
                [*moved[:to], parts[at], *moved[to:]],
                [*parts[:at], (parts[to][0], parts[at][1]), *parts[at + 1 :]],
            ]
        )
    )


@given(st.data())
@MUTANTS
def test_mutants_are_read_as_by_gpg(
    clinic: Clinic, seeds: list[tuple[list[tuple[int, bytes]], bool]], data: st.DataObject
) -> None:
    parts, detached = data.draw(st.sampled_from(seeds))
    spoilt = st.composite(_mutated)
    if data.draw(st.integers(0, 4)) == 0:
        parts = data.draw(st.composite(_shuffled)(parts)) or parts
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.integers(0, len(parts) - 1))
        parts = [*parts[:at], (parts[at][0], data.draw(spoilt(parts[at][1]))), *parts[at + 1 :]]
    message = b"".join(
        written(*one, data.draw(st.sampled_from(FORMS[: 5 if one[0] == LITERAL else 4]))) for one in parts
    )
    if data.draw(st.integers(0, 9)) == 0:
        message = data.draw(spoilt(message))
    if data.draw(st.integers(0, 9)) < (1 if detached else 5):
        message = packed(data.draw(st.integers(1, 2)), message, data.draw(st.sampled_from(FORMS)))
        if data.draw(st.integers(0, 9)) == 0:
            message = data.draw(spoilt(message))

    clinic.glanced(message, TEXT if detached else None)


@pytest.fixture(scope="module")
def armours(clinic: Clinic) -> list[bytes]:
    """Write a signature as several programs do."""
    one = clinic.aino.gpg("--armor", "--comment", "x", "--detach-sign", data=TEXT)
    bare = b"\n".join(line for line in one.split(b"\n") if not line.startswith(b"="))
    return [one, bare, one.replace(b"\n", b"\r\n"), one + b"\n\r\n"]


@given(st.data())
@MUTANTS
def test_mutants_of_armour_are_read_as_by_gpg(clinic: Clinic, armours: list[bytes], data: st.DataObject) -> None:
    armour = data.draw(st.sampled_from(armours))
    for _ in range(data.draw(st.integers(0, 1))):
        armour = data.draw(st.composite(_mutated)(armour))

    clinic.glanced(armour, TEXT)
