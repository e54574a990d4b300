"""OpenPGP mail is opened and its signatures are judged by gpg's status lines alone, on a descriptor of their own.

gpg exits with 2 after good decryptions and prints the plaintext of forged ones, and a user id can hold
what looks like a status line to a reader of mixed output: so neither the exit code nor the messages
count. Opening takes two calls: the first takes the encryption off with our key and must end in
DECRYPTION_OKAY; the second reads what is inside without any secret key. gpg gets no configuration,
no key server, no network and no terminal.
"""

from collections.abc import Iterable
from pathlib import Path

from vault.domain.private import Private
from vault.errors import UnreadableError, WrongUseError
from vault.intake.agent import Agent
from vault.intake.gpg import ADVICE, Gpg, Read, empty_home
from vault.intake.gpgstatus import Statuses, parse_statuses, primary_fingerprint
from vault.intake.keyrings import KeyRing
from vault.intake.opened import Decrypted, SenderProof, SignedContent
from vault.intake.ownring import OwnRing
from vault.intake.sandbox import ChildLimits, private_directory

DEFAULT_LIMITS = ChildLimits(seconds=60.0, output=200_000_000)
_LONGEST_HOME = 70  # characters; the agent's sockets stand below it and must stay under 108
_OPERATOR_FAULTS = frozenset({11, 85, 99})  # bad passphrase, no pinentry, cancelled: ours, not the mail's
_ANONYMOUS = "0" * 16  # the key id of a hidden recipient (RFC 9580 section 5.1.8)
_FIRST_PACKET, _DASHES = b"\x80", b"-----"
_KEY_STAYS_SHUT = "our OpenPGP key does not open; correct the file that openpgp.passphrase_file names"


class OpenPgp(Private):
    """gpg in the controller's private home.

    :param home: holds the controller's secret key; the public keys in it count as known. None for no key at all.
    :param passphrase: of that key; None when it has none or the agent knows it.
    """

    def __init__(self, home: Path | None, passphrase: str | None = None, limits: ChildLimits | None = None) -> None:
        if home is not None and not home.is_dir():
            raise WrongUseError("openpgp_home_missing", "the OpenPGP home is no directory; correct openpgp.home")
        self._home = home.absolute() if home else None
        self._passphrase = passphrase
        self._limits = limits or DEFAULT_LIMITS
        self._agent = Agent()
        self._own = OwnRing()
        self._passphrase_fits = False

    def decrypt(self, message: bytes) -> Decrypted:
        """Take the encryption off; what is returned is still an OpenPGP message, perhaps a signed one.

        Our expired and revoked keys open what others still encrypt to them; the remark says so.

        :param message: the packets, without armour.
        :raises UnreadableError: ``key_not_configured``, ``pgp_no_key`` (it is not for our key),
            ``pgp_password_only`` (it wants a password and no key), ``pgp_unprotected`` (nothing protects its
            integrity), ``pgp_not_sound`` (that is wrong), ``pgp_malformed``, or ``tool_...``.
        :raises WrongUseError: the passphrase does not fit our key.
        :raises OutOfReachError: gpg's agent does not start.
        """
        if self._home is None:
            raise UnreadableError("key_not_configured", "no OpenPGP key is configured; set openpgp.home")
        if not _may_be_openpgp(message):
            raise UnreadableError("pgp_malformed", ADVICE)
        files = {} if self._passphrase is None else {"passphrase": self._passphrase.encode()}
        asking = ["error"] if self._passphrase is None else ["loopback", "--passphrase-file", "{passphrase}"]
        with private_directory() as place:
            home = self._short_home(place)
            self._agent.start(home)
            gpg, how = self._gpg(place, home), ["--pinentry-mode", *asking]
            run = gpg.run_on(None, [*how, "--unwrap", "--decrypt"], message, files)
            statuses = parse_statuses(run.status)
            if ("NO_SECKEY", _ANONYMOUS) in statuses:
                self._require_passphrase(gpg, how, files)
            return _decrypted(run.output, statuses, self._remark(statuses))

    def read(self, message: bytes, from_address: str | None, keys: Iterable[bytes] = ()) -> Read:
        """Read a message that is not encrypted (any more) and judge its signatures, with these keys besides ours.

        :raises UnreadableError: ``pgp_nested``, ``pgp_malformed`` or ``tool_...``.
        """
        with private_directory() as place:
            return self._gpg(place, self._short_home(place)).read(SignedContent(message), from_address, keys)

    def check(self, signed: SignedContent, from_address: str | None, keys: Iterable[bytes] = ()) -> Read:
        """Judge a signature, with these keys besides ours; what can't be read is invalid."""
        with private_directory() as place:
            return self._gpg(place, self._short_home(place)).verdict(signed, from_address, keys)

    def start_agent(self) -> None:
        """Start the agent now, so that no process with limits has to; it lives on.

        :raises OutOfReachError: it does not start.
        """
        if self._home is not None and not self._agent.seen:
            with private_directory() as place:
                self._agent.start(self._short_home(place))

    def close(self) -> None:
        """End the agent, if this object started it."""
        if self._agent.ours:
            with private_directory() as place:
                self._agent.end(self._short_home(place))

    def _require_passphrase(self, gpg: Gpg, how: list[str], files: dict[str, bytes]) -> None:
        """Prove, once, that every key of ours opens: of a hidden recipient gpg says nothing but "no key" if not.

        An export is gpg's one way to unlock all of them; it is thrown away, but never by gpg's --output to /dev/null:
        gpg removes an output that it could not finish, and root may remove that one.
        """
        if self._passphrase_fits:
            return
        statuses = parse_statuses(gpg.run([*how, "--export-secret-keys"], b"", files).status)
        faults = {int(v.split()[1]) & 0xFFFF for n, v in statuses if n == "ERROR" and v.startswith("export_keys.")}
        if faults & _OPERATOR_FAULTS:
            raise WrongUseError("openpgp_passphrase", _KEY_STAYS_SHUT)
        self._passphrase_fits = True

    def _gpg(self, place: Path, home: Path) -> Gpg:
        return Gpg(place, home, self._limits, self._own.of(Gpg(place, home, self._limits)) if self._home else KeyRing())

    def _remark(self, statuses: Statuses) -> str:
        """Say whether the key that opened is one that nobody should encrypt to any more."""
        used = next((value.split()[0] for name, value in statuses if name == "DECRYPTION_KEY"), None)
        return self._own.dead.get(used, "") if used else ""

    def _short_home(self, place: Path) -> Path:
        if self._home is None:
            return empty_home(place)
        if len(str(self._home)) <= _LONGEST_HOME:
            return self._home
        link = place / "home"
        if not link.is_symlink():
            link.symlink_to(self._home)
        return link


