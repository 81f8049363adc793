"""Autoscaling: what was set by command, what was decided, and which replicas are to be spared."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "autoscale_decisions",
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("app_id", sa.String(length=40), nullable=False),
        sa.Column("process", sa.String(length=63), nullable=False),
        sa.Column("decision", sa.JSON(), nullable=False),
        sa.Column("samples", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["app_id"], ["apps.id"], name=op.f("fk_autoscale_decisions_app_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_autoscale_decisions")),
    )
    op.create_index(
        "ix_autoscale_decisions_app_id", "autoscale_decisions", ["app_id", "process", "serial"], unique=False
    )
    op.create_table(
        "autoscale_overrides",
        sa.Column("app_id", sa.String(length=40), nullable=False),
        sa.Column("process", sa.String(length=63), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=True),
        sa.Column("paused", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(
            ["app_id"], ["apps.id"], name=op.f("fk_autoscale_overrides_app_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("app_id", "process", name=op.f("pk_autoscale_overrides")),
    )
    op.create_table(
        "protections",
        sa.Column("app_id", sa.String(length=40), nullable=False),
        sa.Column("replica", sa.String(length=80), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_protections_app_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app_id", "replica", name=op.f("pk_protections")),
    )


def downgrade() -> None:
    raise NotImplementedError("an older paas opens the copy that was kept before the upgrade")
