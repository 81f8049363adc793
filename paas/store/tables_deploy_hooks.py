"""The tables of deploy hooks."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from paas.store.tables import metadata

deploy_hooks = Table(
    "deploy_hooks",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("app_id", String(40), ForeignKey("apps.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(63), nullable=False),
    Column("provider", String(20), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("document", JSON, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("state", JSON, nullable=False),
    Column("busy", Integer, nullable=False),
    UniqueConstraint("app_id", "name"),
)
"""`document`: what it does. `sealed`: its secret and its source. `state`: what it remembers; `busy` 1 when something is
to begin or runs."""

hook_deliveries = Table(
    "hook_deliveries",
    metadata,
    Column("serial", Integer, primary_key=True),
    Column("id", String(40), nullable=False),
    Column("hook_id", String(64), ForeignKey("deploy_hooks.id", ondelete="CASCADE"), nullable=False),
    Column("at", Float, nullable=False),
    Column("status", String(20), nullable=False),
    Column("operation", String(40), nullable=False),
    Column("document", JSON, nullable=False),
    Index("ix_hook_deliveries_hook_id", "hook_id", "serial"),
    sqlite_autoincrement=True,
)

hook_marks = Table(
    "hook_marks",
    metadata,
    Column("serial", Integer, primary_key=True),
    Column("hook_id", String(64), ForeignKey("deploy_hooks.id", ondelete="CASCADE"), nullable=False),
    Column("mark", String(80), nullable=False),
    UniqueConstraint("hook_id", "mark"),
    sqlite_autoincrement=True,
)
"""What was here before."""
