"""Keys in moto's stand-in of AWS KMS: good enough for the road, for no wall.

It still decrypts with disabled and deleted keys, so nothing that must show destruction is tested on it;
`dsr doctor` calls it unfit.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3

from vault.crypto.keyservice import LABELS
from vault.settings import read_secret
from vault.settings_keys import KmsSettings
from vault.testing.moto_server import moto_server
from vault.testing.object_server import ObjectServer

REGION = "us-east-1"
ROOTS = 2


@contextlib.contextmanager
def moto_kms(directory: Path | None = None) -> Iterator[KmsSettings]:
    """Run the stand-in while inside; gives settings that name two roots and a MAC key for each label.

    :raises WrongUseError: `server_missing`: the extra `demo` is not installed.
    """
    with moto_server(directory) as server:
        yield make_keys(server, server.home / "bundle")


def make_keys(server: ObjectServer, bundle_file: Path) -> KmsSettings:
    """Make fresh keys; nothing stands in the bundle yet."""
    client = admin(server)
    hmac = {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}
    return KmsSettings(
        region=REGION,
        endpoint=server.endpoint,
        roots={number + 1: _made(client.create_key()) for number in range(ROOTS)},
        primary=1,
        macs={label: _made(client.create_key(**hmac)) for label in LABELS},
        bundle_file=bundle_file,
        access_key_file=server.home / "access-key",
        secret_key_file=server.home / "secret-key",
    )


def admin(server: ObjectServer) -> Any:
    """Give a client of KMS that may do everything there."""
    return boto3.client(
        "kms",
        endpoint_url=server.endpoint,
        region_name=REGION,
        aws_access_key_id=read_secret(server.home / "access-key"),
        aws_secret_access_key=read_secret(server.home / "secret-key"),
    )


def _made(answer: Any) -> str:
    return str(answer["KeyMetadata"]["Arn"])
