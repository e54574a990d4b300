"""Identifying reaches identity only, collecting only the subject whose identity was proved in that case."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from vault.accesslog.receipts import LogReceipt
from vault.domain.case import Case, Channel, Event, Stage
from vault.domain.roles import Purpose
from vault.errors import NotAllowedError
from vault.storage.cases import append, get_case, open_cases
from vault.storage.database import Database
from vault.storage.migrate import migrate
from vault.testing.accesslog import LogBench, log_bench, look
from vault.testing.postgres import postgres

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
PROVED, UNPROVED, NAMED = "DSR-2026-7K3QXM", "DSR-2026-7K3QXN", "DSR-2026-7K3QXP"


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with postgres() as server:
        settings = server.create_database("dsr_bounds")
        migrate(settings)
        opened = Database(settings)
        with opened.connect() as connection:
            for ref in (PROVED, UNPROVED, NAMED):
                open_cases(connection, [Case(ref, Channel.MAIL, NOW, Stage.RECEIVED, 1, "fi")], actor="t", at=NOW)
            proved = get_case(connection, PROVED)
            append(connection, proved, Event.IDENTITY_PROVED, actor="staff:7", at=NOW, subject="P-1")
            # a row that only names somebody is no decision
            connection.execute("update cases set subject = 'P-1' where ref = %s", (NAMED,))
        yield opened
        opened.close()


@pytest.fixture
def bench(database: Database) -> LogBench:
    return log_bench(database)


def record(bench: LogBench, **changes: Any) -> LogReceipt:
    return bench.log.record([look(subject="P-1", case=PROVED, **changes)])[0]


def size(bench: LogBench) -> int:
    with bench.database.connect() as connection:
        row = connection.execute("select count(*) from log_leaves").fetchone()
    return int(row[0]) if row else -1


def test_collecting_a_proved_subject_in_her_own_case_gets_a_receipt(bench: LogBench) -> None:
    receipt = record(bench, purpose=Purpose.COLLECT, kinds=("identity", "session_entry"))

    bench.log.spend(receipt, case=PROVED, subject="P-1", kinds=["session_entry"])


@pytest.mark.parametrize("case", [UNPROVED, NAMED, "DSR-2026-000000", None], ids=["unproved", "named", "none", "no"])
def test_collecting_without_a_decision_in_that_case_is_refused(bench: LogBench, case: str | None) -> None:
    with pytest.raises(NotAllowedError, match="no_identity_decision"):
        bench.log.record([look(subject="P-1", case=case, purpose=Purpose.COLLECT)])

    assert size(bench) == 0


def test_collecting_another_subject_in_a_proved_case_is_refused(bench: LogBench) -> None:
    fit = look(subject="P-1", case=PROVED, purpose=Purpose.COLLECT)

    for subject in ("P-2", None):
        with pytest.raises(NotAllowedError, match="no_identity_decision"):
            bench.log.record([fit, look(subject=subject, case=PROVED, purpose=Purpose.COLLECT)])

    assert size(bench) == 0


def test_identifying_opens_identity_and_contacts_and_no_care(bench: LogBench) -> None:
    record(bench, purpose=Purpose.IDENTIFY, kinds=("identity", "contact_details", "case_file"))

    for kind in ("session_entry", "invoice", "inspection"):
        with pytest.raises(NotAllowedError, match="identify_kinds"):
            record(bench, purpose=Purpose.IDENTIFY, kinds=("identity", kind))

    assert size(bench) == 1


def test_the_case_s_own_file_may_be_opened_while_collecting(bench: LogBench) -> None:
    bench.log.record([look(subject=None, case=UNPROVED, purpose=Purpose.COLLECT, kinds=("case_file",))])

    assert size(bench) == 1
