"""The log's bucket: put once, what arrived is compared with what was sent, and what was hidden is put again."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from vault.errors import ConflictError, KeyMissingError, OutOfReachError
from vault.storage.objects import Objects
from vault.testing.moto_server import moto_server
from vault.testing.object_server import ObjectServer

BUCKETS = count(1)


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectServer]:
    with moto_server() as server:
        yield server


@pytest.fixture
def objects(store: ObjectServer) -> Objects:
    made = Objects(store.settings(log_bucket=f"log-{next(BUCKETS)}"))
    made.prepare()
    return made


def versions(objects: Objects, key: str) -> int:
    found = objects._client.list_object_versions(Bucket=objects._settings.log_bucket, Prefix=key)
    return len(found.get("Versions", ()))


def test_a_name_is_put_once(objects: Objects) -> None:
    objects.put_locked("tile/0/000", b"one")
    objects.put_locked("tile/0/000", b"one")

    with pytest.raises(ConflictError) as caught:
        objects.put_locked("tile/0/000", b"two")

    assert caught.value.code == "log_object_differs"
    assert objects.get_locked("tile/0/000") == b"one"
    assert versions(objects, "tile/0/000") == 1


def test_what_somebody_hid_is_put_again(objects: Objects) -> None:
    objects.put_locked("tile/0/000", b"one")
    objects._client.delete_object(Bucket=objects._settings.log_bucket, Key="tile/0/000")  # a marker; the bytes stay
    with pytest.raises(KeyMissingError):
        objects.get_locked("tile/0/000")

    objects.put_locked("tile/0/000", b"one")

    assert objects.get_locked("tile/0/000") == b"one"


@pytest.fixture
def sent(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Change what is sent, or what the store says of it."""
    changes: dict[str, Any] = {}
    true = objects._client.put_object

    def put_object(**given: Any) -> dict[str, Any]:
        body = changes.get("body", given["Body"])
        return {**true(**{**given, "Body": body}), **changes.get("answer", {})}

    monkeypatch.setattr(objects._client, "put_object", put_object)
    return changes


def test_bytes_that_changed_on_the_way_are_found(objects: Objects, sent: dict[str, Any]) -> None:
    sent["body"] = b"onE"

    with pytest.raises(OutOfReachError) as caught:
        objects.replace_locked("checkpoint", b"one")

    assert caught.value.code == "objects_differ"


@pytest.mark.parametrize("tag", ['"0123"', "", '"d41d8cd98f00b204e9800998ecf8427e-2"'])
def test_a_store_with_tags_of_its_own_is_read_back(objects: Objects, sent: dict[str, Any], tag: str) -> None:
    sent["answer"] = {"ETag": tag}

    objects.replace_locked("checkpoint", b"one")

    assert objects.get_locked("checkpoint") == b"one"
