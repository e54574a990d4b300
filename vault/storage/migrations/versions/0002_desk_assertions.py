"""The desk remembers which assertions were used, so that none opens it twice."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.execute("create table used_assertions (jti text primary key, until timestamptz not null)")


def downgrade() -> None:
    """Take it away."""
    op.execute("drop table used_assertions")
