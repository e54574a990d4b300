"""Our S/MIME key is taken whole or not at all, whichever part of it is damaged, and is as openssl takes it."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from vault.errors import WrongUseError
from vault.intake.smime import SmimeKey
from vault.intake.smimekey import load_key, private_key

_PARTS = ("p", "q", "d", "dmp1", "dmq1", "iqmp")


def _pem(key: Any, password: bytes | None = None) -> bytes:
    seal = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, seal))


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _changed(key: rsa.RSAPrivateKey, **parts: int) -> bytes:
    """Write an RSAPrivateKey (RFC 8017 appendix A.1.2), which the library would not write with parts that don't fit."""
    numbers = key.private_numbers()
    found = {name: getattr(numbers, name) for name in _PARTS} | parts
    public = numbers.public_numbers
    row = (0, public.n, public.e, *(found[name] for name in ("d", "p", "q", "dmp1", "dmq1", "iqmp")))
    body = b"".join(_tagged(2, number.to_bytes(number.bit_length() // 8 + 1, "big")) for number in row)
    return b"-----BEGIN RSA PRIVATE KEY-----\n%b-----END RSA PRIVATE KEY-----\n" % base64.encodebytes(
        _tagged(0x30, body)
    )


def _tagged(tag: int, body: bytes) -> bytes:
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, *([] if len(body) < 0x80 else [0x80 | len(size)])]) + size + body


@pytest.mark.parametrize("part", _PARTS)
@pytest.mark.parametrize("by", [2, 1 << 300])
def test_a_damaged_key_is_refused_whichever_part_it_is(key: rsa.RSAPrivateKey, part: str, by: int) -> None:
    with pytest.raises(WrongUseError, match="smime_key"):
        load_key(_changed(key, **{part: getattr(key.private_numbers(), part) ^ by}), None)


def test_parts_of_two_keys_are_no_key(key: rsa.RSAPrivateKey) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()

    with pytest.raises(WrongUseError, match="smime_key"):
        load_key(_changed(key, **{name: getattr(other, name) for name in _PARTS}), None)


def test_factors_that_are_the_whole_and_one_are_no_key(key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(WrongUseError, match="smime_key"):
        load_key(_changed(key, p=key.public_key().public_numbers().n, q=1), None)


def test_a_whole_key_is_the_same_key_with_its_factors_in_either_order(key: rsa.RSAPrivateKey) -> None:
    n = key.private_numbers()
    turned = _changed(key, p=n.q, q=n.p, dmp1=n.dmq1, dmq1=n.dmp1, iqmp=pow(n.p, -1, n.q))

    for pem in (_pem(key), _pem(key, b"secret"), turned):
        taken = serialization.load_der_private_key(load_key(pem, "secret" if b"ENCRYPTED" in pem else None).key, None)
        assert isinstance(taken, rsa.RSAPrivateKey)
        assert taken.private_numbers().d == n.d
        assert {taken.private_numbers().p, taken.private_numbers().q} == {n.p, n.q}


def test_a_key_on_a_curve_is_read_for_openssl_and_for_this_process() -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    for_us = private_key(_pem(curve, b"secret"), "secret")

    assert isinstance(for_us, ec.EllipticCurvePrivateKey)
    assert for_us.private_numbers() == curve.private_numbers()
    assert load_key(_pem(curve), None) == SmimeKey(
        curve.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def test_a_certificate_of_ours_is_remarked_upon_when_it_has_ended() -> None:
    now = datetime.now(UTC)
    ended = SmimeKey(b"", b"", now - timedelta(seconds=1))

    assert ended.remark == "own_certificate_expired"
    assert replace(ended, ends=now + timedelta(minutes=1)).remark == ""
    assert SmimeKey(b"").remark == ""
