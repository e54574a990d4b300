"""Recovery by custodians: the drawn passphrase of a key file split by SLIP-0039, so that none of them has it alone.

Fewer shares than the threshold tell nothing. The words are those of SLIP-0039 (SatoshiLabs, "Shamir's Secret-Sharing
for Mnemonic Codes"), so that another tool reads them when this one is gone; the library is its reference.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

from shamir_mnemonic import MnemonicError, Share, decode_mnemonics, generate_mnemonics
from shamir_mnemonic.shamir import EncryptedMasterSecret, recover_ems

from vault.errors import RefusedError, WrongUseError

MOST_SHARES: Final = 16  # SLIP-0039's own limit
_SECRET_BYTES = 32
_STRETCHING = 0  # the secret is random: guessing it is hopeless without
_NO_PASSPHRASE = b""


def split_passphrase(passphrase: str, shares: int, threshold: int) -> list[str]:
    """Split a drawn passphrase into shares; every subset of threshold size was joined again before they are given.

    :param passphrase: the base64url of 32 random bytes, as ``dsr keys init`` draws it.
    :returns: 33 words a share.
    :raises WrongUseError: the passphrase was not drawn so, or the numbers don't fit 2 <= threshold <= shares <= 16.
    """
    secret = _drawn(passphrase)
    if not 2 <= threshold <= shares <= MOST_SHARES:  # noqa: PLR2004 - one custodian alone is none of two
        advice = f"a threshold of at least 2, and at least as many shares, at most {MOST_SHARES}"
        raise WrongUseError("shares_malformed", advice)
    group = (threshold, shares)
    words: list[str] = generate_mnemonics(1, [group], secret, _NO_PASSPHRASE, iteration_exponent=_STRETCHING)[0]
    found = {_recovered(subset) for subset in combinations(words, threshold)}
    if {one.decrypt(_NO_PASSPHRASE) for one in found} != {secret}:
        raise RefusedError("shares_unproved", "the shares did not join again; nothing was written, split anew")
    return words


def join_shares(shares: Mapping[str, str]) -> str:
    """Join shares into the passphrase that they were split from.

    :param shares: the words of each share, under the name that an error may tell.
    :raises RefusedError: ``share_damaged``, ``share_repeated``, ``share_foreign``, ``shares_too_few``.
    """
    read = [_read(name, words) for name, words in shares.items()]
    if len({share.group_parameters() for share in read}) != 1 or read[0].group_count != 1:
        raise _foreign()
    if len({share.index for share in read}) != len(read):
        raise RefusedError("share_repeated", "one share was given twice; bring another custodian's")
    threshold = read[0].member_threshold
    if len(read) < threshold:
        raise RefusedError("shares_too_few", f"{threshold} shares are needed, {len(read)} were given")
    found = {_recovered([share.mnemonic() for share in some]) for some in combinations(read, threshold)}
    if len(found) != 1:
        raise _foreign()
    return _rendered(found.pop().decrypt(_NO_PASSPHRASE))


def _read(name: str, words: str) -> Share:
    try:
        return Share.from_mnemonic(" ".join(words.lower().split()))
    except MnemonicError:
        advice = f"a word of {name} is wrong, missing or too many; compare it with the custodian's original"
        raise RefusedError("share_damaged", advice) from None


def _recovered(words: Sequence[str]) -> EncryptedMasterSecret:
    try:
        return recover_ems(decode_mnemonics(words))
    except MnemonicError:
        raise _foreign() from None


def _drawn(passphrase: str) -> bytes:
    try:
        secret = base64.urlsafe_b64decode(passphrase + "=")
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != _SECRET_BYTES or _rendered(secret) != passphrase:
        advice = "only a passphrase that `dsr keys init` drew can be split; draw one with a new key directory"
        raise WrongUseError("passphrase_not_drawn", advice)
    return secret


def _rendered(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).decode("ascii").rstrip("=")


def _foreign() -> RefusedError:
    return RefusedError("share_foreign", "these shares do not belong together; bring those of one `dsr keys split`")
