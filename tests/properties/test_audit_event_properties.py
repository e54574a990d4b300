"""Whatever a look says, its AuditEvent conforms, is one line, and names no person unless asked to."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vault.accesslog.auditevent import DATA_SUBJECT, Provider, audit_event
from vault.accesslog.entries import Access, Marks, check, seal_access
from vault.accesslog.log import LoggedAccess
from vault.domain.roles import Purpose
from vault.testing.accesslog import ORIGIN, stored
from vault.testing.balp import faults

PROVIDER = Provider("Esimerkkiklinikka Oy", ORIGIN)
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
NAMES = st.text(st.sampled_from("aäöÅ '-Ω"), min_size=1, max_size=20).map(lambda text: f"Reader {text}")
ACCESSES = st.builds(
    Access,
    at=st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - with UTC
    actor=st.integers(0, 99).map(lambda number: f"staff:{number}"),
    actor_name=NAMES,
    role=st.lists(st.sampled_from(["clinician", "dpo", "auditor"]), min_size=1, max_size=3).map(",".join),
    purpose=st.sampled_from(Purpose),
    legal_ground=WORDS,
    case=st.none() | st.just("DSR-2026-7K3QXM"),
    subject=st.none() | st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    kinds=st.lists(st.sampled_from(["identity", "visit", "case_file"]), min_size=1, max_size=4).map(tuple),
    count=st.integers(0, 2**40),
    outcome=st.sampled_from(["granted", "refused"]),
    emergency=st.none() | WORDS,
    recipient=st.none() | st.just(DATA_SUBJECT) | WORDS,
)


def logged(access: Access, index: int) -> LoggedAccess:
    sealed = stored(seal_access(access, bytes(32), Marks(bytes(16), bytes(16), bytes(16)), bytes(16)))
    return LoggedAccess(index, sealed.leaf, access)


@given(ACCESSES, st.integers(0, 2**40), st.booleans())
def test_every_look_conforms_on_one_line(access: Access, index: int, staff: bool) -> None:
    check(access)
    line = json.dumps(audit_event(logged(access, index), PROVIDER, staff=staff), ensure_ascii=False)
    assert "\n" not in line
    event = json.loads(line)
    assert faults(event) == []
    recorded = datetime.fromisoformat(event["recorded"])
    assert (recorded, event["id"]) == (access.at, f"entry-{index}")
    assert recorded.utcoffset() == timedelta(0)


@given(ACCESSES, st.integers(0, 2**40))
def test_masked_events_differ_in_nothing_by_who_looked(access: Access, index: int) -> None:
    masked = json.dumps(audit_event(logged(access, index), PROVIDER, staff=False), ensure_ascii=False)
    assert f'"{access.actor}"' not in masked
    assert access.actor_name not in masked
