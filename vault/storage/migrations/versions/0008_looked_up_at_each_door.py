"""What each round through a mailbox and each minute ask is answered by an index, however many cases there were.

The index by content held only messages that were never removed, which the question does not fit.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the indexes."""
    op.execute(
        "create index arrivals_untaken on arrivals (case_ref) where role = 'reply' and taken_at is null;"
        "create index mail_identities_by_content on mail_identities (content);"
        "drop index mail_identities_standing"
    )


def downgrade() -> None:
    """Take them away, and bring back the one before."""
    op.execute(
        "drop index arrivals_untaken; drop index mail_identities_by_content;"
        "create index mail_identities_standing on mail_identities (content) where removed_at is null"
    )
