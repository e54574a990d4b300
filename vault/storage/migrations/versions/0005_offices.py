"""Every office is a database role of its own; what happened to a case can't be changed by anybody.

The offices' rights are no migration: ``dsr migrate`` brings them to the release's table each time
(``vault/storage/grants.py``).
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

APPEND_ONLY = """
create function only_appended() returns trigger language plpgsql set search_path = '' as $$
begin
    raise exception 'rows of this table are only appended' using errcode = 'insufficient_privilege';
end
$$;
revoke all on function only_appended() from public;
create trigger only_appended before update or delete or truncate on case_events
    for each statement execute function only_appended();
"""


def upgrade() -> None:
    """Make the guard."""
    op.execute(APPEND_ONLY)


def downgrade() -> None:
    """Take it away."""
    op.execute("drop trigger only_appended on case_events; drop function only_appended()")
