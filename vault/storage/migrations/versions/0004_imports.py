"""How far an import has come, so that a killed one goes on.

``source`` and ``person`` are MACs; the rest is places in files, codes and counts.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
create table imports (
    source bytea primary key,
    phase text not null,
    position bytea not null,
    tally jsonb not null,
    started_at timestamptz not null,
    finished_at timestamptz
);
create table import_items (
    source bytea not null references imports (source) on delete cascade,
    person bytea not null,
    file integer not null,
    number bigint not null,
    at bigint not null,
    size bigint not null,
    patient boolean not null,
    primary key (source, person, file, number)
);
create table import_refusals (
    source bytea not null references imports (source) on delete cascade,
    file integer not null,
    number bigint not null,
    code text not null,
    primary key (source, file, number, code)
);
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(TABLES)


def downgrade() -> None:
    """Take them away."""
    op.execute("drop table import_refusals; drop table import_items; drop table imports")
