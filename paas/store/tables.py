"""The tables. A change here needs a migration in `migrations/versions/`: a test compares the two.

Columns named `sealed` hold ciphertext of `crypto.py`. Times are Unix seconds.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def _app_id(*, primary_key: bool = False, index: bool | None = None) -> Column[str]:
    parent = ForeignKey("apps.id", ondelete="CASCADE")
    return Column("app_id", String(40), parent, nullable=False, primary_key=primary_key, index=index)


meta = Table(
    "meta",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)
"""`sealed`: a sealed word, by which a wrong key file is found out at once."""

apps = Table(
    "apps",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("formation", JSON, nullable=False),
    Column("last_release", Integer, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    _app_id(primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("status", String(20), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("description", Text, nullable=False),
    Column("image", String(255), nullable=False),
    Column("image_ref", String(255), nullable=False),
    Column("failure", Text, nullable=False),
    Column("document", JSON, nullable=False),
    Column("sealed", Text, nullable=False),
)
"""`document`: everything else of the release that is no secret. `sealed`: its config."""

domains = Table(
    "domains",
    metadata,
    Column("host", String(255), primary_key=True),
    _app_id(index=True),
)
"""Who has which host now: the domains of each app's wanted release."""

addons = Table(
    "addons",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("kind", String(63), nullable=False),
    Column("version", String(63), nullable=False),
    Column("image", String(255), nullable=False),
    Column("volume", String(255), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("owner_app", String(40), nullable=False),
    Column("sealed", Text, nullable=False),
)

attachments = Table(
    "attachments",
    metadata,
    _app_id(primary_key=True),
    Column("alias", String(63), primary_key=True),
    Column("addon_id", String(40), ForeignKey("addons.id", ondelete="CASCADE"), nullable=False, index=True),
)

certificates = Table(
    "certificates",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("chain", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("names", JSON, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("not_after", Float, nullable=False),
)

operations = Table(
    "operations",
    metadata,
    Column("serial", Integer, primary_key=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("app_id", String(40), nullable=False, index=True),
    Column("verb", String(63), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float, nullable=False),
    Column("status", String(20), nullable=False, index=True),
    Column("error", Text, nullable=False),
    Column("user_id", String(40), nullable=False),
    Column("others", JSON, nullable=False),
    sqlite_autoincrement=True,
)
"""`app_id` is no foreign key: the operation that destroys an app outlives it."""

events = Table(
    "events",
    metadata,
    Column("serial", Integer, primary_key=True),
    Column("app_id", String(40), nullable=False),
    Column("operation_id", String(40), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("app", String(63), nullable=False),
    Column("message", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Index("ix_events_app_id", "app_id", "serial"),
    Index("ix_events_operation_id", "operation_id", "serial"),
    sqlite_autoincrement=True,
)
"""Autoincrement: a serial number that a follower has seen is never given again."""
