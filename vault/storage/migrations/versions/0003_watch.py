"""What watches over reading: alarms, people's looks, emergencies and honey records' marks.

Marks of looks and of honey records are MACs under the key service; a reason is sealed in its case's file.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
create table alarms (
    ref text primary key,
    code text not null,
    raised_at timestamptz not null,
    last_at timestamptz not null,
    actor text not null,
    case_ref text,
    detail jsonb not null,
    count integer not null default 1,
    closed_at timestamptz
);
create index alarms_open on alarms (code, actor) where closed_at is null;
create table alarm_events (
    alarm_ref text not null references alarms (ref),
    at timestamptz not null,
    event text not null,
    actor text not null,
    why text,
    primary key (alarm_ref, event)
);
create table looks (
    actor text not null,
    mark bytea not null,
    at timestamptz not null,
    primary key (actor, mark)
);
create table near_caps (
    actor text not null,
    at timestamptz not null,
    primary key (actor, at)
);
create table honey (
    mark bytea primary key,
    added_at timestamptz not null,
    added_by text not null
);
create table emergencies (
    ref text primary key,
    case_ref text not null references cases (ref),
    actor text not null,
    opened_at timestamptz not null,
    until timestamptz not null,
    alarm_ref text not null references alarms (ref),
    reviewed_at timestamptz,
    reviewed_by text,
    verdict text,
    check (reviewed_by is null or reviewed_by <> actor)
);
create index emergencies_by_actor on emergencies (actor, case_ref, until);
"""

NAMES = "emergencies honey near_caps looks alarm_events alarms"


def upgrade() -> None:
    """Make the tables."""
    op.execute(TABLES)


def downgrade() -> None:
    """Take them away, dependants first."""
    for name in NAMES.split():
        op.execute(f"drop table {name}")
