"""A stand-in for an object store where Ceph is not installed, and for AWS KMS in tests: moto's server.

Its access rules are switched on. It keeps fewer promises: objects live in memory, compliance retention
can be shortened, presigned links do not open, and keys that were deleted still decrypt. `dsr doctor`
calls it unfit, and the demo says that it is a stand-in.
"""

import contextlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3

from vault.errors import WrongUseError
from vault.testing import object_server, places, processes
from vault.testing.object_server import ObjectServer
from vault.testing.ports import answers, free_port

_SET_UP_CALLS = 3  # make the user, allow it S3, draw its keys: after these every call is checked
_KMS = ("CreateKey", "DisableKey", "ScheduleKeyDeletion", "DescribeKey", "GetKeyRotationStatus")
_KMS_USES = ("Encrypt", "Decrypt", "ReEncrypt", "GenerateMac")
_ACTIONS = ["s3:*", *(f"kms:{action}" for action in (*_KMS, *_KMS_USES))]
_POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": _ACTIONS, "Resource": "*"}]}


@contextlib.contextmanager
def moto_server(directory: Path | None = None) -> Iterator[ObjectServer]:
    """Run the stand-in while inside.

    :raises WrongUseError: `server_missing`: the extra `demo` is not installed.
    :raises OutOfReachError: the server does not start.
    """
    with places.lent(start, stop, directory, "dsr-moto-") as server:
        yield server


def start(directory: Path) -> ObjectServer:
    """Start a stand-in that outlives us, or adopt the one that runs there; its objects end with it.

    :raises WrongUseError: `server_missing`: the extra `demo` is not installed.
    :raises OutOfReachError: the server does not start.
    """
    if importlib.util.find_spec("moto") is None:
        raise WrongUseError("server_missing", "moto is not installed; install dsr-vault[demo], or Debian's radosgw")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    server = object_server.recall(directory, count=1, stand_in=True)
    if server is not None:
        return server
    server = ObjectServer(free_port(), directory, stand_in=True)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(server.port)]
    env = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(_SET_UP_CALLS)}
    running = processes.start_named("moto", directory, command, env=env, cwd=directory)
    processes.wait_until(lambda: answers(server.port), "moto", process=running)
    _make_user(server)
    server.remember()
    return server


def stop(directory: Path) -> None:
    """Stop the stand-in that runs there, if one does."""
    processes.stop_named("moto", directory)


def destroy(directory: Path) -> None:
    """Stop the stand-in and remove its keys and log."""
    stop(directory)
    places.discard(directory)


def _make_user(server: ObjectServer) -> None:
    iam = boto3.client(
        "iam",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id="nobody-yet",
        aws_secret_access_key="nobody-yet",  # noqa: S106 - the stand-in does not look at the first calls' keys
    )
    iam.create_user(UserName="dsr-vault")
    iam.put_user_policy(UserName="dsr-vault", PolicyName="dsr-vault", PolicyDocument=json.dumps(_POLICY))
    keys = iam.create_access_key(UserName="dsr-vault")["AccessKey"]
    object_server.keep_keys(server.home, keys["AccessKeyId"], keys["SecretAccessKey"])
