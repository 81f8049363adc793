"""Which other apps an operation touches, and which user started it."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

UNKNOWN = "unknown"
"""No app has this id: what an operation touched that is not known any more is for owners of the platform."""


def upgrade() -> None:
    _operations()
    _clones()


def _operations() -> None:
    with op.batch_alter_table("operations") as table:
        table.add_column(sa.Column("user_id", sa.String(length=40), nullable=False, server_default=""))
        table.add_column(sa.Column("others", sa.JSON(), nullable=False, server_default="[]"))
    database = op.get_bind()
    wide = "SELECT id, app_id, status FROM operations WHERE verb IN ('PromoteApp', 'CloneApp')"
    for operation, app_id, status in database.execute(sa.text(wide)).all():
        seen = "SELECT DISTINCT app_id FROM events WHERE operation_id = :id AND app_id NOT IN ('', :app)"
        others = sorted(database.execute(sa.text(seen), {"id": operation, "app": app_id}).scalars())
        if status != "succeeded" or not others:
            others.append(UNKNOWN)
        database.execute(
            sa.text("UPDATE operations SET others = :others WHERE id = :id"),
            {"id": operation, "others": json.dumps(others)},
        )


def _clones() -> None:
    """What everybody who sees an app could read of who cloned it named the clone."""
    database = op.get_bind()
    for serial, data in database.execute(sa.text("SELECT serial, data FROM events WHERE kind = 'audit'")).all():
        facts = json.loads(data)
        if facts.get("request") != "CloneApp" or "name" not in facts:
            continue
        said = f" name={facts.pop('name')}"
        database.execute(
            sa.text("UPDATE events SET data = :data, message = replace(message, :said, '') WHERE serial = :serial"),
            {"data": json.dumps(facts), "said": said, "serial": serial},
        )


def downgrade() -> None:
    raise NotImplementedError("an older paas opens the copy that was kept before the upgrade")
