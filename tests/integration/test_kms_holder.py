"""Root keys in KMS, on moto: every refusal has our name, waiting has an end, and KMS is told what a key is for.

moto decrypts with disabled and deleted keys: nothing about destruction is tested here.
"""

import base64
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

from vault.crypto import kms_line
from vault.crypto.holder_bundle import MAGIC
from vault.crypto.keyservice import BOXES, LABELS, SIGNERS
from vault.crypto.kms import KmsHolder
from vault.crypto.kms_line import KmsLine
from vault.crypto.kms_setup import check_removable, init_kms, look_at_roots, prove_roots
from vault.errors import (
    LimitError,
    NotAllowedError,
    OutOfReachError,
    RefusedError,
    TamperedError,
    VaultError,
    WrongUseError,
)
from vault.settings import read_secret
from vault.settings_keys import KmsSettings
from vault.testing.moto_kms import moto_kms

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def settings() -> Iterator[KmsSettings]:
    with moto_kms() as found:
        assert init_kms(found) == ["bundle"]
        yield found


@pytest.fixture
def holder(settings: KmsSettings) -> KmsHolder:
    return KmsHolder(settings)


def changed(settings: KmsSettings, **update: object) -> KmsSettings:
    return settings.model_copy(update=update)


def raw(settings: KmsSettings) -> Any:
    assert settings.access_key_file
    assert settings.secret_key_file
    return boto3.client(
        "kms",
        endpoint_url=settings.endpoint,
        region_name=settings.region,
        aws_access_key_id=read_secret(settings.access_key_file),
        aws_secret_access_key=read_secret(settings.secret_key_file),
    )


# --- what KMS is told


def test_kms_is_told_what_a_key_is_for(settings: KmsSettings, holder: KmsHolder) -> None:
    wrapped = holder.wrap("record", "S-1", KEY)
    context = {"dsr-format": "2", "dsr-kind": "record", "dsr-ref": "S-1", "dsr-root": "1"}

    opened = raw(settings).decrypt(CiphertextBlob=wrapped[5:], EncryptionContext=context, KeyId=settings.roots[1])

    assert opened["Plaintext"] == KEY
    for name in context:
        less = {key: value for key, value in context.items() if key != name}
        with pytest.raises(ClientError, match="InvalidCiphertext"):
            raw(settings).decrypt(CiphertextBlob=wrapped[5:], EncryptionContext=less, KeyId=settings.roots[1])


