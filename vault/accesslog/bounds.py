"""Machines aren't capped but bound: no receipt for a look that its purpose does not reach.

Identifying opens identity and contact details only; collecting opens the records of the one
subject whose identity was proved in that very case (GDPR Article 5(1)(c), Act 703/2023 s. 8).
"""

from collections.abc import Sequence

from vault.accesslog.entries import Access
from vault.domain.records import IDENTITY_KINDS, RecordKind
from vault.domain.roles import Purpose
from vault.errors import NotAllowedError

_IDENTITY = frozenset(kind.value for kind in IDENTITY_KINDS)
_REGISTER = frozenset(kind.value for kind in RecordKind)


def check_bounds(looks: Sequence[Access]) -> set[tuple[str, str]]:
    """Let pass looks that stay within their purpose; return the cases and subjects that must be proved for it.

    :raises NotAllowedError: ``identify_kinds``: identifying reaches for care records;
        ``no_identity_decision``: collecting names no case or nobody.
    """
    if any(look.purpose is Purpose.IDENTIFY and _registered(look) - _IDENTITY for look in looks):
        raise NotAllowedError("identify_kinds", "identifying opens identity and contact details, and nothing else")
    claimed = set()
    for look in looks:
        if look.purpose is Purpose.COLLECT and _registered(look):
            if look.case is None or look.subject is None:
                raise unproved()
            claimed.add((look.case, look.subject))
    return claimed


def unproved() -> NotAllowedError:
    """Give the refusal for collecting about somebody who was not proved in this very case."""
    return NotAllowedError("no_identity_decision", "nobody is read before identity is proved in this case")


def _registered(look: Access) -> frozenset[str]:
    """Pick the record kinds among what is opened; the case's own file is none."""
    return _REGISTER & frozenset(look.kinds)
