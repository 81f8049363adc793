"""The table of alerts that fire."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, String, Table

from paas.store.tables import metadata

firings = Table(
    "firings",
    metadata,
    Column("app_id", String(40), ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True, nullable=False),
    Column("name", String(40), primary_key=True, nullable=False),
    Column("since", Float, nullable=False),
)
