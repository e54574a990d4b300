"""tlog-proof files (c2sp.org/tlog-proof): one spelling, everything else refused; the specification's example."""

import base64
from collections.abc import Callable

import pytest

from vault.accesslog.completeness import MapLine, ProvedLine
from vault.accesslog.merkle import RightEdge, inclusion_proof, leaf_hash
from vault.accesslog.notes import Checkpoint, VerifierKey
from vault.accesslog.publish import log_key, sign_checkpoint
from vault.accesslog.tlogproof import (
    TlogProof,
    parse_map_proof,
    parse_proof,
    render_map_proof,
    render_proof,
    verify_proof,
)
from vault.crypto.keyservice import KeyService
from vault.errors import TamperedError
from vault.testing.accesslog import ORIGIN, any_leaves
from vault.testing.keyservice import memory_service

LEAVES = any_leaves(300)
INDEX = 277
# the example of the specification; its checkpoint's signatures are abbreviated there, and so cut off here
EXAMPLE = b"""\
c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

"""


@pytest.fixture(scope="module")
def service() -> KeyService:
    return memory_service()


@pytest.fixture(scope="module")
def key(service: KeyService) -> VerifierKey:
    return log_key(service, ORIGIN)


@pytest.fixture(scope="module")
def proof(service: KeyService) -> TlogProof:
    nodes: dict[tuple[int, int], bytes] = {}
    edge = RightEdge()
    for leaf in LEAVES:
        edge.add(leaf_hash(leaf), lambda level, index, hashed: nodes.__setitem__((level, index), hashed))
    path = inclusion_proof(INDEX, len(LEAVES), lambda *at: nodes[at])
    note = sign_checkpoint(Checkpoint(ORIGIN, len(LEAVES), edge.root()), service)
    return TlogProof(LEAVES[INDEX], INDEX, tuple(path), note)


def test_the_specifications_example_is_read() -> None:
    found = parse_proof(EXAMPLE)

    assert found.index == 73894
    assert found.extra is not None
    assert found.extra.startswith(b"age-v1.2.1-darwin-arm64.tar.gz")
    assert [step[:2].hex() for step in found.path] == ["8122", "07de", "10a3", "468a", "0070"]
    assert found.checkpoint.startswith(b"example.com/fancylog\n109482\n")
    assert render_proof(found) == EXAMPLE


def test_a_proof_proves_its_leaf(proof: TlogProof, key: VerifierKey) -> None:
    read = parse_proof(render_proof(proof))

    assert read == proof
    assert verify_proof(read, key).size == 300
    assert verify_proof(TlogProof(None, *_rest(proof)), key, LEAVES[INDEX]).size == 300


def test_a_proof_without_its_leaf_proves_nothing(proof: TlogProof, key: VerifierKey) -> None:
    with pytest.raises(TamperedError, match="proof_without_leaf"):
        verify_proof(TlogProof(None, *_rest(proof)), key)


@pytest.mark.parametrize("at", range(0, 30, 3))
def test_a_changed_leaf_index_or_path_is_refused(proof: TlogProof, key: VerifierKey, at: int) -> None:
    other = bytearray(LEAVES[INDEX])
    other[at * 7] ^= 1
    steps = list(proof.path)
    steps[at % len(steps)] = leaf_hash(b"another")
    changed = [
        TlogProof(bytes(other), *_rest(proof)),
        TlogProof(proof.extra, at, proof.path, proof.checkpoint),
        TlogProof(proof.extra, proof.index, tuple(steps), proof.checkpoint),
        TlogProof(proof.extra, proof.index, proof.path[:-1], proof.checkpoint),
    ]

    for one in changed:
        with pytest.raises(TamperedError):
            verify_proof(one, key)


def test_another_logs_checkpoint_is_refused(proof: TlogProof) -> None:
    with pytest.raises(TamperedError, match="note_not_signed"):
        verify_proof(proof, log_key(memory_service(), ORIGIN))


def _broken(proof: TlogProof) -> dict[str, bytes]:
    whole = render_proof(proof)
    extra = base64.b64encode(LEAVES[INDEX])
    step = base64.b64encode(proof.path[0])
    return {
        "nothing": b"",
        "another head": whole.replace(b"proof@v1", b"proof@v2"),
        "no index": whole.replace(b"index 277\n", b""),
        "a leading zero": whole.replace(b"index 277", b"index 0277"),
        "a negative index": whole.replace(b"index 277", b"index -277"),
        "a huge index": whole.replace(b"index 277", b"index 9999999999999999999"),
        "two spaces": whole.replace(b"index 277", b"index  277"),
        "extra behind": whole.replace(b"extra " + extra + b"\nindex 277", b"index 277\nextra " + extra),
        "extra twice": whole.replace(b"extra " + extra, b"extra " + extra + b"\nextra " + extra),
        "a space in base64": whole.replace(step, step[:8] + b" " + step[8:]),
        "no padding": whole.replace(step, step.rstrip(b"=")),
        "spare bits": whole.replace(step, step[:-2] + bytes([step[-2] + 1]) + b"="),
        "a short hash": whole.replace(step, base64.b64encode(proof.path[0][:-1])),
        "carriage returns": whole.replace(b"\n", b"\r\n"),
        "no blank line": whole.replace(b"\n\n", b"\n", 1),
        "a blank line before the path": whole.replace(b"index 277\n", b"index 277\n\n"),
        "too many steps": whole.replace(step, b"\n".join([step] * 70)),
        "not ASCII": whole.replace(b"index", "ïndex".encode()),
        "too long": whole + b"x" * 300_000,
    }


BROKEN = (
    "nothing|another head|no index|a leading zero|a negative index|a huge index|two spaces|extra behind|extra twice|"
    "a space in base64|no padding|spare bits|a short hash|carriage returns|no blank line|a blank line before the path|"
    "too many steps|not ASCII|too long"
)


@pytest.mark.parametrize("kind", BROKEN.split("|"))
def test_anything_else_is_refused(proof: TlogProof, key: VerifierKey, kind: str) -> None:
    with pytest.raises(TamperedError):  # what the blank line cuts off fails as the checkpoint's
        verify_proof(parse_proof(_broken(proof)[kind]), key)


def test_a_map_proof_has_one_spelling(proof: TlogProof) -> None:
    line = ProvedLine(3, MapLine(bytes(range(16)), 7, leaf_hash(b"last")), proof.path)
    written = render_map_proof(line)

    assert written.startswith(b"dsr-vault/map-proof@v1\nextra AAEC")
    assert parse_map_proof(written) == line


@pytest.mark.parametrize(
    "change",
    [
        lambda written: written + b"more",
        lambda written: written.replace(b"dsr-vault/map-proof", b"c2sp.org/tlog-proof"),
        lambda written: written.replace(b"extra AAEC", b"extra AAAAAAEC"),
        lambda written: b"\n".join(line for line in written.split(b"\n") if not line.startswith(b"extra")),
    ],
    ids=["more behind", "another head", "a longer line", "no line"],
)
def test_another_map_proof_is_refused(proof: TlogProof, change: Callable[[bytes], bytes]) -> None:
    line = ProvedLine(3, MapLine(bytes(range(16)), 7, leaf_hash(b"last")), proof.path)

    with pytest.raises(TamperedError):
        parse_map_proof(change(render_map_proof(line)))


def _rest(proof: TlogProof) -> tuple[int, tuple[bytes, ...], bytes]:
    return proof.index, proof.path, proof.checkpoint
