"""Runs of gpg: no configuration file, no key server, no terminal, its verdicts on a descriptor of their own.

Messages are thrown away: a user id can hold what looks like a status line to a reader of mixed
output. What a message becomes is bounded by the size that any file may have (gpg's own
``--max-output`` still reports DECRYPTION_OKAY for a cut text).

Each run costs more than what it computes, so there are as few as the verdict allows: keys that came along are
imported and listed at once, and a text that only strangers signed is read without any (:mod:`vault.intake.strangers`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vault.domain.private import Private
from vault.errors import UnreadableError
from vault.intake.gpgstatus import Statuses, judge, parse_statuses, uid_addresses
from vault.intake.keyrings import RING, KeyRing
from vault.intake.opened import ProofKind, SenderProof, SignedContent
from vault.intake.sandbox import ChildLimits
from vault.intake.strangers import only_strangers
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
    """gpg for one message: ``place`` is a private directory of this call, ``home`` the key ring that counts.

    :param own: the public keys of the home, where they are known; read in place of the home's key ring.
    """

    place: Path
    home: Path
    limits: ChildLimits
    own: KeyRing | None = None

    def run(self, arguments: list[str], data: bytes = b"", files: Mapping[str, bytes] | None = None) -> ToolRun:
        """Run gpg in the home, with its own key ring."""
        command = ["gpg", *_OPTIONS, "--homedir", str(self.home), *arguments]
        return run_tool(command, data, cwd=self.place, limits=self.limits, files=files)

    def run_on(self, ring: KeyRing | None, arguments: list[str], data: bytes, files: Mapping[str, bytes]) -> ToolRun:
        """Run gpg in the home, with the keys that came along besides the home's own."""
        with_own = ["--no-default-keyring", "--keyring", "{own}"] if self.own and self.own.packets else []
        own = {"own": self.own.packets} if self.own and self.own.packets else {}
        came = ["--keyring", str(self._extra)] if ring else []
        return self.run([*with_own, *came, *arguments], data, {**files, **own})

    def read(self, signed: SignedContent, sender: str | None, keys: Iterable[bytes]) -> Read:
        """Read a message that is not encrypted and judge its signatures, with these keys besides the home's.

        :raises UnreadableError: ``pgp_nested``, ``pgp_malformed`` or ``tool_...``.
        """
        ring = self._imported(keys)
        if ring is None and (found := self._glance(signed)):
            return found
        detached, data, files = signed.content is not None, *_input(signed)
        how = ["--verify", "{signature}", "-"] if detached else ["--decrypt"]
        run = self.run_on(ring, ["--no-autostart", *how], data, files)
        statuses = parse_statuses(run.status)
        _require_one_text(statuses, detached=detached)
        kind, fingerprint, why = judge(statuses)
        if kind is not ProofKind.VALID or fingerprint is None:
            return Read(run.output, SenderProof(kind, fingerprint, why=why))
        listing, key = self._signer(ring, fingerprint)
        matches = sender is not None and sender.lower() in uid_addresses(listing)
        return Read(run.output, SenderProof(kind, fingerprint, matches), key)

    def verdict(self, signed: SignedContent, sender: str | None, keys: Iterable[bytes]) -> Read:
        """Judge a signature; what can't be read is invalid."""
        try:
            return self.read(signed, sender, keys)
        except UnreadableError:
            return Read(b"", SenderProof(ProofKind.INVALID, why="signature_malformed"))

    @property
    def _extra(self) -> Path:
        return self.place / "extra.gpg"

    def _glance(self, signed: SignedContent) -> Read | None:
        """Say "unknown key" where gpg would certainly say so with our own ring; all else is left to gpg."""
        ours = self.own.key_ids if self.own else None
        found = only_strangers(signed, ours) if ours is not None else None
        return Read(found[0], SenderProof(ProofKind.UNKNOWN_KEY, found[1])) if found else None

    def _imported(self, keys: Iterable[bytes]) -> KeyRing | None:
        """Import public keys into a ring of this call's own; a secret key finds no agent there and stays out."""
        usable = [key for key in keys if 0 < len(key) <= _KEY_BYTES][:_KEY_COUNT]
        if not usable:
            return None
        files = {f"key{number}": key for number, key in enumerate(usable)}
        aside = Gpg(self.place, empty_home(self.place), self.limits)
        return aside.import_ring(self._extra, "import-minimal", [f"{{{name}}}" for name in files], files=files)

    def import_ring(
        self, ring: Path, options: str, sources: list[str], data: bytes = b"", files: Mapping[str, bytes] | None = None
    ) -> KeyRing:
        """Import keys into a ring alone, and return it with its list; without one where gpg failed while it listed.

        gpg ends at once when it looks for trust in a home that has no trust database; the fast list looks for none.

        :param options: for the import, without the one that lists.
        """
        how = ["--no-autostart", "--no-default-keyring", "--keyring", f"{RING}{ring}", "--fast-list-mode"]
        listing = b""
        for wanted in (f"{options},import-show", options):
            run = self.run([*how, "--with-colons", "--import-options", wanted, "--import", *sources], data, files)
            if any(name == "IMPORT_RES" for name, _ in parse_statuses(run.status)):
                listing = run.output
                break
        return KeyRing(ring.read_bytes() if ring.exists() else b"", listing)

    def _signer(self, ring: KeyRing | None, fingerprint: str) -> tuple[bytes, str]:
        """Return the list of a signer's key, and the key, armoured; of one that came alone as it was taken in."""
        if ring is not None and (key := ring.only_key(fingerprint)):
            return ring.listing, key
        name = f"0x{fingerprint}"
        listing = self.run_on(ring, ["--no-autostart", "--with-colons", "--list-keys", name], b"", {}).output
        how = ["--no-autostart", "--armor", "--export-options", "export-minimal", "--export", name]
        return listing, self.run_on(ring, how, b"", {}).output.decode("ascii", "replace")


def empty_home(place: Path) -> Path:
    """Make a home without any key, for this call alone."""
    home = place / "gnupg"
    home.mkdir(mode=0o700, exist_ok=True)
    return home


def _input(signed: SignedContent) -> tuple[bytes, dict[str, bytes]]:
    """Return what a reader gets as its input, and beside it as a file."""
    if signed.content is None:
        return signed.signature, {}
    return signed.content, {"signature": signed.signature}


def _require_one_text(statuses: Statuses, *, detached: bool) -> None:
    """Refuse what holds encryption, several texts, or none; a detached signature holds no text of its own."""
    names = [name for name, _ in statuses]
    if {"BEGIN_DECRYPTION", "ENC_TO", "NEED_PASSPHRASE_SYM"} & set(names):
        raise UnreadableError("pgp_nested", ADVICE)
    if {"NODATA", "UNEXPECTED"} & set(names) or names.count("PLAINTEXT") != (0 if detached else 1):
        raise UnreadableError("pgp_malformed", ADVICE)
