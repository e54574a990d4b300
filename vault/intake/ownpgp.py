"""The controller's own OpenPGP key is made, rotated and given out by gpg in a private home; no key of it ever leaves.

The primary key (Ed25519) certifies and signs; a subkey of its own (X25519) is encrypted to. A rotation adds
a subkey and lets the primary live on, so the fingerprint that people know stays; gpg goes on opening
mail to every older subkey, expired ones too. Whatever gpg says, its key list afterwards is what counts.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from vault.crypto.durable import alone, replace, write_once
from vault.domain.private import Private
from vault.errors import OutOfReachError, WrongUseError
from vault.intake.owngpg import agent, run_gpg, short_home
from vault.intake.ownkeys import LIFETIME, OPENPGP, KeyState, OwnKey, ranked
from vault.intake.wkd import split_address

_LIFETIME = "2y"  # as gpg takes it
_SLACK = timedelta(days=1)  # what a day's delay takes off needs no new signature
_USES = {"c": "certify", "s": "sign", "e": "encrypt"}
_STATES = {"r": KeyState.REVOKED, "e": KeyState.EXPIRED}
_CONFIGURATION = {
    "gpg.conf": """\
# for whoever uses this home by hand; the vault passes its own options and reads none of these
no-auto-key-retrieve
no-auto-key-locate
disable-dirmngr
no-emit-version
no-comments
personal-cipher-preferences AES256 AES192 AES
personal-digest-preferences SHA512 SHA384 SHA256
cert-digest-algo SHA512
weak-digest SHA1
keyid-format 0xlong
""",
    # a random passphrase needs no stretching, which would take half a second for each mail
    "gpg-agent.conf": """\
