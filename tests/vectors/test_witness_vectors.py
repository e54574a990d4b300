"""Cosignatures and add-checkpoint requests that C2SP's documents and others' witnesses publish."""

from datetime import UTC, datetime
from http import HTTPStatus

import pytest

from vault.accesslog.cosign import (
    cosigned,
    parse_cosignature,
    parse_witness_vkey,
    render_cosignature,
    render_witness_vkey,
)
from vault.accesslog.notes import VerifierKey, open_checkpoint, parse_note
from vault.accesslog.witness.protocol import (
    SIZE_TYPE,
    Asked,
    Head,
    Rejected,
    judge,
    parse_request,
    render_request,
)

DASH = "\u2014"
TEXT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
SOFA = (
    f"{TEXT}\n"
    f"{DASH} example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    f"{DASH} witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
REMORA = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
OLD = (
    "old 20852014\n"
    "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
    "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
    "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
    "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
    "\n"
)

# what the witness of filippo.io/torchwood is tried with: a log of Sigsum's shape, its key, and three checkpoints
SIGSUM = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
SIGSUM_KEY = VerifierKey(SIGSUM, bytes.fromhex("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f"))
ONE = (
    f"{SIGSUM}\n1\nKgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"
    f"{DASH} {SIGSUM} UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=\n"
)
THREE = (
    f"{SIGSUM}\n3\nRcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=\n\n"
    f"{DASH} {SIGSUM} UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=\n"
)
FIVE = (
    f"{SIGSUM}\n5\nQrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY=\n\n"
    f"{DASH} {SIGSUM} UgIomw/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=\n"
)
TO_THREE = "KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nKgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
TO_FIVE = (
    "KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n+fUDV+k970B4I3uKrqJM4aP1lloPZP8mvr2Z4wRw2LI=\n"
    "KgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
)
AT_ONE = Head(1, bytes.fromhex("2a" + 31 * "00"))


def test_a_published_cosignature_says_when_it_was_made() -> None:
    line = parse_note(SOFA.encode()).signatures[1]

    found = parse_cosignature(line.value)

    assert found.time == datetime.fromtimestamp(1679315147, UTC)
    assert line.identifier.hex() == "8d66cf3f"
    assert render_cosignature(found) == line.value


def test_what_is_cosigned_is_spelled_as_the_format_shows() -> None:
    spelled = f"cosignature/v1\ntime 1679315147\n{TEXT}"

    assert cosigned(TEXT, datetime.fromtimestamp(1679315147, UTC)) == spelled.encode()


def test_a_witness_s_key_of_another_s_round_trips() -> None:
    key = parse_witness_vkey(REMORA)

    assert (key.name, key.identifier.hex()) == ("remora.n621.de", "da77ade7")
    assert render_witness_vkey(key) == REMORA


def test_the_example_request_parses_and_renders_to_the_same_bytes() -> None:
    data = (OLD + SOFA).encode()

    request = parse_request(data)

    assert (request.old, len(request.proof)) == (20852014, 4)
    assert request.note == SOFA.encode()
    assert render_request(request) == data


def test_others_checkpoints_are_signed_by_others_keys() -> None:
    assert [open_checkpoint(note.encode(), SIGSUM_KEY).size for note in (ONE, THREE, FIVE)] == [1, 3, 5]


@pytest.mark.parametrize(
    ("body", "head", "size"),
    [
        (f"old 0\n\n{ONE}", Head(), 1),
        (f"old 1\n\n{ONE}", AT_ONE, 1),
        (f"old 1\n{TO_THREE}\n{THREE}", AT_ONE, 3),
        (f"old 1\n{TO_FIVE}\n{FIVE}", AT_ONE, 5),
    ],
    ids=["first", "again", "three", "five"],
)
def test_others_requests_are_accepted(body: str, head: Head, size: int) -> None:
    judged = judge(body.encode(), (SIGSUM_KEY,), head)

    assert isinstance(judged, Asked)
    assert judged.head.size == size


@pytest.mark.parametrize(
    ("body", "head", "status"),
    [
        (f"old 1\n{TO_THREE}\n{FIVE}", AT_ONE, HTTPStatus.UNPROCESSABLE_ENTITY),
        (f"old 1\n\n{FIVE}", AT_ONE, HTTPStatus.UNPROCESSABLE_ENTITY),
        (f"old 0\n{TO_THREE}\n{THREE}", Head(), HTTPStatus.UNPROCESSABLE_ENTITY),
        (f"old 0\n\n{THREE}", AT_ONE, HTTPStatus.CONFLICT),
        (f"old 1\n\n{ONE}", Head(1, bytes(32)), HTTPStatus.CONFLICT),
        (f"old 5\n\n{THREE}", Head(5, bytes(32)), HTTPStatus.BAD_REQUEST),
        ("old 0\n" + TO_THREE[:45] * 64 + f"\n{ONE}", Head(), HTTPStatus.BAD_REQUEST),
        (OLD + SOFA, Head(20852014, bytes(32)), HTTPStatus.NOT_FOUND),
        (f"old 0\n\n{ONE.replace('UgIom7fP', 'UgIom7fQ')}", Head(), HTTPStatus.FORBIDDEN),
        (f"old 0\n\n{ONE.replace('UgIom7', 'UgIon7')}", Head(), HTTPStatus.FORBIDDEN),
    ],
    ids=[
        *("another-proof", "no-proof", "proof-from-nothing", "old-size", "another-root"),
        *("beyond", "many-hashes", "unknown-log", "wrong-signature", "unknown-key"),
    ],
)
def test_each_refusal_has_the_status_of_the_protocol(body: str, head: Head, status: int) -> None:
    judged = judge(body.encode(), (SIGSUM_KEY,), head)

    assert isinstance(judged, Rejected)
    assert judged.reply.status == status


@pytest.mark.parametrize("body", [f"old 0\n\n{THREE}", f"old 1\n\n{ONE}"], ids=["old-size", "another-root"])
def test_a_conflict_tells_the_last_size(body: str) -> None:
    judged = judge(body.encode(), (SIGSUM_KEY,), Head(1, bytes(32)))

    assert isinstance(judged, Rejected)
    assert (judged.reply.body, judged.reply.media_type) == (b"1\n", SIZE_TYPE)
