"""The tables of notifications."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint, text

from paas.store.tables import metadata

notification_targets = Table(
    "notification_targets",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("app_id", String(40), ForeignKey("apps.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("created_at", Float, nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("document", JSON, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("retry_at", Float, nullable=False),
    Column("disabled", Text, nullable=False),
    UniqueConstraint("app_id", "name"),
    # SQLite takes one NULL for another as different.
    Index("ix_notification_targets_of_all", "name", unique=True, sqlite_where=text("app_id IS NULL")),
)

notifications = Table(
    "notifications",
    metadata,
    Column("serial", Integer, primary_key=True),
    Column("id", String(80), nullable=False, unique=True),
    Column("target_id", String(40), ForeignKey("notification_targets.id", ondelete="CASCADE"), nullable=False),
    Column("status", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("answer", Text, nullable=False),
    Column("ended_at", Float, nullable=False),
    Column("document", JSON, nullable=False),
    Index("ix_notifications_target_id", "target_id", "status", "serial"),
    sqlite_autoincrement=True,
)
