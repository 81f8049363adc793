"""How apps came to be. What was deployed before has its `postdeploy` behind it."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "setups",
        sa.Column("app_id", sa.String(length=40), nullable=False),
        sa.Column("environment", sa.String(length=40), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("cloning", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_setups_app_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app_id", name=op.f("pk_setups")),
    )
    op.execute(
        "INSERT INTO setups (app_id, environment, done, cloning) "
        "SELECT app_id, '', min(number), '' FROM releases WHERE image <> '' AND status = 'succeeded' GROUP BY app_id"
    )


def downgrade() -> None:
    raise NotImplementedError("an older paas opens the copy that was kept before the upgrade")
