"""The vectors that C2SP publishes for chunked encryption, read by the product and by the second reader."""

import io
import json
import zlib
from hashlib import sha512
from pathlib import Path
from typing import Any

import pytest

from vault.crypto.envelope import FORMAT, Context, unseal, unseal_stream
from vault.errors import RefusedError, TamperedError
from vault.testing.secondreader import Fault, UnreadableEnvelopeError, read_message

FILE = Path(__file__).parent / "wycheproof/c2sp_chunked_encryption_aes_256_gcm_test.json"
CASES: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="ascii"))["tests"]
each = pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["tcId"]))
BEFORE_ANY_CHUNK = {Fault.KEY, Fault.HEADER, Fault.COMMITMENT}


class Verbatim(Context):
    """A context that is not of the product's form; the vectors have such ones, kept here in its row."""

    def encode(self) -> bytes:
        return bytes.fromhex(self.row)


def parts(case: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    return bytes.fromhex(case["key"]), bytes.fromhex(case["ctx"]), zlib.decompress(bytes.fromhex(case["ct"]))


def test_the_vectors_are_all_there() -> None:
    assert len(CASES) == 33
    assert sum(case["result"] == "valid" for case in CASES) == 8


@each
def test_product_agrees(case: dict[str, Any]) -> None:
    key, words, message = parts(case)
    context, envelope, target = Verbatim("", words.hex(), "", "", 0), FORMAT + message, io.BytesIO()

    if case["result"] == "valid":
        opened = unseal(key, context, envelope)
        assert unseal_stream(key, context, io.BytesIO(envelope), target) == case["msgLength"]
        assert sha512(opened).hexdigest() == sha512(target.getvalue()).hexdigest() == case["msgSha512"]
    else:
        wanted = TamperedError if len(key) == 32 else RefusedError
        with pytest.raises(wanted) as whole:
            unseal(key, context, envelope)
        with pytest.raises(wanted) as streamed:
            unseal_stream(key, context, io.BytesIO(envelope), target)
        assert type(whole.value) is type(streamed.value) is wanted
        assert target.getvalue() == b""


@each
def test_second_reader_agrees(case: dict[str, Any]) -> None:
    key, words, message = parts(case)

    if case["result"] == "valid":
        assert sha512(read_message(key, words, message)).hexdigest() == case["msgSha512"]
    else:
        with pytest.raises(UnreadableEnvelopeError) as caught:
            read_message(key, words, message)
        assert (caught.value.fault in BEFORE_ANY_CHUNK) == ("HeaderFailure" in case["flags"])
