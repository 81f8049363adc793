"""The table of sleeping."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Integer, String, Table, false

from paas.store.tables import metadata

sleeps = Table(
    "sleeps",
    metadata,
    Column("app_id", String(40), ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True, nullable=False),
    Column("after", Float, nullable=False),
    Column("asleep", Boolean, nullable=False),
    Column("since", Float, nullable=False),
    Column("port", Integer, nullable=False),
    Column("by_file", Boolean, nullable=False, server_default=false()),
)
