"""S3 objects: sealed bytes under names that hold references only."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any, BinaryIO, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from vault.domain.private import Private
from vault.errors import ConflictError, KeyMissingError, OutOfReachError
from vault.settings import ObjectSettings, read_secret

T = TypeVar("T")
_GONE = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchBucket"})
_EXISTS = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
_PLACE = "bucket_place"
LOG_LOCK = timedelta(days=12 * 366)  # Act 703/2023, annex: logs are kept for 12 years


class Objects(Private):
    """The two buckets: sealed objects that may be deleted, and the log's that may not.

    :param lock: how long a log object can't be deleted; tests shorten it.
    """

    def __init__(self, settings: ObjectSettings, *, lock: timedelta = LOG_LOCK) -> None:
        self._settings = settings
        self._lock = lock
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=settings.endpoint,
            region_name=settings.region,
            aws_access_key_id=read_secret(settings.access_key_file),
            aws_secret_access_key=read_secret(settings.secret_key_file),
            config=Config(
                retries={"max_attempts": 4, "mode": "standard"},
                user_agent="dsr-vault",  # else each request spells out this machine's versions, and takes its time
                connect_timeout=5,
                read_timeout=60,
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def prepare(self) -> None:
        """Make both buckets where they are missing; the log's with Object Lock."""
        self._make(self._settings.bucket)
        self._make(self._settings.log_bucket, ObjectLockEnabledForBucket=True)

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        """Store ``data`` under ``key``; the same key again replaces it.

        :param data: bytes, or a file that is read in pieces from its beginning, again where a try fails.
        """
        self._call(lambda: self._client.put_object(Bucket=self._settings.bucket, Key=key, Body=data))

    def get(self, key: str) -> bytes:
        """Return an object's bytes.

        :raises KeyMissingError: there is no such object.
        """
        return self._read(self._settings.bucket, key)

    def exists(self, key: str) -> bool:
        """Tell whether the object is there."""
        return self._has(self._settings.bucket, key)

    def delete(self, key: str) -> None:
        """Delete an object; a missing one is no fault."""
        self._call(lambda: self._client.delete_object(Bucket=self._settings.bucket, Key=key))

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys under ``prefix`` in order."""
        yield from self._list(self._settings.bucket, prefix)

    def put_locked(self, key: str, data: bytes) -> None:
        """Store a log object once, under compliance retention; the same bytes again are no fault.

        ``If-None-Match`` is ignored on locked buckets by RADOS Gateway, so that the caller claims the
        name first (:mod:`vault.accesslog.writeonce`).

        :raises ConflictError: other bytes stand under that name already.
        """
        if self._has(self._settings.log_bucket, key):
            if self._read(self._settings.log_bucket, key) != data:
                raise ConflictError("log_object_differs", "other bytes stand under this name; run dsr log verify")
            return
        self.replace_locked(key, data)

    def replace_locked(self, key: str, data: bytes) -> None:
        """Store the newest version of a log object under compliance retention; the earlier ones stay.

        :raises OutOfReachError: what is stored is not what was sent.
        """
        until = datetime.now(UTC) + self._lock
        answer = self._call(
            lambda: self._client.put_object(
                Bucket=self._settings.log_bucket,
                Key=key,
                Body=data,
                ObjectLockMode="COMPLIANCE",
                ObjectLockRetainUntilDate=until,
                ChecksumAlgorithm="SHA256",
            )
        )
        # RADOS Gateway does not compare the checksum itself; a store that encrypts gives another tag than the MD5
        arrived = answer["ETag"].strip('"') == md5(data, usedforsecurity=False).hexdigest()
        if not arrived and self._read(self._settings.log_bucket, key) != data:
            raise OutOfReachError("objects_differ", "the object store holds other bytes than were sent; run dsr doctor")

    def get_locked(self, key: str) -> bytes:
        """Return a log object's bytes.

        :raises KeyMissingError: there is no such object.
        """
        return self._read(self._settings.log_bucket, key)

    def list_locked(self, prefix: str = "", *, after: str = "") -> Iterator[str]:
        """Yield the log bucket's keys under ``prefix`` in order, those behind ``after`` only."""
        yield from self._list(self._settings.log_bucket, prefix, after)

    def _make(self, bucket: str, **extra: Any) -> None:
        try:
            self._call(lambda: self._client.create_bucket(Bucket=bucket, **extra))
        except ConflictError as error:
            if error.code == _PLACE and "CreateBucketConfiguration" not in extra:
                place = {"LocationConstraint": self._settings.region}
                self._make(bucket, CreateBucketConfiguration=place, **extra)

    def _has(self, bucket: str, key: str) -> bool:
        try:
            self._call(lambda: self._client.head_object(Bucket=bucket, Key=key))
        except KeyMissingError:
            return False
        return True

    def _read(self, bucket: str, key: str) -> bytes:
        return self._call(lambda: bytes(self._client.get_object(Bucket=bucket, Key=key)["Body"].read()))

    def _list(self, bucket: str, prefix: str, after: str = "") -> Iterator[str]:
        paginator = self._client.get_paginator("list_objects_v2")
        pages = paginator.paginate(Bucket=bucket, Prefix=prefix, StartAfter=after)
        iterator = iter(pages)
        while (page := self._call(lambda: next(iterator, None))) is not None:
            for item in page.get("Contents", ()):
                yield str(item["Key"])

    def _call(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _GONE:
                raise KeyMissingError("object_missing", "no such object; run the step that makes it again") from None
            if code == "IllegalLocationConstraintException":  # AWS wants the region named, others know none
                raise ConflictError(_PLACE, "the object store wants the bucket's region named") from None
            if code in _EXISTS:
                raise ConflictError("bucket_exists", "the bucket is there already") from None
            raise OutOfReachError("objects_refused", f"the object store answered {code}; run dsr doctor") from None
        except BotoCoreError:
            raise OutOfReachError(
                "objects_away", "the object store does not answer; check the endpoint, the step runs again"
            ) from None