s2k-count 65536
disable-scdaemon
no-allow-external-cache
no-allow-mark-trusted
ignore-cache-for-signing
""",
}


@dataclass(frozen=True, slots=True)
class OwnPgp(Private):
    """gpg's home with the controller's key.

    :param home: mode 700; may have a long path.
    :param passphrase_file: of its secret keys.
    """

    home: Path
    passphrase_file: Path

    def keys(self, fingerprint: str, now: datetime) -> list[OwnKey]:
        """List the primary key and its subkeys; empty when no such key is here."""
        found = [key for key, primary in self._listed(fingerprint) if primary == fingerprint]
        opening = ranked([key for key in found if "encrypt" in key.uses], now)
        return [*ranked([key for key in found if "encrypt" not in key.uses], now), *opening]

    def require(self, fingerprint: str) -> None:
        """Let pass a home that holds this key; without it every mail to us would seem to be for somebody else.

        :raises WrongUseError: it does not; no mail may be judged with it.
        """
        self._mend()
        if not any(key.held for key, primary in self._listed(fingerprint) if primary == fingerprint):
            raise WrongUseError(
                "openpgp_key_missing", "openpgp.home lacks the key that openpgp.fingerprint names; bring it back"
            )

    def _mend(self) -> None:
        """Put gpg's key ring back if gpg died while it exchanged it, after moving the old one aside."""
        aside = self.home / "pubring.kbx~"
        try:
            if aside.is_file():
                write_once(self.home / "pubring.kbx", aside.read_bytes(), 0o600)  # never over one that gpg puts there
        except OSError as error:
            raise unwritable(error) from None

    def find(self, address: str) -> str | None:
        """Return the fingerprint of our oldest key for an address that is alive, else of the oldest expired one."""
        self._mend()
        rows = [key for key, primary in self._listed(f"<{address}>") if key.name == primary and key.held]
        found = [key for key in rows if key.state is not KeyState.REVOKED and key.made is not None]
        order = sorted(found, key=lambda key: (key.state is KeyState.EXPIRED, key.made, key.name))
        return order[0].name if order else None

    def make(self, name: str, address: str, now: datetime) -> str:
        """Make home, configuration and key, or what is missing of them; return the primary key's fingerprint.

        :param name: who the key is for, as others see it beside the address.
        :raises WrongUseError: name or address can't stand in a user id, the home can't be written, or a key
            stands there without its passphrase.
        :raises OutOfReachError: gpg is missing or does not make the key.
        """
        split_address(address)
        if not name.strip() or not name.isprintable() or set(name) & set("<>@"):
            raise WrongUseError("mail_key_name", "give the name of the controller in plain letters")
        self._prepare()
        with alone(self.home / "gpg.conf"):
            self._mend()
            if self.find(address) is None:
                self._change("--quick-generate-key", f"{name.strip()} <{address}>", "ed25519", "cert,sign", _LIFETIME)
            fingerprint = self.find(address)
            if fingerprint is None:
                raise OutOfReachError("mail_key_not_made", "gpg made no key; see that gpg works for this account")
            self._let_live(fingerprint, now, LIFETIME - _SLACK)
            if self._newest(fingerprint, now) is None:
                self._add_subkey(fingerprint)
        return fingerprint

    def rotate(self, fingerprint: str, now: datetime, after: timedelta) -> bool:
        """Add a subkey to encrypt to, unless the newest is younger than ``after``, and let the primary live as long.

        :returns: whether a subkey was added.
        :raises WrongUseError: no such key is here.
        :raises OutOfReachError: gpg does not do it.
        """
        self.require(fingerprint)
        with alone(self.home / "gpg.conf"):
            self._let_live(fingerprint, now, after)  # first: gpg adds nothing to an expired key
            newest = self._newest(fingerprint, now)
            due = newest is None or newest.made is None or now - newest.made >= after
            if due:
                self._add_subkey(fingerprint)
        return due

    def public_key(self, fingerprint: str, address: str | None = None, *, armour: bool = True) -> bytes:
        """Return the public key, with the user ids of this address alone where one is given.

        :raises WrongUseError: no such key is here, or no user id of it names the address.
        """
        how = ["--export-options", "export-minimal", *(["--armor"] if armour else [])]
        if address is not None:
            how += ["--export-filter", f"keep-uid=mbox = {'@'.join(split_address(address))}"]
        exported = self._run(*how, "--export", f"0x{fingerprint}")
        shown = self._run("--with-colons", "--show-keys", data=exported).decode("utf-8", "replace").splitlines()
        kinds = [line.split(":")[0] for line in shown]
        if kinds[:1] != ["pub"] or "uid" not in kinds or {"sec", "ssb"} & set(kinds):
            raise WrongUseError("mail_key_missing", "the OpenPGP home lacks this key, or the key lacks this address")
        return exported

    def sealed_to_us(self, fingerprint: str, data: bytes) -> bytes:
        """Encrypt to our own key as others do, to the newest subkey that is alive; armoured.

        :raises OutOfReachError: gpg is missing, or no subkey is alive.
        """
        return self._run(
            "--armor", "--trust-model", "always", "--recipient", f"0x{fingerprint}", "--encrypt", data=data
        )

    def _prepare(self) -> None:
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any((self.home / "private-keys-v1.d").glob("*.key")) and not self.passphrase_file.exists():
                raise WrongUseError(
                    "mail_passphrase_missing", "a key stands there without its passphrase; bring that back"
                )
            write_passphrase(self.passphrase_file)
            for name, text in _CONFIGURATION.items():
                if not (self.home / name).exists():
                    replace(self.home / name, text.encode(), 0o600)
        except OSError as error:
            raise unwritable(error) from None

    def _newest(self, fingerprint: str, now: datetime) -> OwnKey | None:
        opening = [key for key in self.keys(fingerprint, now) if key.opens and key.state is KeyState.CURRENT]
        return opening[-1] if opening else None

    def _add_subkey(self, fingerprint: str) -> None:
        self._change("--quick-add-key", fingerprint, "cv25519", "encr", _LIFETIME)

    def _let_live(self, fingerprint: str, now: datetime, after: timedelta) -> None:
        expires = next(key.expires for key in self.keys(fingerprint, now) if key.name == fingerprint)
        if expires is not None and expires - now < LIFETIME - after - _SLACK:
            self._change("--quick-set-expire", fingerprint, _LIFETIME)

    def _listed(self, wanted: str) -> Iterator[tuple[OwnKey, str]]:
        """Yield each key that fits with its primary key's fingerprint; no agent is asked, so none is disturbed."""
        if not self.home.is_dir():
            return
        listing = self._run("--with-colons", "--with-keygrip", "--list-keys", "--", wanted, bad=b"")
        rows = [line.split(":") for line in listing.decode("utf-8", "replace").splitlines()]
        keys = [row for row in rows if row[0] in ("pub", "sub", "fpr", "grp")]
        primary = ""
        for row, named, grip in zip(keys[::3], keys[1::3], keys[2::3], strict=True):
            primary = named[9] if row[0] == "pub" else primary
            private = self.home / "private-keys-v1.d" / f"{grip[9]}.key"
            yield _own_key(row, named[9], held=private.is_file()), primary

    def _run(self, *arguments: str, data: bytes = b"", bad: bytes | None = None) -> bytes:
        """Run gpg on our public keys; where it fails, return ``bad``.

        :raises OutOfReachError: gpg is missing, or fails and ``bad`` is None.
        """
        with short_home(self.home) as home:
            return run_gpg(home, "--no-autostart", *arguments, data=data, bad=bad)

    def _change(self, *arguments: str) -> None:
        """Run gpg on our secret keys; an agent that is started for it ends with it.

        :raises OutOfReachError: gpg is missing or fails.
        """
        with short_home(self.home) as home, agent(home):
            secret = str(self.passphrase_file.absolute())
            run_gpg(home, "--pinentry-mode", "loopback", "--passphrase-file", secret, *arguments)


def unwritable(error: OSError) -> WrongUseError:
    """Say that a directory of mail keys takes no file."""
    advice = f"the directory of the mail keys can't be written ({error.strerror}); choose one of this account's"
    return WrongUseError("mail_key_directory", advice)


def write_passphrase(path: Path) -> Path | None:
    """Draw a passphrase into its file; one that stands there stays.

    :raises OSError: the directory does not take it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return write_once(path, secrets.token_urlsafe(32).encode() + b"\n", 0o600)


def _own_key(row: list[str], name: str, *, held: bool) -> OwnKey:
    """Read one row of gpg's list (doc/DETAILS of GnuPG, "Format of the colon listings")."""
    uses = frozenset(_USES[letter] for letter in row[11] if letter in _USES)
    made, expires = (datetime.fromtimestamp(int(field), UTC) if field else None for field in (row[5], row[6]))
    state = _STATES.get(row[1][:1], KeyState.CURRENT)
    return OwnKey(OPENPGP, name, uses, made, expires, state, held=held)
