"""The table of pipelines."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, String, Table

from paas.store.tables import metadata

pipeline_apps = Table(
    "pipeline_apps",
    metadata,
    Column("app_id", String(40), ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True),
    Column("pipeline", String(40), nullable=False, index=True),
    Column("stage", String(20), nullable=False),
)
