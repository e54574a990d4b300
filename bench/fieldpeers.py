"""The peers' side of sealing fields: run by the Python of ``build/peers``, which alone has their libraries.

Prints one JSON object: how many fields each library sealed a second on one core. Each call gets the
field's place as associated data or encryption context, as ours does.
"""

import json
import os
import sys
import time
from collections.abc import Callable

import aws_encryption_sdk
import tink
from aws_encryption_sdk.identifiers import Algorithm, CommitmentPolicy, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider
from tink import aead

SLOW = 50  # the SDK, which makes and wraps a key a field, seals that part of the fields only


class _Keys(RawMasterKeyProvider):  # type: ignore[misc]  # the library has no types
    """One AES key in memory, as the SDK's own documentation shows it."""

    provider_id = "bench"

    def _get_raw_key(self, key_id: bytes) -> WrappingKey:  # noqa: ARG002 - the SDK's signature
        return WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=b"k" * 32,
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        )


def tink_fields(count: int, field: bytes) -> float:
    """Seal with Tink's AES-256-GCM."""
    aead.register()
    primitive = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM).primitive(aead.Aead)
    return _rate(count, lambda number: primitive.encrypt(field, b"records|R-%d|body|P-1|1" % number))


def aws_fields(count: int, field: bytes) -> float:
    """Seal with the AWS Encryption SDK: committed, unsigned AES-256-GCM under a raw key."""
    client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
    keys = _Keys()
    keys.add_master_key("bench")
    return _rate(
        count,
        lambda number: client.encrypt(
            source=field,
            key_provider=keys,
            algorithm=Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
            encryption_context={"place": f"records|R-{number}|body|P-1|1"},
        ),
    )


def _rate(count: int, seal: Callable[[int], object]) -> float:
    begun = time.perf_counter()
    for number in range(count):
        seal(number)
    return count / (time.perf_counter() - begun)


if __name__ == "__main__":
    number, size = int(sys.argv[1]), int(sys.argv[2])
    told = {"tink": tink_fields(number, os.urandom(size)), "aws": aws_fields(number // SLOW, os.urandom(size))}
    print(json.dumps(told))
