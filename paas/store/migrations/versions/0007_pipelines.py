"""Pipelines: which app is where on the way to production."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pipeline_apps",
        sa.Column("app_id", sa.String(length=40), nullable=False),
        sa.Column("pipeline", sa.String(length=40), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_pipeline_apps_app_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app_id", name=op.f("pk_pipeline_apps")),
    )
    op.create_index(op.f("ix_pipeline_apps_pipeline"), "pipeline_apps", ["pipeline"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("an older paas opens the copy that was kept before the upgrade")
