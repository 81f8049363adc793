"""The table of how apps came to be."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String, Table

from paas.store.tables import metadata

setups = Table(
    "setups",
    metadata,
    Column("app_id", String(40), ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True, nullable=False),
    Column("environment", String(40), nullable=False),
    Column("done", Integer, nullable=False),
    Column("cloning", String(40), nullable=False),
)
