"""The road: cases with their events, sealed items, keys, arrivals, outgoing post, register and access log.

Every column named ``envelope``, ``sealed`` or ``wrapped`` is ciphertext; everything else is a
reference, a state, a code or a time.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
create table cases (
    ref text primary key,
    channel text not null,
    received_at timestamptz not null,
    stage text not null,
    version integer not null,
    exception text,
    language text not null,
    subject text,
    merged_into text references cases (ref)
);
create index cases_by_stage on cases (stage, received_at);
create table case_events (
    case_ref text not null references cases (ref),
    version integer not null,
    at timestamptz not null,
    event text not null,
    stage text not null,
    actor text not null,
    step text,
    detail jsonb not null,
    primary key (case_ref, version),
    unique (case_ref, step)
);
create table sealed_keys (
    owner text primary key,
    box text not null,
    sealed bytea not null
);
create table sealed_items (
    owner text not null references sealed_keys (owner) on delete cascade,
    name text not null,
    version integer not null,
    envelope bytea not null,
    primary key (owner, name, version)
);
create table wrapped_keys (
    kind text not null,
    ref text not null,
    version integer not null,
    wrapped bytea not null,
    made_at timestamptz not null default now(),
    primary key (kind, ref, version)
);
create table arrivals (
    ref text primary key,
    channel text not null,
    source bytea not null unique,
    digest bytea not null,
    received_at timestamptz not null,
    case_ref text not null references cases (ref),
    role text not null,
    taken_at timestamptz
);
create index arrivals_by_digest on arrivals (digest);
create index arrivals_by_case on arrivals (case_ref);
create table outgoing (
    ref text primary key,
    case_ref text not null references cases (ref),
    kind text not null,
    road text not null,
    state text not null,
    intended_at timestamptz not null,
    done_at timestamptz
);
create index outgoing_by_state on outgoing (state, intended_at);
create table drafts (
    case_ref text not null references cases (ref),
    version integer not null,
    digest bytea not null,
    made_at timestamptz not null,
    primary key (case_ref, version)
);
create table decisions (
    case_ref text not null,
    draft_version integer not null,
    digest bytea not null,
    decided_at timestamptz not null,
    decided_by text not null,
    envelope bytea not null,
    primary key (case_ref, draft_version),
    foreign key (case_ref, draft_version) references drafts (case_ref, version)
);
create table packages (
    case_ref text primary key references cases (ref),
    format text not null,
    object text not null,
    sha256 bytea not null,
    size bigint not null,
    made_at timestamptz not null
);
create table subjects (
    ref text primary key,
    code_index bytea not null unique
);
create table records (
    subject text not null references subjects (ref),
    ref text not null,
    kind text not null,
    version integer not null,
    envelope bytea not null,
    primary key (subject, ref)
);
create index records_by_kind on records (subject, kind);
create table log_leaves (
    idx bigint primary key,
    leaf bytea not null,
    entry bytea not null,
    staff bytea not null,
    case_ref text,
    tag bytea
);
create index log_leaves_by_tag on log_leaves (tag, idx);
create index log_leaves_by_case on log_leaves (case_ref, idx);
create table log_edge (
    one boolean primary key default true check (one),
    size bigint not null,
    hashes bytea not null
);
insert into log_edge (size, hashes) values (0, '');
create table log_checkpoints (
    size bigint primary key,
    note text not null
);
"""

NAMES = (
    "log_checkpoints log_edge log_leaves records subjects packages decisions drafts outgoing "
    "arrivals wrapped_keys sealed_items sealed_keys case_events cases"
)


def upgrade() -> None:
    """Make the tables."""
    op.execute(TABLES)


def downgrade() -> None:
    """Take them away, dependants first."""
    for name in NAMES.split():
        op.execute(f"drop table {name}")
