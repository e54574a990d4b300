"""The answers of a handful: their cases are held together, and none waits for another."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from vault.errors import VaultError
from vault.steps import acknowledging, mail_round
from vault.steps.acknowledging import acknowledge
from vault.steps.notices import resend, send_with
from vault.steps.parts import Parts
from vault.steps.receive import Taken
from vault.storage.cases import held
from vault.storage.outgoing import INTENDED, SENT, Outgoing
from vault.testing.installation import installed
from vault.testing.mailclinic import Clinic

PERSONAL = "personal words"


@pytest.fixture(scope="module")
def clinic() -> Iterator[Clinic]:
    with installed() as installation:
        yield Clinic(installation)


@pytest.fixture(autouse=True)
def _clean(clinic: Clinic) -> Iterator[None]:
    yield
    clinic.settle()
    with clinic.installation.office("collector") as parts:
        resend(parts)


def states(clinic: Clinic) -> list[str]:
    return sorted(item.state for case in clinic.fresh() for item in clinic.outgoing(case.ref))


def test_an_answer_whose_case_somebody_keeps_waits_and_the_others_go(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept(parts: Parts, several: Sequence[tuple[Taken, dict[str, Any]]], *more: Any) -> None:
        with clinic.installation.office("desk") as desk, held(desk.database, several[1][0].case.ref) as mine:
            assert mine
            acknowledge(parts, several, *more)

    with monkeypatch.context() as patched:
        patched.setattr(acknowledging, "PATIENCE", 0.3)
        patched.setattr(mail_round, "acknowledge", kept)
        clinic.post(3)
        clinic.receive()
    assert states(clinic) == [INTENDED, SENT, SENT]
    with clinic.installation.office("collector") as parts:
        assert resend(parts) == 1


def test_one_answer_that_fails_by_our_own_fault_harms_none_behind_it(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[str] = []

    def failing(parts: Parts, item: Outgoing, *more: Any, **named: Any) -> str | None:
        if not failed:
            failed.append(item.ref)
            raise KeyError(PERSONAL)
        return send_with(parts, item, *more, **named)

    with monkeypatch.context() as patched:
        patched.setattr(acknowledging, "send_with", failing)
        clinic.post(3)
        with pytest.raises(VaultError, match="mail_reading_failed") as told:
            clinic.receive()
    assert PERSONAL not in str(told.value)
    assert states(clinic) == [INTENDED, SENT, SENT]
    with clinic.installation.owner() as connection:
        kept = connection.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone()
    assert kept == (0,)


def test_where_nobody_hears_of_a_fault_it_is_let_out(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise KeyError(PERSONAL)

    seen: list[tuple[Taken, dict[str, Any]]] = []
    with monkeypatch.context() as patched:
        patched.setattr(mail_round, "acknowledge", lambda _, several, *__: seen.extend(several))
        clinic.post(1)
        clinic.receive()
    monkeypatch.setattr(acknowledging, "send_with", failing)
    with clinic.office() as parts, pytest.raises(KeyError):
        acknowledge(parts, seen)
    assert states(clinic) == [INTENDED]


def test_where_the_mail_server_is_slow_each_of_the_others_is_held_alone(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    free: list[int] = []

    def slow(parts: Parts, item: Outgoing, *more: Any, **named: Any) -> str | None:
        with clinic.installation.office("desk") as desk:
            free.append(sum(has(desk, ref) for ref in {case.ref for case in clinic.cases()} - clinic.known))
        return send_with(parts, item, *more, **named)

    with monkeypatch.context() as patched:
        patched.setattr(acknowledging, "_TURN", 0.0)
        patched.setattr(acknowledging, "send_with", slow)
        clinic.post(3)
        clinic.receive()
    assert free == [0, 2, 2]
    assert states(clinic) == [SENT] * 3


def has(parts: Parts, ref: str) -> bool:
    with held(parts.database, ref) as mine:
        return mine
