"""Wycheproof's and the RFCs' vectors against the very library calls that the product makes."""

import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base

HOME = Path(__file__).with_name("wycheproof")
Case = dict[str, Any]


def cases(name: str) -> list[Case]:
    loaded: list[Case] = json.loads((HOME / f"{name}_test.json").read_text(encoding="ascii"))["tests"]
    return loaded


def raw(case: Case, name: str) -> bytes:
    return bytes.fromhex(case[name])


def number(case: Case) -> str:
    return str(case["tcId"])


def zero_shared(case: Case) -> bool:
    return "ZeroSharedSecret" in case["flags"]


@pytest.mark.parametrize(
    ("name", "count", "valid"),
    [
        ("aes_gcm", 66, 39),
        ("hkdf_sha256", 86, 83),
        ("hkdf_sha512", 83, 80),
        ("ed25519", 210, 117),
        ("x25519", 518, 264),
    ],
)
def test_the_vectors_are_all_there(name: str, count: int, valid: int) -> None:
    assert len(cases(name)) == count
    assert sum(case["result"] == "valid" for case in cases(name)) == valid


@pytest.mark.parametrize("case", cases("aes_gcm"), ids=number)
def test_aes_256_gcm(case: Case) -> None:
    cipher, nonce, aad = AESGCM(raw(case, "key")), raw(case, "iv"), raw(case, "aad")
    sealed = raw(case, "ct") + raw(case, "tag")

    if case["result"] == "valid":
        assert cipher.decrypt(nonce, sealed, aad) == raw(case, "msg")
        assert cipher.encrypt(nonce, raw(case, "msg"), aad) == sealed
    else:
        with pytest.raises(InvalidTag):
            cipher.decrypt(nonce, sealed, aad)


@pytest.mark.parametrize(
    ("name", "algorithm", "case"),
    [
        pytest.param(name, algorithm, case, id=f"{name}-{case['tcId']}")
        for name, algorithm in (("sha256", SHA256()), ("sha512", SHA512()))
        for case in cases(f"hkdf_{name}")
    ],
)
def test_hkdf_as_the_second_reader_expands(name: str, algorithm: HashAlgorithm, case: Case) -> None:
    def expand() -> bytes:
        key = hmac.digest(raw(case, "salt") or bytes(algorithm.digest_size), raw(case, "ikm"), name)
        return HKDFExpand(algorithm, length=case["size"], info=raw(case, "info")).derive(key)

    if case["result"] == "valid":
        assert expand() == raw(case, "okm")
    else:
        with pytest.raises(ValueError, match="derive keys larger"):
            expand()


@pytest.mark.parametrize("case", [case for case in cases("hkdf_sha256") if case["result"] == "valid"], ids=number)
def test_hmac_sha_256_as_the_key_service_calls_it(case: Case) -> None:
    """RFC 5869 by HMAC alone, so that every block of every vector is one more HMAC-SHA-256."""
    key = hmac.digest(raw(case, "salt") or bytes(32), raw(case, "ikm"), "sha256")
    block, found = b"", b""
    for index in range(1, -(-case["size"] // 32) + 1):
        block = hmac.digest(key, block + raw(case, "info") + bytes([index]), "sha256")
        found += block

    assert found[: case["size"]] == raw(case, "okm")


@pytest.mark.parametrize(
    ("key", "data", "mac"),
    [
        ("0b" * 20, b"Hi There".hex(), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (
            b"Jefe".hex(),
            b"what do ya want for nothing?".hex(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        ("aa" * 20, "dd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    ],
    ids=["1", "2", "3"],
)
def test_hmac_sha_256_of_rfc_4231(key: str, data: str, mac: str) -> None:
    assert hmac.digest(bytes.fromhex(key), bytes.fromhex(data), "sha256").hex() == mac


@pytest.mark.parametrize("case", [case for case in cases("ed25519") if case["result"] != "acceptable"], ids=number)
def test_ed25519(case: Case) -> None:
    """Keys of small or mixed order are the signer's own harm and left out: ours come from our own key service."""
    try:
        Ed25519PublicKey.from_public_bytes(raw(case, "pk")).verify(raw(case, "sig"), raw(case, "msg"))
        verdict = "valid"
    except InvalidSignature:
        verdict = "invalid"

    assert verdict == case["result"]


def by_libsodium(private: bytes, public: bytes) -> bytes:
    return bytes(crypto_scalarmult(private, public))


def by_openssl(private: bytes, public: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


@pytest.mark.parametrize("agree", [by_libsodium, by_openssl], ids=["boxes", "custody"])
@pytest.mark.parametrize("case", cases("x25519"), ids=number)
def test_x25519(case: Case, agree: Callable[[bytes, bytes], bytes]) -> None:
    """Acceptable vectors agree too, save those whose secret everybody knows: these are refused."""
    if zero_shared(case):
        with pytest.raises((RuntimeError, ValueError)):
            agree(raw(case, "private"), raw(case, "public"))
    else:
        assert agree(raw(case, "private"), raw(case, "public")) == raw(case, "shared")


def test_x25519_public_halves_agree() -> None:
    for case in cases("x25519"):
        theirs = X25519PrivateKey.from_private_bytes(raw(case, "private")).public_key().public_bytes_raw()
        assert theirs == crypto_scalarmult_base(raw(case, "private"))


def test_argon2id_of_rfc_9106() -> None:
    derived = Argon2id(
        salt=b"\x02" * 16, length=32, iterations=3, lanes=4, memory_cost=32, ad=b"\x04" * 12, secret=b"\x03" * 8
    ).derive(b"\x01" * 32)

    assert derived.hex() == "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
