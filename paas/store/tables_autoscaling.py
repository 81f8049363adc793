"""The tables of autoscaling."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table

from paas.store.tables import metadata


def _app_id(*, primary_key: bool = False) -> Column[str]:
    parent = ForeignKey("apps.id", ondelete="CASCADE")
    return Column("app_id", String(40), parent, nullable=False, primary_key=primary_key)


autoscale_overrides = Table(
    "autoscale_overrides",
    metadata,
    _app_id(primary_key=True),
    Column("process", String(63), primary_key=True),
    Column("at", Float, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("rules", JSON, nullable=True),
    Column("paused", Boolean, nullable=True),
)

autoscale_decisions = Table(
    "autoscale_decisions",
    metadata,
    Column("serial", Integer, primary_key=True),
    _app_id(),
    Column("process", String(63), nullable=False),
    Column("decision", JSON, nullable=False),
    Column("samples", JSON, nullable=False),
    Index("ix_autoscale_decisions_app_id", "app_id", "process", "serial"),
)

protections = Table(
    "protections",
    metadata,
    _app_id(primary_key=True),
    Column("replica", String(80), primary_key=True),
    Column("until", Float, nullable=False),
)
