"""The line to AWS KMS: bounded waiting, and every answer that is no yes becomes one of our own errors.

Clients of the key service wait ten seconds for an answer, so two tries with short waits must fit into that.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from vault.crypto.holder_wrapping import tampered
from vault.domain.private import Private
from vault.errors import NotAllowedError, OutOfReachError, VaultError, WrongUseError
from vault.settings import read_secret
from vault.settings_keys import KmsSettings

_CONNECT_SECONDS: Final = 1.5
_READ_SECONDS: Final = 2.5
_TRIES: Final = 2
_REST_SECONDS: Final = 5.0  # after a silence: requests that queue up must not each wait for the next one
_FORBIDDEN = 403  # of HTTP
_ALONE: Mapping[str, Any] = {"ignore_configured_endpoint_urls": True}  # the settings alone say where the keys are
_TALKATIVE = ("boto3", "botocore", "urllib3")  # who debugs them would find whole requests in the log, keys and all
_DENIED = frozenset({"AccessDeniedException", "AccessDenied"})
_WRONG_BYTES = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_CLIENTS = {
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_KEYS = {"DisabledException", "KMSInvalidStateException", "KeyUnavailableException", "NotFoundException"}
_BUSY = {"LimitExceededException", "RequestLimitExceeded", "Throttling", "ThrottlingException"}


def _denied() -> VaultError:
    return NotAllowedError("kms_denied", "AWS KMS doesn't let this role do that; check the key's policy and grants")


def _stranger() -> VaultError:
    return NotAllowedError("kms_stranger", "AWS KMS doesn't accept these credentials; check them and the clock")


def _unusable() -> VaultError:
    advice = "a key in [keys.kms] is disabled, waits for deletion or isn't there; look at it with `dsr doctor`"
    return OutOfReachError("kms_key_unusable", advice)


def _busy() -> VaultError:
    return OutOfReachError("kms_busy", "AWS KMS answers that we ask too often; wait, or ask AWS for a larger quota")


def _wrong_kind() -> VaultError:
    advice = "a key in [keys.kms] is of the wrong kind: roots are SYMMETRIC_DEFAULT, macs HMAC_256"
    return WrongUseError("kms_key_kind", advice)


_ERRORS: Final[Mapping[str, Callable[[], VaultError]]] = {
    **dict.fromkeys(_WRONG_BYTES, tampered),
    **dict.fromkeys(_DENIED, _denied),
    **dict.fromkeys(_CLIENTS, _stranger),
    **dict.fromkeys(_KEYS, _unusable),
    **dict.fromkeys(_BUSY, _busy),
    "InvalidKeyUsageException": _wrong_kind,
}


class KmsLine(Private):
    """A client of AWS KMS under the key service's own role.

    :param settings: region, and where they are given, endpoint and credential files; else boto3's own chain.
    :param credentials: an access key and its secret in place of those; `dsr doctor` tries made-up ones.
    """

    def __init__(self, settings: KmsSettings, credentials: tuple[str, str] | None = None) -> None:
        access, secret = credentials or _credentials(settings)
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._client = boto3.client(
            "kms",
            region_name=settings.region,
            endpoint_url=settings.endpoint,
            config=Config(
                **_ALONE,
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": _TRIES},
            ),
            aws_access_key_id=access,
            aws_secret_access_key=secret,
        )
        self._rested = 0.0  # until when nothing is asked, on the monotonic clock

    @property
    def endpoint(self) -> str:
        """The URL that is spoken to."""
        return str(self._client.meta.endpoint_url)

    def ask(self, verb: str, **words: Any) -> Mapping[str, Any]:
        """Ask KMS for something.

        :param verb: boto3's name of it, for instance ``encrypt``.
        :raises TamperedError: KMS doesn't open these bytes with this key and context.
        :raises NotAllowedError: the role may not do this, or the credentials are wrong.
        :raises OutOfReachError: KMS doesn't answer, is too busy, or the key can't be used now.
        :raises WrongUseError: no credentials, or a key of another kind.
        """
        if time.monotonic() < self._rested:
            raise _away()
        try:
            answer: Mapping[str, Any] = getattr(self._client, verb)(**words)
        except ClientError as error:
            raise _refusal(error) from None
        except (NoCredentialsError, PartialCredentialsError):
            advice = "AWS KMS needs credentials; set keys.kms.access_key_file and secret_key_file, or give a role"
            raise WrongUseError("kms_credentials", advice) from None
        except ParamValidationError:
            raise WrongUseError("kms_request", "AWS KMS takes no such request; check the keys in [keys.kms]") from None
        except BotoCoreError:
            self._rested = time.monotonic() + _REST_SECONDS
            raise _away() from None
        return answer


def _credentials(settings: KmsSettings) -> tuple[str, str] | tuple[None, None]:
    if settings.access_key_file is None or settings.secret_key_file is None:
        return None, None
    return read_secret(settings.access_key_file), read_secret(settings.secret_key_file)


def _refusal(error: ClientError) -> VaultError:
    told = error.response.get("Error", {})
    code = str(told.get("Code", ""))
    # changed bytes may seem to name another key, to which access is denied; a role that lacks a right is
    # told instead which action it is not authorized to perform
    opens = error.operation_name in ("Decrypt", "ReEncrypt")
    if code in _DENIED and opens and "not authorized" not in str(told.get("Message", "")):
        return tampered()
    forbidden = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == _FORBIDDEN
    return _ERRORS.get(code, _denied if forbidden else _failed)()


def _away() -> VaultError:
    return OutOfReachError("kms_away", "AWS KMS doesn't answer; check keys.kms.endpoint and the line")


def _failed() -> VaultError:
    return OutOfReachError("kms_failed", "AWS KMS failed without a known reason; try again and see its health page")
