"""Signed notes, checkpoints and tile names that C2SP, Go's checksum database and its note package publish."""

import pytest

from vault.accesslog.merkle import leaf_hash
from vault.accesslog.notes import (
    Checkpoint,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    render_checkpoint,
    render_note,
    render_vkey,
    verify_note,
)
from vault.accesslog.tiles import TileWriter, bundle_name, tile_name
from vault.errors import TamperedError, WrongUseError

DASH = "\u2014"
POEM = (
    "Ognuno sta solo sul cuor della terra\n"
    "trafitto da un raggio di sole:\n"
    "\n"
    "ed \u00e8 subito sera.\n"
    "\n"
    f"{DASH} quasimodo.example/salvatore "
    "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)
SOFA_TEXT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
SOFA = (
    f"{SOFA_TEXT}\n"
    f"{DASH} example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    f"{DASH} witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)

PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_LINE = (
    f"{DASH} PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ENOCH_LINE = (
    f"{DASH} EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)


@pytest.mark.parametrize("note", [POEM, SOFA, f"{TEXT}\n{PETER_LINE}", f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}"])
def test_published_notes_parse_and_render_to_the_same_bytes(note: str) -> None:
    assert render_note(parse_note(note.encode())) == note.encode()


def test_the_last_empty_line_ends_the_text() -> None:
    note = parse_note(POEM.encode())

    assert note.text.endswith("\n\ned \u00e8 subito sera.\n")
    assert [one.name for one in note.signatures] == ["quasimodo.example/salvatore"]


def test_a_checkpoint_with_a_witness() -> None:
    note = parse_note(SOFA.encode())
    checkpoint = parse_checkpoint(note.text)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert render_checkpoint(checkpoint) == SOFA_TEXT
    assert [one.name for one in note.signatures] == ["example.com/behind-the-sofa", "witness.example.com/w1"]
    assert len(note.signatures[1].value) == 8 + 64


@pytest.mark.parametrize("vkey", [PETER, ENOCH])
def test_verifier_keys_round_trip(vkey: str) -> None:
    assert render_vkey(parse_vkey(vkey)) == vkey


def test_no_mangled_verifier_key_is_accepted() -> None:
    mangled = [PETER[start:end] for start in range(len(PETER)) for end in range(start + 1, len(PETER) + 1)]
    mangled.remove(PETER)
    mangled += [PETER[:at] + chr(ord(PETER[at]) + 1) + PETER[at + 1 :] for at in range(len(PETER))]
    mangled += [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ]

    for vkey in mangled:
        with pytest.raises(WrongUseError):
            parse_vkey(vkey)


@pytest.mark.parametrize("vkey", [PETER, ENOCH])
def test_each_signer_of_a_note_is_proved(vkey: str) -> None:
    verify_note(parse_note(f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}".encode()), parse_vkey(vkey))


@pytest.mark.parametrize(
    "note",
    [
        f"{TEXT}\n{ENOCH_LINE}",  # another's signature only
        f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', 'CarmenSandiego')}",
        f"{TEXT}\n{PETER_LINE.replace('x08g', 'xxxx')}",  # another key id
        f"{TEXT}\n{PETER_LINE[:60]}ABCD{PETER_LINE[60:]}",  # a longer signature
        f"{TEXT}\n{PETER_LINE}{PETER_LINE[:60]}ABCD{PETER_LINE[60:]}",  # a good one and a wrong one
        f"{TEXT[:-2]}!\n\n{PETER_LINE}",  # another text
    ],
)
def test_a_note_that_peter_did_not_sign(note: str) -> None:
    with pytest.raises(TamperedError):
        verify_note(parse_note(note.encode()), parse_vkey(PETER))


@pytest.mark.parametrize(
    "note",
    [
        TEXT.encode(),
        f"{TEXT}\n".encode(),
        f"{TEXT}\n{PETER_LINE[:-1]}".encode(),
        f"\x01{TEXT}\n{PETER_LINE}".encode(),
        b"\xff" + f"{TEXT}\n{PETER_LINE}".encode(),
        f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', 'Bad Name')}".encode(),
        f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', 'a+b')}".encode(),
        f"{TEXT}\n{PETER_LINE}Unexpected line.\n".encode(),
        f"{TEXT}\n{PETER_LINE * 101}".encode(),
        f"{TEXT}\n{DASH} PeterNeumann BADSIGN=\n".encode(),
        f"{TEXT}\n{DASH} PeterNeumann x08gow==\n".encode(),  # a key id and nothing behind it
    ],
)
def test_what_the_note_package_calls_malformed(note: bytes) -> None:
    with pytest.raises(TamperedError):
        parse_note(note)


def test_a_checkpoint_as_the_format_spells_it() -> None:
    empty = Checkpoint("example.com/log", 0, bytes(32), ("an extension",))

    text = "example.com/log\n0\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nan extension\n"

    assert render_checkpoint(empty) == text
    assert parse_checkpoint(text) == empty


@pytest.mark.parametrize(
    ("level", "index", "width", "name"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 0, 255, "tile/0/000.p/255"),
        (1, 0, 1, "tile/1/000.p/1"),
        (1, 0, 4, "tile/1/000.p/4"),
        (15, 455667, 256, "tile/15/x455/667"),
        (3, 1234567, 256, "tile/3/x001/x234/567"),
        (15, 123456789, 256, "tile/15/x123/x456/789"),
        (0, 1234067, 89, "tile/0/x001/x234/067.p/89"),
        (63, 999999999999999999, 255, "tile/63/x999/x999/x999/x999/x999/999.p/255"),
    ],
)
def test_tile_names(level: int, index: int, width: int, name: str) -> None:
    assert tile_name(level, index, width) == name


@pytest.mark.parametrize(
    ("index", "width", "name"),
    [
        (0, 8, "tile/entries/000.p/8"),
        (255, 253, "tile/entries/255.p/253"),
        (256, 256, "tile/entries/256"),
        (123456789000, 256, "tile/entries/x123/x456/x789/000"),
    ],
)
def test_bundle_names(index: int, width: int, name: str) -> None:
    assert bundle_name(index, width) == name


def test_a_tree_of_70000_and_one_of_256_have_the_tiles_that_the_format_says() -> None:
    tiles: list[tuple[str, int]] = []
    writer = TileWriter(lambda name, data: tiles.append((name, len(data) // 32)), lambda *_: None)
    hashed = leaf_hash(b"")

    for _ in range(256):
        writer.add(b"", hashed)
    writer.finish()
    of_256 = list(tiles)
    for _ in range(70_000 - 256):
        writer.add(b"", hashed)
    tiles.clear()
    writer.finish()

    assert of_256 == [("tile/0/000", 256), ("tile/1/000.p/1", 1)]
    assert tiles == [("tile/0/273.p/112", 112), ("tile/1/001.p/17", 17), ("tile/2/000.p/1", 1)]
