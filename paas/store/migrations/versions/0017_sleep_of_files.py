"""Whether what is said of an app's sleep comes from its files."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("sleeps") as table:
        table.add_column(sa.Column("by_file", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    raise NotImplementedError("an older paas opens the copy that was kept before the upgrade")
