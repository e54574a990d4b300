"""One PKCS#11 library a process: loaded once, used by one thread at a time, begun anew when its token was away.

The library's state (who is signed in, which handles are good) belongs to the process, so all that use it
share one :class:`Module`; a handle from before a new beginning is never used after it.
"""

import functools
import importlib
import threading
from pathlib import Path
from typing import Any, cast

from vault.errors import OutOfReachError, VaultError, WrongUseError

_PIN_REFUSED = ("PinIncorrect", "PinInvalid", "PinLenRange", "PinLocked", "PinExpired", "UserPinNotInitialized")


class Module:
    """A loaded PKCS#11 library.

    :param path: the shared object.
    :raises WrongUseError: python-pkcs11 is not installed, or the library can't be loaded and begun.
    """

    __slots__ = ("_library", "_signed_in", "api", "generation", "lock", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.api = _api()
        self.lock = threading.RLock()  # python-pkcs11 begins libraries without locks of their own
        self.generation = 0
        self._library = self._load()
        self._signed_in: dict[str, Any] = {}  # by token, the session that gave the PIN

    def _load(self) -> Any:
        try:
            return self.api.lib(str(self.path))
        except self.api.PKCS11Error:
            advice = (
                "the PKCS#11 library doesn't load or begin; check keys.pkcs11.module and the library's own settings"
            )
            raise WrongUseError("pkcs11_module", advice) from None

    @property
    def failure(self) -> type[Exception]:
        """What every call of the library may raise."""
        return cast("type[Exception]", self.api.PKCS11Error)

    def open(self, label: str, pin: str, *, writing: bool = False) -> Any:
        """Sign in to a token; gives a session.

        :raises OutOfReachError: there is no such token now.
        :raises WrongUseError: it refuses the PIN.
        """
        try:
            self._library.initialize()  # nothing where it has begun
            token = self._library.get_token(token_label=label)
        except self.failure:
            raise token_away() from None
        try:
            # to close the session that signed in would sign the whole process out: it stays, another one works
            if label not in self._signed_in:
                self._signed_in[label] = token.open(user_pin=pin)
            return token.open(rw=writing)
        except self.failure as error:
            self._signed_in.pop(label, None)
            raise _refusal(error) from None

    def begin_anew(self) -> None:
        """Finish and begin the library, so that it looks for its tokens again; every older handle is void.

        :raises OutOfReachError: it doesn't begin.
        """
        self.leave()
        try:
            self._library.initialize()
        except self.failure:
            raise token_away() from None

    def leave(self) -> None:
        """Finish with the library: sessions end, nobody is signed in."""
        self.generation += 1
        self._signed_in.clear()
        try:
            self._library.finalize()
        except self.failure:  # it had not begun
            return


@functools.cache
def load_module(path: Path) -> Module:
    """Give this process's one module for a library.

    :raises WrongUseError: as :class:`Module`.
    """
    return Module(path)


def token_away() -> OutOfReachError:
    """Give the one error for a token that can't be used now."""
    advice = "the PKCS#11 token doesn't answer; bring it back and check keys.pkcs11.token, then try again"
    return OutOfReachError("token_away", advice)


def _refusal(error: Exception) -> VaultError:
    if type(error).__name__ not in _PIN_REFUSED:
        return token_away()
    advice = "the token refuses the PIN; correct keys.pkcs11.pin_file before its tries are used up, and reload"
    return WrongUseError("token_pin_refused", advice)


def _api() -> Any:
    try:
        return importlib.import_module("pkcs11")
    except ImportError:
        advice = "python-pkcs11 is not installed; install dsr-vault[pkcs11]"
        raise WrongUseError("pkcs11_missing", advice) from None