def test_rotating_never_brings_the_key_out_of_kms(settings: KmsSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped = KmsHolder(settings).wrap("record", "S-1", KEY)
    asked: list[str] = []
    real = KmsLine.ask

    def listening(self: KmsLine, verb: str, **words: Any) -> Any:
        asked.append(verb)
        answer = real(self, verb, **words)
        assert "Plaintext" not in {*words, *answer}
        return answer

    monkeypatch.setattr(KmsLine, "ask", listening)
    second = KmsHolder(changed(settings, primary=2))
    moved = second.rotate("record", "S-1", wrapped)

    assert second.rotate("record", "S-1", moved) == moved
    assert asked == ["re_encrypt", "re_encrypt"]


def test_no_key_is_logged_by_who_debugs_everything(settings: KmsSettings, caplog: pytest.LogCaptureFixture) -> None:
    key = secrets.token_bytes(32)

    with caplog.at_level(logging.DEBUG):
        holder = KmsHolder(settings)
        assert holder.unwrap("record", "S-1", holder.wrap("record", "S-1", key)) == key

    assert base64.b64encode(key).decode() not in caplog.text
    assert not any(shown in caplog.text for shown in (repr(key), repr(key)[2:-1], key.hex()))


def test_the_environment_does_not_lead_to_another_kms(settings: KmsSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1")

    assert KmsLine(changed(settings, endpoint=None)).endpoint == f"https://kms.{settings.region}.amazonaws.com"


def test_a_mac_is_made_in_kms_with_the_labels_key(settings: KmsSettings, holder: KmsHolder) -> None:
    for label in LABELS:
        told = raw(settings).generate_mac(KeyId=settings.macs[label], Message=b"x", MacAlgorithm="HMAC_SHA_256")
        assert holder.mac(label, b"x") == told["Mac"]


@pytest.mark.parametrize("size", [0, 4097])
def test_a_mac_of_a_size_that_kms_does_not_take_is_refused(holder: KmsHolder, size: int) -> None:
    with pytest.raises(LimitError, match="mac_size"):
        holder.mac("arrival", bytes(size))

    assert holder.mac("arrival", bytes(4096))


# --- the bundle


def test_the_bundle_holds_boxes_and_signers_and_is_made_once(settings: KmsSettings, holder: KmsHolder) -> None:
    body = json.loads(settings.bundle_file.read_bytes().removeprefix(MAGIC))

    assert {kind: set(part) for kind, part in body.items()} == {"box": set(BOXES), "signer": set(SIGNERS)}
    assert settings.bundle_file.stat().st_mode & 0o777 == 0o600
    assert init_kms(settings) == []
    assert holder.public("log") == KmsHolder(settings).public("log")


def test_a_signer_in_another_signers_place_is_refused(settings: KmsSettings) -> None:
    content = settings.bundle_file.read_bytes()
    body = json.loads(content.removeprefix(MAGIC))
    body["signer"] = {"log": body["signer"]["desk"], "desk": body["signer"]["log"]}
    try:
        settings.bundle_file.write_bytes(MAGIC + json.dumps(body, sort_keys=True).encode())
        with pytest.raises(TamperedError):
            KmsHolder(settings).sign("log", b"x")
    finally:
        settings.bundle_file.write_bytes(content)


def test_a_root_is_removable_once_the_bundle_left_it(settings: KmsSettings) -> None:
    second = changed(settings, primary=2)
    with pytest.raises(RefusedError, match="root_in_use"):
        check_removable(second, 1)
    with pytest.raises(RefusedError, match="root_is_primary"):
        check_removable(second, 2)
    with pytest.raises(RefusedError, match="root_unknown"):
        check_removable(second, 3)

    try:
        assert KmsHolder(second).rewrap_bundle()
        check_removable(second, 1)
        assert KmsHolder(second).public("case") == KmsHolder(settings).public("case")
    finally:
        KmsHolder(settings).rewrap_bundle()


# --- what is unfit


def test_every_label_needs_a_key_and_no_other_has_one(settings: KmsSettings) -> None:
    fewer = {label: key for label, key in settings.macs.items() if label != "arrival"}
    for macs in (fewer, {**settings.macs, "another": "1" * 36}):
        with pytest.raises(WrongUseError, match="custody_macs"):
            KmsHolder(changed(settings, macs=macs))


def test_a_key_of_another_kind_is_refused(settings: KmsSettings) -> None:
    macs = {**settings.macs, "subject": settings.roots[1]}

    with pytest.raises(WrongUseError, match="kms_key_kind"):
        KmsHolder(changed(settings, macs=macs)).mac("subject", b"x")


def test_a_root_that_is_not_there_is_out_of_reach(settings: KmsSettings) -> None:
    gone = "12345678-1234-1234-1234-123456789012"

    with pytest.raises(OutOfReachError, match="kms_key_unusable"):
        prove_roots(changed(settings, roots={**settings.roots, 3: gone}))


def test_a_role_without_the_right_is_told_so(settings: KmsSettings) -> None:
    with pytest.raises(NotAllowedError, match="kms_denied"):
        KmsLine(settings).ask("list_keys")


def test_a_wrong_secret_is_refused(settings: KmsSettings) -> None:
    assert settings.access_key_file
    stranger = KmsLine(settings, (read_secret(settings.access_key_file), "x" * 40))

    with pytest.raises(NotAllowedError):
        stranger.ask("describe_key", KeyId=settings.roots[1])


def test_no_credentials_at_all_is_wrong_use(settings: KmsSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")

    with pytest.raises(WrongUseError, match="kms_credentials"):
        KmsHolder(changed(settings, access_key_file=None, secret_key_file=None)).mac("subject", b"x")


def test_a_root_is_looked_at(settings: KmsSettings) -> None:
    states = look_at_roots(settings)

    assert [(state.number, state.state, state.spec, state.rotates) for state in states] == [
        (1, "Enabled", "SYMMETRIC_DEFAULT", False),
        (2, "Enabled", "SYMMETRIC_DEFAULT", False),
    ]


# --- errors by table, and waiting


class Answering:
    """A client whose every call ends in one error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _verb: str) -> Callable[..., Any]:
        def call(**_words: Any) -> Any:
            raise self._error

        return call


def told(code: str, verb: str = "Decrypt", message: str = "", status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]  # botocore reads no more of it
        verb,
    )


DENIED = "User: arn:aws:iam::1:user/x is not authorized to perform: kms:Decrypt on resource: y"
REFUSALS: dict[str, tuple[Exception, type[VaultError], str]] = {
    "changed": (told("InvalidCiphertextException"), TamperedError, "wrapped_key_tampered"),
    "other-key": (told("IncorrectKeyException"), TamperedError, "wrapped_key_tampered"),
    "names-another-key": (told("AccessDeniedException"), TamperedError, "wrapped_key_tampered"),
    "names-another-key-moving": (told("AccessDeniedException", "ReEncrypt"), TamperedError, "wrapped_key_tampered"),
    "denied": (told("AccessDeniedException", message=DENIED), NotAllowedError, "kms_denied"),
    "denied-encrypt": (told("AccessDeniedException", "Encrypt"), NotAllowedError, "kms_denied"),
    "forbidden": (told("Whatever", status=403), NotAllowedError, "kms_denied"),
    "signature": (told("InvalidSignatureException"), NotAllowedError, "kms_stranger"),
    "unknown-client": (told("UnrecognizedClientException"), NotAllowedError, "kms_stranger"),
    "expired": (told("ExpiredTokenException"), NotAllowedError, "kms_stranger"),
    "disabled": (told("DisabledException"), OutOfReachError, "kms_key_unusable"),
    "deleted": (told("KMSInvalidStateException"), OutOfReachError, "kms_key_unusable"),
    "gone": (told("NotFoundException"), OutOfReachError, "kms_key_unusable"),
    "usage": (told("InvalidKeyUsageException"), WrongUseError, "kms_key_kind"),
    "throttled": (told("ThrottlingException"), OutOfReachError, "kms_busy"),
    "quota": (told("LimitExceededException"), OutOfReachError, "kms_busy"),
    "internal": (told("KMSInternalException", status=500), OutOfReachError, "kms_failed"),
    "unknown": (told("SomethingNew"), OutOfReachError, "kms_failed"),
    "line": (EndpointConnectionError(endpoint_url="https://kms.example"), OutOfReachError, "kms_away"),
    "request": (ParamValidationError(report="secret"), WrongUseError, "kms_request"),
}


@pytest.mark.parametrize("way", REFUSALS)
def test_every_refusal_has_our_name_and_none_of_theirs(
    settings: KmsSettings, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    error, kind, code = REFUSALS[way]
    line = KmsLine(settings)
    monkeypatch.setattr(line, "_client", Answering(error))

    with pytest.raises(kind) as refused:
        line.ask("decrypt")

    assert refused.value.code == code
    assert not any(word in refused.value.advice for word in ("arn:", "secret", "kms.example"))
    assert refused.value.__cause__ is None


class Slow(BaseHTTPRequestHandler):
    """Answers every request with throttling, or not at all."""

    asked: list[float]
    silent: threading.Event

    def do_POST(self) -> None:
        self.asked.append(time.monotonic())
        if self.silent.is_set():
            time.sleep(2)
            return
        body = json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"}).encode()
        self.send_response(400)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        return


@pytest.fixture
def slow() -> Iterator[tuple[type[Slow], str]]:
    handler = type("Handler", (Slow,), {"asked": [], "silent": threading.Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_busy_kms_is_asked_twice_and_then_it_is_said(settings: KmsSettings, slow: tuple[type[Slow], str]) -> None:
    handler, endpoint = slow

    with pytest.raises(OutOfReachError, match="kms_busy"):
        KmsHolder(changed(settings, endpoint=endpoint)).wrap("record", "S-1", KEY)

    assert len(handler.asked) == 2


def test_a_silent_kms_is_not_waited_for_without_end(
    settings: KmsSettings, slow: tuple[type[Slow], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, endpoint = slow
    handler.silent.set()
    monkeypatch.setattr(kms_line, "_READ_SECONDS", 0.2)

    monkeypatch.setattr(kms_line, "_REST_SECONDS", 60.0)
    holder = KmsHolder(changed(settings, endpoint=endpoint))

    for _ in range(10):  # those that queue up are refused at once
        with pytest.raises(OutOfReachError, match="kms_away"):
            holder.wrap("record", "S-1", KEY)
    assert len(handler.asked) == 2

    monkeypatch.setattr(holder._line, "_rested", 0.0)  # the rest is over
    handler.silent.clear()
    with pytest.raises(OutOfReachError, match="kms_busy"):
        holder.wrap("record", "S-1", KEY)


def test_all_waiting_fits_into_the_patience_of_the_key_services_clients() -> None:
    longest_backoff = 1.0 * (kms_line._TRIES - 1)  # botocore's standard mode: below a second before the second try

    assert kms_line._TRIES * (kms_line._CONNECT_SECONDS + kms_line._READ_SECONDS) + longest_backoff < 10
