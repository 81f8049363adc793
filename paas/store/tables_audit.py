"""The table of the audit log: rows are only ever added."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, String, Table

from paas.store.tables import metadata

audit = Table(
    "audit",
    metadata,
    Column("serial", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("user_id", String(40), nullable=False),
    Column("via", String(20), nullable=False),
    Column("request", String(63), nullable=False),
    Column("app", String(63), nullable=False),
    Column("app_id", String(40), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("facts", JSON, nullable=False),
    Column("digest", String(64), nullable=False),
    Index("ix_audit_app_id", "app_id", "serial"),
    sqlite_autoincrement=True,
)
"""No foreign keys: what was done to an app outlives it. Autoincrement: SQLite remembers the highest serial number, so
that a log whose end was cut off is found out."""
