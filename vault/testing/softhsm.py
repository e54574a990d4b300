"""A PKCS#11 token in software, in a directory of its own: SoftHSM keeps the rules of a token, not its walls.

It stands in for a hardware token in tests. While it is in use, ``SOFTHSM2_CONF`` names it, for this process
and those that it starts.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vault.crypto.pkcs11_module import load_module
from vault.errors import WrongUseError
from vault.settings_keys import Pkcs11Settings
from vault.testing.places import private_directory, write_private

LABEL: Final = "dsr-vault"
_VARIABLE = "SOFTHSM2_CONF"
_PLACES = (
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/usr/local/lib/softhsm/libsofthsm2.so"),
)
_CONF = "directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"


@dataclass(frozen=True, slots=True)
class SoftHsm:
    """One token of SoftHSM.

    :param home: its configuration, PIN, token directory and bundle.
    """

    home: Path
    module: Path

    @property
    def settings(self) -> Pkcs11Settings:
        """The settings that name it."""
        return Pkcs11Settings(
            module=self.module, token=LABEL, pin_file=self.home / "pin", bundle_file=self.home / "bundle"
        )

    def take_away(self) -> None:
        """Pull the token out."""
        (self.home / "tokens").rename(self.home / "away")
        (self.home / "tokens").mkdir(mode=0o700)

    def bring_back(self) -> None:
        """Put the token in again."""
        (self.home / "tokens").rmdir()
        (self.home / "away").rename(self.home / "tokens")


def installed() -> bool:
    """Tell whether SoftHSM is on this machine."""
    return shutil.which("softhsm2-util") is not None and any(place.is_file() for place in _PLACES)


@contextlib.contextmanager
def softhsm() -> Iterator[SoftHsm]:
    """Lend a fresh token without keys; it is gone afterwards.

    :raises WrongUseError: `server_missing`: SoftHSM is not installed.
    """
    if not installed():
        raise WrongUseError("server_missing", "SoftHSM is not installed; install Debian's softhsm2")
    home = private_directory("dsr-hsm-")
    hsm = SoftHsm(home, next(place for place in _PLACES if place.is_file()))
    before = os.environ.get(_VARIABLE)
    try:
        os.environ[_VARIABLE] = str(_make(hsm))
        load_module(hsm.module).begin_anew()  # it may know an earlier token
        yield hsm
    finally:
        load_module(hsm.module).leave()
        os.environ.pop(_VARIABLE, None)
        if before is not None:
            os.environ[_VARIABLE] = before
        shutil.rmtree(home, ignore_errors=True)


def _make(hsm: SoftHsm) -> Path:
    tokens, pin = hsm.home / "tokens", secrets.token_hex(12)
    tokens.mkdir(mode=0o700)
    write_private(hsm.settings.pin_file, pin)
    conf = write_private(hsm.home / "softhsm2.conf", _CONF.format(tokens=tokens))
    words = ["--init-token", "--free", "--label", LABEL, "--so-pin", secrets.token_hex(12), "--pin", pin]
    subprocess.run(["softhsm2-util", *words], check=True, capture_output=True, env={**os.environ, _VARIABLE: str(conf)})
    return conf
