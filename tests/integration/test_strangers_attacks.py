"""Attackers' mails are read by the glance at strangers' signatures as gpg reads them, or not at all."""

from dataclasses import replace

import pytest

from vault.intake.gpg import Gpg, Read
from vault.intake.mail import open_mail
from vault.intake.opened import SignedContent
from vault.testing import mailattacks_bombs, mailattacks_crypto, mailattacks_limits, mailattacks_mime
from vault.testing.mailattacks import ATTACKS, Prey, prey

MODULES = (mailattacks_bombs, mailattacks_crypto, mailattacks_limits, mailattacks_mime)  # whose import enters attacks


def _has_signature(mail: bytes) -> bool:
    return b"BEGIN PGP" in mail or b"octet-stream" in mail or b"pgp-signature" in mail


def test_attacks_are_read_as_by_gpg(monkeypatch: pytest.MonkeyPatch) -> None:
    both: list[tuple[Read, Read]] = []
    glance = Gpg._glance

    def compared(gpg: Gpg, signed: SignedContent) -> Read | None:
        found = glance(gpg, signed)
        if found:
            both.append((found, replace(gpg, own=None).read(signed, None, ())))
        return found

    monkeypatch.setattr(Gpg, "_glance", compared)
    with prey("http://127.0.0.1:1") as hunted:
        tools = replace(hunted.tools, known_keys=())
        for mail in _mails(hunted):
            open_mail(mail, tools)

    assert both
    assert all(found == other for found, other in both)


def _mails(hunted: Prey) -> list[bytes]:
    """Write the attacks that bring OpenPGP along."""
    made = (attack.make(hunted) for attack in ATTACKS.values() if attack.kind not in {"bomb", "limits"})
    return [mail for mail in made if _has_signature(mail)]
