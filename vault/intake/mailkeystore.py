"""Where the controller's mail keys stand, and what becomes of all of them: made, rotated, looked at, given out.

A directory from `dsr keys mail init` holds ``gnupg`` (gpg's home), ``passphrase`` and, numbered as they were made,
``smime-1.key``, ``smime-1.csr`` and ``smime-1.crt``. Each act does what is missing and may be killed and
run again.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from vault.crypto.durable import alone, replace
from vault.domain.private import Private
from vault.errors import WrongUseError
from vault.intake.ownkeys import KeyState, OwnKey, aged, ranked
from vault.intake.ownpgp import OwnPgp, unwritable
from vault.intake.ownsmime import OwnSmime
from vault.intake.wkd import wkd_files
from vault.settings import Settings

_PAIR = re.compile(r"smime-([1-9][0-9]*)\.key")


@dataclass(frozen=True, slots=True)
class MailKeys(Private):
    """Our keys for mail.

    :param fingerprint: of the OpenPGP primary key; None before it is made.
    :param named: the S/MIME keys that the settings name, the current one first; empty where a directory decides.
    :param shelf: the directory in which further S/MIME keys are made, with ``passphrase_file``.
    """

    pgp: OwnPgp
    fingerprint: str | None
    named: tuple[OwnSmime, ...]
    shelf: Path
    passphrase_file: Path

    def keys(self, now: datetime) -> list[OwnKey]:
        """Tell what each key is, OpenPGP first."""
        pgp = self.pgp.keys(self.fingerprint, now) if self.fingerprint else []
        return [*pgp, *self._smime_keys(now)]

    def _smime_keys(self, now: datetime) -> list[OwnKey]:
        if not self.named:
            return ranked(_looks(self._shelved()), now)
        first, *others = self.named
        looks = [first.look(KeyState.CURRENT), *(pair.look(KeyState.OLDER) for pair in others)]
        return [aged(key, now) for key in (*looks, *(pair.look(KeyState.UNNAMED) for pair in self._unnamed()))]

    def current_smime(self, now: datetime) -> OwnSmime | None:
        """Return the S/MIME key whose certificate is given out; None while there is none."""
        names = [key.name for key in self._smime_keys(now) if key.state is KeyState.CURRENT]
        return next((pair for pair in self._pairs() if pair.key_file.name in names), None)

    def rotate(self, name: str, address: str, now: datetime, after: timedelta, *, self_signed: bool) -> list[str]:
        """Make a new OpenPGP subkey and a new S/MIME key, each unless the newest is younger than ``after``.

        What waits for its certificate is completed, not doubled; older keys stay and open mail.

        :returns: what was made: ``openpgp`` and names of files.
        :raises WrongUseError: no key is there to be rotated, or the directory can't be written.
        :raises OutOfReachError: gpg does not do it.
        """
        if self.fingerprint is None:
            raise WrongUseError(
                "mail_key_missing", "the directory holds no OpenPGP key; run `dsr keys mail init` first"
            )
        made = ["openpgp"] if self.pgp.rotate(self.fingerprint, now, after) else []
        return made + self.make_smime(name, address, now, after, self_signed=self_signed)

    def make_smime(self, name: str, address: str, now: datetime, after: timedelta, *, self_signed: bool) -> list[str]:
        """Make a new S/MIME key, its request and perhaps its certificate, or what is missing of the newest.

        :returns: the names of the files made now.
        :raises WrongUseError: the directory can't be written, or a key there does not open.
        """
        try:
            with alone(self.shelf / "smime"):
                pair = self._next(now, after)
                made = pair.make(name, address, now, self_signed=self_signed) if pair else []
        except OSError as error:
            raise unwritable(error) from None
        return [path.name for path in made]

    def _next(self, now: datetime, after: timedelta) -> OwnSmime | None:
        """Return the pair to complete, a new one where all are old, or None where nothing is to be done."""
        shelved, pairs = self._shelved(), self._pairs()
        if shelved and shelved[-1].certificate() is None:
            return shelved[-1]
        if any(key.made is not None and now - key.made < after for key in _looks(pairs)):
            return shelved[-1] if shelved else None
        return self._on_shelf(max(self._numbers(), default=0) + 1)

    def _pairs(self) -> list[OwnSmime]:
        return [*self.named, *self._unnamed()]

    def _shelved(self) -> list[OwnSmime]:
        known = {pair.key_file.resolve(): pair for pair in self.named}
        pairs = [self._on_shelf(number) for number in self._numbers()]
        return [known.get(pair.key_file.resolve(), pair) for pair in pairs]

    def _unnamed(self) -> list[OwnSmime]:
        return [pair for pair in self._shelved() if pair not in self.named]

    def _numbers(self) -> list[int]:
        return sorted(int(match[1]) for path in self.shelf.glob("smime-*.key") if (match := _PAIR.fullmatch(path.name)))

    def _on_shelf(self, number: int) -> OwnSmime:
        stem = self.shelf / f"smime-{number}"
        return OwnSmime(stem.with_suffix(".key"), stem.with_suffix(".crt"), self.passphrase_file)

    def settings_lines(self, now: datetime) -> Iterator[str]:
        """Write the two tables that the settings file needs for these keys, the newest certificate first."""
        yield from ("[openpgp]", _line("home", self.pgp.home), _line("fingerprint", self.fingerprint or ""))
        yield _line("passphrase_file", self.pgp.passphrase_file)
        pairs = {pair.key_file.name: pair for pair in self._pairs()}
        order = [key for key in reversed(ranked(_looks(pairs.values()), now)) if key.state is not KeyState.AWAITED]
        order.sort(key=lambda key: key.state is not KeyState.CURRENT)
        for number, key in enumerate(order):
            pair = pairs[key.name]
            yield from ("", "[[smime.older]]" if number else "[smime]", _line("key_file", pair.key_file))
            yield _line("certificate_file", pair.certificate_file)
            yield _line("passphrase_file", pair.passphrase_file)

    def export(self, into: Path, address: str, now: datetime) -> list[str]:
        """Write what others need: the public key, the certificate, and a Web Key Directory for both methods.

        :returns: the paths written, below ``into``.
        :raises WrongUseError: there is no key for this address, or the directory can't be written.
        """
        files = self._public_files(address, now)
        try:
            for name, data in files.items():
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                replace(into / name, data, 0o644)
        except OSError as error:
            raise unwritable(error) from None
        return list(files)

    def _public_files(self, address: str, now: datetime) -> dict[str, bytes]:
        if self.fingerprint is None:
            raise WrongUseError(
                "mail_key_missing", "the directory holds no OpenPGP key; run `dsr keys mail init` first"
            )
        binary = self.pgp.public_key(self.fingerprint, address, armour=False)
        files = {"openpgp.asc": self.pgp.public_key(self.fingerprint, address)}
        current = self.current_smime(now)
        if current is not None:
            files["smime.crt"] = current.certificate_file.read_bytes()
        return files | {f"wkd/{path}": data for path, data in wkd_files(address, binary).items()}


def _line(name: str, value: Path | str) -> str:
    return f"{name} = {json.dumps(str(value), ensure_ascii=False)}"  # JSON's strings are TOML's


def _looks(pairs: Iterable[OwnSmime]) -> list[OwnKey]:
    return [pair.look(KeyState.CURRENT) for pair in pairs]


def in_directory(directory: Path, passphrase_file: Path | None, address: str | None) -> MailKeys:
    """Find the keys of a directory from `dsr keys mail init`.

    :param passphrase_file: where it lies elsewhere, such as among a container's secrets.
    :param address: picks the OpenPGP key; None leaves it open.
    """
    directory = directory.absolute()
    secret = passphrase_file.absolute() if passphrase_file else directory / "passphrase"
    pgp = OwnPgp(directory / "gnupg", secret)
    return MailKeys(pgp, pgp.find(address) if address else None, (), directory, secret)


def in_settings(settings: Settings) -> MailKeys:
    """Find the keys that the settings name; new S/MIME keys are made beside the current one."""
    smime = settings.smime
    pgp = OwnPgp(settings.openpgp.home, settings.openpgp.passphrase_file)
    named = [OwnSmime(pair.key_file, pair.certificate_file, pair.passphrase_file) for pair in (smime, *smime.older)]
    fingerprint = settings.openpgp.fingerprint.upper()
    return MailKeys(pgp, fingerprint, tuple(named), smime.key_file.parent, smime.passphrase_file)


def make_mail_keys(
    directory: Path, passphrase_file: Path | None, name: str, address: str, now: datetime, *, self_signed: bool
) -> tuple[MailKeys, list[str]]:
    """Make what is missing of a directory with mail keys; a second call changes nothing.

    :returns: the keys, and what was made now.
    :raises WrongUseError: name or address are none, or the directory can't be written.
    :raises OutOfReachError: gpg is missing or makes no key.
    """
    before = in_directory(directory, passphrase_file, address)
    fingerprint = before.pgp.make(name, address, now)
    keys = in_directory(directory, passphrase_file, address)
    made = [] if before.fingerprint == fingerprint else ["openpgp"]
    return keys, made + keys.make_smime(name, address, now, timedelta.max, self_signed=self_signed)
