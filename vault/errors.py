"""One family of errors: a stable code, a sentence that says what to do, and nothing personal.

A message is shown on the board, in a task log and on a terminal, so it may name a
case's reference and never a name, a personal identity code, a contact or a key.
"""

from typing import ClassVar


class VaultError(Exception):
    """Base of every error that the product raises on purpose.

    :param code: stable, lower-case words joined by ``_``; shown on the board and in logs.
    :param advice: one sentence that says what to do next; nothing personal.
    :param ref: the case's or item's reference, where there is one.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, code: str, advice: str, *, ref: str | None = None) -> None:
        self.code = code
        self.advice = advice
        self.ref = ref
        super().__init__(f"{code}: {advice}" + (f" [{ref}]" if ref else ""))


class RefusedError(VaultError):
    """The answer is no: invalid, not allowed, not proved."""


class NotAllowedError(RefusedError):
    """The office or role may not do this; the attempt is logged where a log exists."""


class NoReceiptError(RefusedError):
    """A read of the register was tried without a fitting, unspent, unexpired log receipt."""


class TamperedError(RefusedError):
    """Sealed bytes, a proof, a signature or a digest do not agree with what they claim."""


class UnknownFormatError(RefusedError):
    """A format byte or version marker that this release does not know."""


class KeyMissingError(RefusedError):
    """The key was never made or has been destroyed."""


class ConflictError(VaultError):
    """Somebody else changed the case first; read it again and repeat the step."""


class UnreadableError(RefusedError):
    """A stranger's bytes could not be read within the limits; a person must look."""


class LimitError(RefusedError):
    """A cap or rate was reached."""


class WrongUseError(VaultError):
    """A command, setting or secret is wrong; the program does not start."""

    exit_code = 2


class OutOfReachError(VaultError):
    """A part (database, bucket, mailbox, key service) does not answer; try again."""

    exit_code = 3
