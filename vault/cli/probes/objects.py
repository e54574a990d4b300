"""The object store: the right key only, links that expire, and a lock that holds even against its owner."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from vault.cli.probes.finding import Finding, Trial, UnfitError, tried
from vault.domain.private import Private
from vault.errors import OutOfReachError
from vault.settings import ObjectSettings, Settings, read_secret

_LOCKED_SECONDS = 8  # long enough to try on a busy machine, short enough to tidy up after
_LINK_SECONDS = 3
_BODY = b"dsr doctor tries the lock"


def probe(settings: Settings) -> Iterator[Finding]:
    """Try the object store; takes about ten seconds, because a link's and a lock's end are waited for."""
    yield from tried("objects", _trials(settings.objects))


def _trials(settings: ObjectSettings) -> Iterator[Trial]:
    store = _Store(settings, _client(settings), f"doctor/{secrets.token_hex(8)}")
    yield "answers with the keys and keeps an object", store.keeps
    yield "is no stand-in", store.is_no_stand_in
    yield "refuses a wrong secret", store.refuses_wrong_secret
    yield "refuses a request without keys", store.refuses_strangers
    yield "the log's bucket is under Object Lock", store.is_locked
    yield "Object Lock refuses deletion", store.refuses_deletion
    yield "Object Lock refuses shortening", store.refuses_shortening
    yield "presigned links expire", store.links_expire
    store.tidy()


@dataclass(slots=True)
class _Store(Private):
    settings: ObjectSettings
    client: Any
    key: str
    version: str = ""
    begun: float = 0.0  # when the probe was locked, on the monotonic clock

    def keeps(self) -> str:
        place = {"Bucket": self.settings.bucket, "Key": self.key}
        _ask(lambda: self.client.put_object(**place, Body=_BODY))
        answer = _ask(lambda: self.client.get_object(**place))
        if answer["Body"].read() != _BODY:
            raise UnfitError("it gave back other bytes than it was given; do not use it")
        return "put and read again"

    def is_no_stand_in(self) -> str:
        """Look for what moto shows anybody who asks: all that it holds."""
        if _get(f"{self.settings.endpoint}/moto-api/data.json") == httpx.codes.OK:
            raise UnfitError(
                "it is moto, a stand-in for tests: anybody who reaches it can read and reset all of it, objects live "
                "in memory, and locks can be shortened; take Ceph's RADOS Gateway or another S3 with Object Lock"
            )
        return "not moto"

    def refuses_wrong_secret(self) -> str:
        stranger = _client(self.settings, secret=secrets.token_urlsafe(30))
        return _refused(
            lambda: stranger.get_object(Bucket=self.settings.bucket, Key=self.key),
            "it accepts any secret; turn its access control on, or take another object store",
        )

    def refuses_strangers(self) -> str:
        answer = _get(f"{self.settings.endpoint}/{self.settings.bucket}/{self.key}")
        if answer == httpx.codes.OK:
            raise UnfitError("anybody may read the bucket; remove its public policy")
        return f"answered {answer}"

    def links_expire(self) -> str:
        place = {"Bucket": self.settings.bucket, "Key": self.key}
        link = self.client.generate_presigned_url("get_object", Params=place, ExpiresIn=_LINK_SECONDS)
        if _get(link) != httpx.codes.OK:
            raise UnfitError("a fresh link does not open; this store has no such links, or its clock is wrong")
        time.sleep(_LINK_SECONDS + 1.5)
        answer = _get(link)
        self.client.delete_object(**place)
        if answer == httpx.codes.OK:
            raise UnfitError("a link still opens after its end; never hand out links of this object store")
        return f"answered {answer} after its end"

    def is_locked(self) -> str:
        bucket = self.settings.log_bucket
        answer = _ask(lambda: self.client.get_object_lock_configuration(Bucket=bucket))
        if answer["ObjectLockConfiguration"].get("ObjectLockEnabled") != "Enabled":
            raise UnfitError("make the log's bucket anew with Object Lock; it can't be added later")
        return "enabled"

    def refuses_deletion(self) -> str:
        self.begun = time.monotonic()
        put = _ask(
            lambda: self.client.put_object(
                **self._locked(),
                Body=_BODY,
                ChecksumAlgorithm="SHA256",
                ObjectLockMode="COMPLIANCE",
                ObjectLockRetainUntilDate=datetime.now(UTC) + timedelta(seconds=_LOCKED_SECONDS),
            )
        )
        self.version = put.get("VersionId", "")
        return self._refused_while_locked(
            lambda: self.client.delete_object(**self._locked(), VersionId=self.version),
            "a locked object was deleted; the log can't be kept here",
        )

    def refuses_shortening(self) -> str:
        sooner = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(seconds=1)}
        return self._refused_while_locked(
            lambda: self.client.put_object_retention(**self._locked(), VersionId=self.version, Retention=sooner),
            "compliance retention was shortened; whoever holds the keys can delete the log",
        )

    def _refused_while_locked(self, act: Callable[[], Any], unfit: str) -> str:
        """Judge only what happened before the lock's own end."""
        try:
            return _refused(act, unfit)
        except UnfitError:
            if time.monotonic() > self.begun + _LOCKED_SECONDS - 1:
                raise OutOfReachError("doctor_slow", "the store was too slow to be judged; run this again") from None
            raise

    def tidy(self) -> None:
        """Delete the probe once its lock has ended; a store that never lets us keeps 25 bytes."""
        time.sleep(max(0.0, self.begun + _LOCKED_SECONDS + 1 - time.monotonic()) if self.begun else 0)
        try:
            self.client.delete_object(**self._locked(), VersionId=self.version)
        except (ClientError, BotoCoreError):
            return

    def _locked(self) -> dict[str, str]:
        return {"Bucket": self.settings.log_bucket, "Key": self.key}


def _client(settings: ObjectSettings, *, secret: str | None = None) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=settings.endpoint,
        region_name=settings.region,
        aws_access_key_id=read_secret(settings.access_key_file),
        aws_secret_access_key=secret or read_secret(settings.secret_key_file),
        config=Config(
            signature_version="s3v4",
            retries={"max_attempts": 1},
            connect_timeout=5,
            read_timeout=20,
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _ask(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise OutOfReachError("objects_refused", f"it answered {code}; check keys, buckets and policy") from None
    except BotoCoreError:
        raise OutOfReachError("objects_away", "it does not answer; check [objects] endpoint") from None


def _refused(act: Callable[[], Any], unfit: str) -> str:
    """Tell with which code it was refused; one that was let pass or failed otherwise is unfit."""
    try:
        act()
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.response.get("Error", {}).get("Code", "")
        if httpx.codes.is_client_error(status):
            return f"refused: {code}"
        raise OutOfReachError("objects_failed", f"it failed with {code} instead of refusing; read its log") from None
    except BotoCoreError:
        raise OutOfReachError("objects_away", "it does not answer; check [objects] endpoint") from None
    raise UnfitError(unfit)


def _get(url: str) -> int:
    try:
        return httpx.get(url, timeout=20).status_code
    except httpx.HTTPError:
        raise OutOfReachError("objects_away", "it does not answer; check [objects] endpoint") from None
