"""What a probe found: fit, or unfit and why; a part that fails in any way is unfit, never a crash."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from vault.errors import VaultError
from vault.settings import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one promise of one part; nothing personal, no secret.

    :param check: what was tried.
    :param why: what was seen, or what to do.
    """

    part: str
    check: str
    fit: bool
    why: str

    def to_json(self) -> dict[str, object]:
        """Give it as the command prints it."""
        return {"part": self.part, "check": self.check, "fit": self.fit, "why": self.why}


class UnfitError(VaultError):
    """The part did what it must refuse, or refused what it must do."""

    def __init__(self, why: str) -> None:
        super().__init__("unfit", why)


Trial: TypeAlias = tuple[str, Callable[[], str]]  # what is tried; a call that tells why it is fit, or raises
Probe: TypeAlias = Callable[[Settings], Iterator[Finding]]


def tried(part: str, trials: Iterator[Trial]) -> Iterator[Finding]:
    """Run trials in order; after one that shows the part to be out of reach or set up wrong, the rest is left out.

    The first trial of each part is whether it answers at all.
    """
    for number, (check, trial) in enumerate(trials):
        try:
            finding = Finding(part, check, fit=True, why=trial())
        except VaultError as error:
            finding = Finding(part, check, fit=False, why=error.advice)
        yield finding
        if number == 0 and not finding.fit:
            return
