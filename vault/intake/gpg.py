"""One run of gpg: no configuration file, no key server, no terminal, its verdicts on a descriptor of their own.

Messages are thrown away: a user id can hold what looks like a status line to a reader of mixed
output. What a message becomes is bounded by the size that any file may have (gpg's own
``--max-output`` still reports DECRYPTION_OKAY for a cut text).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.gpgstatus import Statuses, judge, parse_statuses, uid_addresses
from vault.intake.opened import ProofKind, SenderProof, SignedContent
from vault.intake.sandbox import ChildLimits
from vault.intake.tool import STATUS, ToolRun, run_tool

_OPTIONS = (
    *("--no-options", "--batch", "--no-tty", "--no-verbose", "--logger-file", "/dev/null"),
    *("--disable-dirmngr", "--no-auto-key-retrieve", "--no-auto-key-locate", "--no-auto-check-trustdb"),
    *("--trust-model", "always", "--no-random-seed-file", "--display-charset", "utf-8", "--fixed-list-mode"),
    *("--status-fd", STATUS),
)
_KEY_BYTES = 300_000  # of one attached key
_KEY_COUNT = 8
ADVICE = "the OpenPGP message can't be read; a person must look at the original"


@dataclass(frozen=True, slots=True)
class Read(Private):
    """A signed or bare OpenPGP message after reading.

    :param proof: the verdict on its signatures.
    :param key: the public key that made a valid one, armoured, without other people's signatures.
    """

    content: bytes
    proof: SenderProof
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Gpg:
    """gpg for one message: ``place`` is a private directory of this call, ``home`` the key ring that counts."""

    place: Path
    home: Path
    limits: ChildLimits

    def run(self, arguments: list[str], data: bytes = b"", files: Mapping[str, bytes] | None = None) -> ToolRun:
        """Run gpg in the home."""
        command = ["gpg", *_OPTIONS, "--homedir", str(self.home), *arguments]
        return run_tool(command, data, cwd=self.place, limits=self.limits, files=files)

    def read(self, signed: SignedContent, sender: str | None, keys: Iterable[bytes]) -> Read:
        """Read a message that is not encrypted and judge its signatures, with these keys besides the home's.

        :raises UnreadableError: ``pgp_nested``, ``pgp_malformed`` or ``tool_...``.
        """
        rings = ["--no-autostart", *self._import(keys)]
        if signed.content is None:
            run = self.run([*rings, "--decrypt"], signed.signature)
        else:
            files = {"signature": signed.signature}
            run = self.run([*rings, "--verify", "{signature}", "-"], signed.content, files)
        statuses = parse_statuses(run.status)
        _require_one_text(statuses, detached=signed.content is not None)
        kind, fingerprint, why = judge(statuses)
        if kind is not ProofKind.VALID:
            return Read(run.output, SenderProof(kind, fingerprint, why=why))
        listing = self.run([*rings, "--with-colons", "--list-keys", f"0x{fingerprint}"])
        matches = sender is not None and sender.lower() in uid_addresses(listing.output)
        key = self.run([*rings, "--armor", "--export-options", "export-minimal", "--export", f"0x{fingerprint}"])
        return Read(run.output, SenderProof(kind, fingerprint, matches), key.output.decode("ascii", "replace"))

    def verdict(self, signed: SignedContent, sender: str | None, keys: Iterable[bytes]) -> Read:
        """Judge a signature; what can't be read is invalid."""
        try:
            return self.read(signed, sender, keys)
        except UnreadableError:
            return Read(b"", SenderProof(ProofKind.INVALID, why="signature_malformed"))

    def _import(self, keys: Iterable[bytes]) -> list[str]:
        """Import public keys into a ring of this call's own; a secret key finds no agent there and stays out."""
        aside = Gpg(self.place, empty_home(self.place), self.limits)
        ring = ["--keyring", str(self.place / "extra.kbx")]
        how = ["--no-autostart", "--no-default-keyring", *ring, "--import-options", "import-minimal", "--import"]
        usable = [key for key in keys if 0 < len(key) <= _KEY_BYTES][:_KEY_COUNT]
        for key in usable:
            aside.run(how, key)
        return ring if usable else []


def empty_home(place: Path) -> Path:
    """Make a home without any key, for this call alone."""
    home = place / "gnupg"
    home.mkdir(mode=0o700, exist_ok=True)
    return home


def _require_one_text(statuses: Statuses, *, detached: bool) -> None:
    """Refuse what holds encryption, several texts, or none; a detached signature holds no text of its own."""
    names = [name for name, _ in statuses]
    if {"BEGIN_DECRYPTION", "ENC_TO", "NEED_PASSPHRASE_SYM"} & set(names):
        raise UnreadableError("pgp_nested", ADVICE)
    if {"NODATA", "UNEXPECTED"} & set(names) or names.count("PLAINTEXT") != (0 if detached else 1):
        raise UnreadableError("pgp_malformed", ADVICE)
