"""The `aws-kms` holder: roots and MAC keys stay in KMS; what KMS can't do itself is opened from a bundle.

Each wrapped key carries an encryption context (format, kind, reference, root) that KMS authenticates, and
writes into CloudTrail in the clear: references only. Boxes are libsodium's, and signers sign more than the
4,096 bytes that KMS takes, so their private halves stand in a bundle under the root.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from vault.crypto.holder import Roots
from vault.crypto.holder_bundle import (
    Bundle,
    BundleKind,
    Halves,
    bundle_roots,
    change_bundle,
    make_bundle,
    open_bundle,
    rewrap_bundle,
)
from vault.crypto.holder_wrapping import OutsideHolder, Place, tampered
from vault.crypto.keyservice import LABELS, name_unknown
from vault.crypto.kms_line import KmsLine
from vault.crypto.signers import slot
from vault.errors import LimitError, WrongUseError
from vault.settings_keys import KmsSettings

_LONGEST_MESSAGE = 4096  # bytes; KMS's limit of GenerateMac
_LONGEST_BLOB = 6144  # bytes; KMS's limit of CiphertextBlob
_BUNDLED: Final[tuple[BundleKind, ...]] = ("box", "signer")


class KmsHolder(OutsideHolder):
    """Keys in AWS KMS (:class:`vault.crypto.holder.Holder`).

    :raises WrongUseError: the settings don't name a MAC key for each label, or credentials are missing.
    """

    mark: ClassVar[bytes] = b"\x02"

    def __init__(self, settings: KmsSettings) -> None:
        if set(settings.macs) != set(LABELS):
            advice = f"name an HMAC_256 key in keys.kms.macs for each of {', '.join(LABELS)}, and for nothing else"
            raise WrongUseError("custody_macs", advice)
        self._settings = settings
        self._signing = {"log": settings.log_signer}
        self._line = KmsLine(settings)
        self._opened: Halves | None = None

    def roots(self) -> Roots:
        """Tell which roots the settings name."""
        return Roots(self._settings.primary, tuple(sorted(self._settings.roots)))

    def mac(self, label: str, data: bytes) -> bytes:
        """Give HMAC-SHA-256 under the label's key, made in KMS.

        :raises LimitError: KMS takes 1 to 4,096 bytes.
        """
        if label not in LABELS:
            raise name_unknown()
        if not 0 < len(data) <= _LONGEST_MESSAGE:
            raise LimitError("mac_size", f"AWS KMS indexes 1 to {_LONGEST_MESSAGE} bytes; index a digest instead")
        key = self._settings.macs[label]
        return bytes(self._line.ask("generate_mac", KeyId=key, Message=data, MacAlgorithm="HMAC_SHA_256")["Mac"])

    def sign(self, name: str, data: bytes) -> bytes:
        """Give the signer's Ed25519 signature, made in this process."""
        signers = self._halves().signers
        place = slot(name, self._signing)
        if place not in signers:
            raise name_unknown()
        return signers[place].sign(data)

    def change_bundle(self, change: Callable[[Bundle], Bundle]) -> None:
        """Put wrapped signers into the bundle, or take some out."""
        change_bundle(self._settings.bundle_file, _BUNDLED, change)

    def make_bundle(self) -> bool:
        """Make boxes and signers where their file is missing; False where it stands."""
        return make_bundle(self._settings.bundle_file, _BUNDLED, self)

    def rewrap_bundle(self) -> bool:
        """Wrap boxes and signers anew under the primary root; False where they stand there already."""
        return rewrap_bundle(self._settings.bundle_file, _BUNDLED, self)

    def bundle_roots(self) -> set[int]:
        """Tell under which roots boxes and signers stand."""
        return bundle_roots(self._settings.bundle_file, _BUNDLED)

    def _halves(self) -> Halves:
        if self._opened is None:
            self._opened = open_bundle(self._settings.bundle_file, _BUNDLED, self)
        return self._opened

    def _seal(self, place: Place, key: bytes) -> bytes:
        words = {"KeyId": self._settings.roots[place.root], "EncryptionContext": _context(place)}
        return bytes(self._line.ask("encrypt", **words, Plaintext=key)["CiphertextBlob"])

    def _open(self, place: Place, sealed: bytes) -> bytes:
        _check_size(sealed)
        words = {"KeyId": self._settings.roots[place.root], "EncryptionContext": _context(place)}
        return bytes(self._line.ask("decrypt", **words, CiphertextBlob=sealed)["Plaintext"])

    def _move(self, old: Place, new: Place, sealed: bytes) -> bytes:
        _check_size(sealed)
        answer = self._line.ask(
            "re_encrypt",  # inside KMS: the key comes out nowhere
            CiphertextBlob=sealed,
            SourceKeyId=self._settings.roots[old.root],
            SourceEncryptionContext=_context(old),
            DestinationKeyId=self._settings.roots[new.root],
            DestinationEncryptionContext=_context(new),
        )
        return bytes(answer["CiphertextBlob"])


def _context(place: Place) -> Mapping[str, str]:
    return {
        "dsr-format": str(place.mark[0]),
        "dsr-kind": place.kind,
        "dsr-ref": place.ref,
        "dsr-root": str(place.root),
    }


def _check_size(sealed: bytes) -> None:
    if not 0 < len(sealed) <= _LONGEST_BLOB:
        raise tampered()
