"""A log's keys are a list: whoever of them signed is believed, and one wrong signature of any of them spoils all."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.accesslog.notes import (
    Checkpoint,
    Note,
    Signature,
    VerifierKey,
    open_checkpoint,
    parse_vkeys,
    render_checkpoint,
    render_note,
    render_vkey,
    render_vkeys,
    verify_note,
)
from vault.errors import TamperedError, WrongUseError

ORIGIN = "clinic.example/access-log"
HEAD = Checkpoint(ORIGIN, 5, bytes(32))
OLD, NEW, STRANGE = (Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in range(3))


def key(signer: Ed25519PrivateKey, name: str = ORIGIN) -> VerifierKey:
    return VerifierKey(name, signer.public_key().public_bytes_raw())


def line(signer: Ed25519PrivateKey, text: str, name: str = ORIGIN) -> Signature:
    return Signature(name, key(signer, name).identifier, signer.sign(text.encode()))


def note(*lines: Signature, head: Checkpoint = HEAD) -> bytes:
    return render_note(Note(render_checkpoint(head), lines))


TEXT = render_checkpoint(HEAD)
BOTH = (key(NEW), key(OLD))


@pytest.mark.parametrize(
    "lines",
    [
        [line(OLD, TEXT)],
        [line(NEW, TEXT)],
        [line(NEW, TEXT), line(OLD, TEXT)],
        [line(STRANGE, "other"), line(OLD, TEXT)],
    ],
    ids=["old", "new", "both", "old and a stranger"],
)
def test_one_of_the_keys_is_enough(lines: list[Signature]) -> None:
    assert open_checkpoint(note(*lines), BOTH) == HEAD


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([line(STRANGE, TEXT)], "note_not_signed"),
        ([line(NEW, "other")], "note_signature"),
        ([line(NEW, TEXT), line(OLD, "other")], "note_signature"),
        ([line(NEW, "other"), line(OLD, TEXT)], "note_signature"),
        ([line(NEW, TEXT), line(NEW, "other")], "note_signature"),
    ],
    ids=["stranger", "wrong", "good and wrong", "wrong and good", "the same key twice"],
)
def test_a_wrong_signature_of_any_of_them_spoils_all(lines: list[Signature], code: str) -> None:
    with pytest.raises(TamperedError) as refused:
        open_checkpoint(note(*lines), BOTH)
    assert refused.value.code == code


def test_a_new_key_alone_does_not_vouch_for_what_the_old_one_signed() -> None:
    with pytest.raises(TamperedError):
        open_checkpoint(note(line(OLD, TEXT)), key(NEW))
    with pytest.raises(TamperedError):
        open_checkpoint(note(line(OLD, TEXT)), ())


def test_a_key_of_another_log_signs_nothing_here() -> None:
    other = key(NEW, "other.example/log")
    with pytest.raises(TamperedError) as refused:
        open_checkpoint(note(line(NEW, TEXT, other.name)), (other, key(OLD)))
    assert refused.value.code == "checkpoint_origin"


def test_the_signers_are_told_in_the_lines_order() -> None:
    signed = Note(TEXT, (line(OLD, TEXT), line(STRANGE, TEXT), line(NEW, TEXT)))

    assert verify_note(signed, BOTH) == (key(OLD), key(NEW))


def test_keys_stand_in_a_file_one_a_line() -> None:
    text = render_vkeys(BOTH)

    assert parse_vkeys(text) == parse_vkeys(text.removesuffix("\n")) == BOTH
    assert text.splitlines() == [render_vkey(one) for one in BOTH]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        render_vkeys(BOTH) + "\n",
        "\n" + render_vkeys(BOTH),
        render_vkeys(BOTH).replace("\n", "\r\n"),
        render_vkeys((key(NEW), key(NEW))),
        render_vkeys((key(NEW), key(OLD, "other.example/log"))),
        render_vkeys(BOTH).replace("\n", " "),
    ],
    ids=["empty", "a line", "more lines", "line first", "returns", "twice", "two logs", "spaces"],
)
def test_what_is_no_list_of_one_log_s_keys_is_refused(text: str) -> None:
    with pytest.raises(WrongUseError):
        parse_vkeys(text)
