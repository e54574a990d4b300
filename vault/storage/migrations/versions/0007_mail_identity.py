"""A message's identity stands beside its arrival, its removal is recorded, and begun readings are counted.

``mail_identities`` holds MACs under the key service, as ``arrivals`` does, so that a message is known again
after its server has numbered its messages anew (UIDVALIDITY, RFC 3501 section 2.3.1.1). ``mail_tries`` counts
how often a message was begun that no arrival followed: what ends its reader each time is set aside.
``mail_answers`` keeps for a day whom a machine has answered, so that two machines do not write for ever.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = """
create table mail_identities (
    arrival_ref text primary key references arrivals (ref),
    mailbox bytea not null,
    numbering bytea not null,
    message_id bytea,
    content bytea not null,
    kept boolean not null,
    recorded_at timestamptz not null,
    removed_at timestamptz
);
create index mail_identities_standing on mail_identities (content) where removed_at is null;
create index mail_identities_unsettled on mail_identities (mailbox, recorded_at) where removed_at is null;
create table mail_tries (
    source bytea primary key,
    tries integer not null,
    last_at timestamptz not null
);
create table mail_answers (
    item_ref text primary key,
    sender bytea not null,
    at timestamptz not null
);
create index mail_answers_by_sender on mail_answers (sender);
create index mail_answers_by_time on mail_answers (at);
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(TABLES)


def downgrade() -> None:
    """Take them away."""
    op.execute("drop table mail_answers; drop table mail_tries; drop table mail_identities")
