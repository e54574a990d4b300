"""Every envelope vector is read by the product and by a second reader that knows only HKDF and AES-GCM."""

import ast
import io
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault import errors
from vault.crypto.envelope import Context, seal, unseal, unseal_stream
from vault.errors import VaultError
from vault.testing import envelopevectors, secondkeys, secondreader
from vault.testing.envelopevectors import ERRORS, PLACE, SECRET, Vector, read_vector, vectors
from vault.testing.secondreader import CHUNK, Fault, UnreadableEnvelopeError, read_envelope

VECTORS = {path.stem: path for path in sorted(Path(__file__).with_name("envelope").glob("*.txt"))}
each = pytest.mark.parametrize("name", VECTORS)


def load(name: str) -> Vector:
    return read_vector(VECTORS[name].read_text(encoding="ascii"))


def context_of(vector: Vector) -> Context:
    table, row, column, subject, version = vector.context.split("|")
    return Context(table, row, column, subject, int(version))


def refusal(vector: Vector) -> type[VaultError]:
    assert vector.fault is not None
    family: type[VaultError] = getattr(errors, ERRORS[vector.fault][0])
    return family


def test_the_vectors_are_those_that_the_generator_makes() -> None:
    assert {name: load(name) for name in VECTORS} == vectors()
    assert len(VECTORS) == 56


def test_each_fault_has_its_vectors() -> None:
    assert {load(name).fault for name in VECTORS} == {None, *Fault}


@each
def test_a_file_names_the_product_s_error(name: str) -> None:
    head = VECTORS[name].read_text(encoding="ascii").partition("\n\n")[0].splitlines()

    fault = load(name).fault
    wanted = ["expect: success"] if fault is None else [f"expect: {ERRORS[fault][0]}", f"error: {ERRORS[fault][1]}"]
    assert head[: len(wanted)] == wanted


@each
def test_product_reads_vector(name: str) -> None:
    vector = load(name)

    if vector.fault is None:
        assert sha256(unseal(vector.key, context_of(vector), vector.envelope)).hexdigest() == vector.proof
    else:
        with pytest.raises(VaultError) as caught:
            unseal(vector.key, context_of(vector), vector.envelope)
        assert (type(caught.value), caught.value.code) == (refusal(vector), ERRORS[vector.fault][1])


@each
def test_product_streams_vector(name: str) -> None:
    vector, target = load(name), io.BytesIO()

    if vector.fault is None:
        size = unseal_stream(vector.key, context_of(vector), io.BytesIO(vector.envelope), target)
        assert size == len(target.getvalue())
        assert sha256(target.getvalue()).hexdigest() == vector.proof
    else:
        with pytest.raises(VaultError) as caught:
            unseal_stream(vector.key, context_of(vector), io.BytesIO(vector.envelope), target)
        assert (type(caught.value), caught.value.code) == (refusal(vector), ERRORS[vector.fault][1])
        assert target.getvalue() == b""


@each
def test_second_reader_reads_vector_and_fails_where_it_should(name: str) -> None:
    vector = load(name)

    if vector.fault is None:
        assert sha256(read_envelope(vector.key, vector.context, vector.envelope)).hexdigest() == vector.proof
    else:
        with pytest.raises(UnreadableEnvelopeError) as caught:
            read_envelope(vector.key, vector.context, vector.envelope)
        assert caught.value.fault == vector.fault


@given(key=st.binary(min_size=32, max_size=32), plaintext=st.binary(max_size=300), repeat=st.integers(1, 200))
def test_second_reader_reads_what_the_product_seals(key: bytes, plaintext: bytes, repeat: int) -> None:
    envelope = seal(key, Context("records", "R-1", "envelope", "S-1", 3), plaintext * repeat)

    assert read_envelope(key, "records|R-1|envelope|S-1|3", envelope) == plaintext * repeat


@given(
    size=st.one_of(st.integers(0, 300), st.sampled_from([CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])),
    cut=st.integers(0, 2 * CHUNK + 200),
    flipped=st.integers(0, 2 * CHUNK + 200),
    added=st.binary(max_size=20),
)
def test_both_readers_say_the_same_of_whatever_was_changed(size: int, cut: int, flipped: int, added: bytes) -> None:
    changed = bytearray(seal(SECRET, Context("records", "R-7", "envelope", "S-3", 1), bytes(size))[:cut] + added)
    if flipped < len(changed):
        changed[flipped] ^= 0x40

    assert verdict_of_product(bytes(changed)) == verdict_of_second_reader(bytes(changed))


def verdict_of_product(envelope: bytes) -> tuple[str, str] | bytes:
    try:
        return unseal(SECRET, Context("records", "R-7", "envelope", "S-3", 1), envelope)
    except VaultError as error:
        return type(error).__name__, error.code


def verdict_of_second_reader(envelope: bytes) -> tuple[str, str] | bytes:
    try:
        return read_envelope(SECRET, PLACE, envelope)
    except UnreadableEnvelopeError as error:
        return ERRORS[error.fault]


@pytest.mark.parametrize("module", [secondreader, secondkeys, envelopevectors], ids=["reader", "keys", "generator"])
def test_second_reader_and_generator_know_nothing_of_the_product(module: object) -> None:
    tree = ast.parse(Path(str(vars(module)["__file__"])).read_text(encoding="utf-8"))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert {name for name in imported if name.startswith("vault")} <= {"vault.testing.secondreader"}
    assert not any("cobblestone" in name for name in imported)


ENDINGS = (".decrypt", "decryptor.finalize")


def decrypts(node: ast.AST) -> bool:
    return any(isinstance(call, ast.Call) and ast.unparse(call.func).endswith(ENDINGS) for call in ast.walk(node))


DECRYPTORS = {
    f"{path.stem}.{function.name}": function
    for path in sorted((Path(errors.__file__).parent / "crypto").glob("*.py"))
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(function, ast.FunctionDef) and decrypts(function)
}


@pytest.mark.parametrize("name", DECRYPTORS)
def test_no_decryptor_has_a_second_way_to_try(name: str) -> None:
    """A failed decryption leads to an error or a no: no handler about one opens, returns or passes over anything."""
    tries = [node for node in ast.walk(DECRYPTORS[name]) if isinstance(node, ast.Try) and any(map(decrypts, node.body))]

    for handler in (handler for node in tries for handler in node.handlers):
        returns = [node for node in ast.walk(handler) if isinstance(node, ast.Return)]
        assert isinstance(handler.body[-1], ast.Raise | ast.Return)
        assert all(isinstance(node.value, ast.Constant) and node.value.value is False for node in returns)
        assert not decrypts(handler)


def test_the_decryptors_are_found() -> None:
    assert {"envelope.unseal", "envelope._opened", "boxes.open_key", "custody.unwrap"} <= set(DECRYPTORS)
