"""Names of targets are of an app, or of all apps: another team's names are neither taken nor told of."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("notification_targets") as table:
        table.drop_constraint(op.f("uq_notification_targets_name"), type_="unique")
        table.create_unique_constraint(op.f("uq_notification_targets_app_id"), ["app_id", "name"])
        table.create_index(
            "ix_notification_targets_of_all", ["name"], unique=True, sqlite_where=sa.text("app_id IS NULL")
        )


def downgrade() -> None:
    raise NotImplementedError("an older paas opens the copy that was kept before the upgrade")
