"""One-time codes and passphrases: spelled from random bytes so that people can read and type them.

The alphabet is Crockford's base 32 (no I, L, O, U). The caller draws the bytes, because this
layer has no randomness, and compares codes in constant time (``hmac.compare_digest``), because
only the caller knows what is compared with what.
"""

from vault.errors import WrongUseError

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans("OIL", "011")
_BREAKS = str.maketrans("", "", " -\u00a0\u2010\u2011\u2012\u2013\u2212\t\r\n")
_BITS = 5
_GROUP = 5

CODE_CHARACTERS = 10  # 50 bits
PASSPHRASE_CHARACTERS = 25  # 125 bits
CODE_BYTES = 7  # random bytes that a code needs
PASSPHRASE_BYTES = 16  # random bytes that a passphrase needs


def render_code(raw: bytes) -> str:
    """Spell a one-time code of 50 bits, such as ``7K3QX-M0A9B``.

    :param raw: at least 7 random bytes; the first 50 bits count.
    :raises WrongUseError: fewer bytes.
    """
    return _grouped(_spell(raw, CODE_CHARACTERS))


def normalise_code(text: str) -> str | None:
    """Return the canonical spelling of a typed code, or None when it can't be one.

    Case, spaces and hyphens do not matter; O is read as 0, I and L as 1.
    """
    typed = text.translate(_BREAKS)
    if not typed.isascii():  # upper() turns some foreign letters into ours
        return None
    typed = typed.upper().translate(_READ_AS)
    if len(typed) != CODE_CHARACTERS or not set(typed) <= set(_ALPHABET):
        return None
    return _grouped(typed)


def passphrase(raw: bytes) -> str:
    """Spell a passphrase of 125 bits in lower case, in five groups of five with hyphens between.

    :param raw: at least 16 random bytes; the first 125 bits count.
    :raises WrongUseError: fewer bytes.
    """
    return _grouped(_spell(raw, PASSPHRASE_CHARACTERS)).lower()


def _spell(raw: bytes, characters: int) -> str:
    spare = len(raw) * 8 - characters * _BITS
    if spare < 0:
        msg = f"draw {-(-characters * _BITS // 8)} random bytes for {characters} characters"
        raise WrongUseError("too_few_random_bytes", msg)
    number = int.from_bytes(raw, "big") >> spare
    shifts = range((characters - 1) * _BITS, -1, -_BITS)
    return "".join(_ALPHABET[number >> shift & 31] for shift in shifts)


def _grouped(characters: str) -> str:
    return "-".join(characters[at : at + _GROUP] for at in range(0, len(characters), _GROUP))