def check_signature(signed: SignedContent, keys: Iterable[bytes], from_address: str | None = None) -> SenderProof:
    """Judge a signature with these public keys only, in a home that exists for this call alone.

    :param keys: armoured or binary public keys, such as those bound to a person on the register.
    """
    return OpenPgp(None).check(signed, from_address, keys).proof


def fingerprint_of(key: str | bytes) -> str | None:
    """Return the fingerprint of a public key's primary key; None when it is not exactly one readable key."""
    with private_directory() as place:
        gpg = Gpg(place, empty_home(place), DEFAULT_LIMITS)
        listing = gpg.run(
            ["--no-autostart", "--with-colons", "--show-keys"], key.encode() if isinstance(key, str) else key
        )
    return primary_fingerprint(listing.output)


def _may_be_openpgp(message: bytes) -> bool:
    """Tell whether gpg could find anything: a packet's first bit (RFC 9580 section 4.2), or armour somewhere."""
    return message[:1] >= _FIRST_PACKET or _DASHES in message


def _decrypted(output: bytes, statuses: Statuses, remark: str) -> Decrypted:
    names = [name for name, _ in statuses]
    faults = {int(v.split()[1]) & 0xFFFF for n, v in statuses if n == "ERROR" and v.startswith("pkdecrypt_failed ")}
    if "DECRYPTION_OKAY" in names and "DECRYPTION_KEY" in names and "DECRYPTION_FAILED" not in names:
        if names.count("BEGIN_DECRYPTION") == 1 and output:
            return Decrypted(output, remark)
        raise UnreadableError("pgp_malformed", ADVICE)
    if faults & _OPERATOR_FAULTS:
        raise WrongUseError("openpgp_passphrase", _KEY_STAYS_SHUT)
    if "DECRYPTION_KEY" in names:
        if any(name == "DECRYPTION_INFO" and _is_bare(value) for name, value in statuses):
            raise UnreadableError("pgp_unprotected", "nothing protects the message against changes; ask for another")
        raise UnreadableError("pgp_not_sound", "the message is damaged; ask for another")
    if "NO_SECKEY" in names or "ENC_TO" in names:
        raise UnreadableError("pgp_no_key", "the message is not encrypted to our key; send the requester our key")
    if "NEED_PASSPHRASE_SYM" in names:
        raise UnreadableError("pgp_password_only", "the message wants a password; send the requester our key")
    raise UnreadableError("pgp_malformed", ADVICE)


def _is_bare(info: str) -> bool:
    """Tell whether gpg found no integrity protection: neither a modification code nor an authenticated mode."""
    protection, _, *mode = info.split()
    return protection == "0" and mode[:1] in ([], ["0"])
