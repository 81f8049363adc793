"""Tables of runs and of how far schedules were followed."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from paas.store.tables import metadata


def _app_id(*, primary_key: bool = False) -> Column[str]:
    return Column(
        "app_id", String(40), ForeignKey("apps.id", ondelete="CASCADE"), nullable=False, primary_key=primary_key
    )


runs = Table(
    "runs",
    metadata,
    Column("serial", Integer, primary_key=True),
    Column("id", String(40), nullable=False, unique=True),
    _app_id(),
    Column("job", String(63), nullable=False),
    Column("command", Text, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("release", Integer, nullable=False),
    Column("detached", Boolean, nullable=False),
    Column("time_limit", Float, nullable=False),
    Column("memory", Integer, nullable=False),
    Column("cpus", Float, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("status", String(20), nullable=False, index=True),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float, nullable=False),
    Column("exit_code", Integer, nullable=True),
    Column("reason", Text, nullable=False),
    Column("stopping", Text, nullable=False),
    Index("ix_runs_app_id", "app_id", "job", "serial"),
    sqlite_autoincrement=True,
)

cron_marks = Table(
    "cron_marks",
    metadata,
    _app_id(primary_key=True),
    Column("job", String(63), primary_key=True),
    Column("timing", String(255), nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("paused_by", String(255), nullable=False),
    Column("paused_at", Float, nullable=False),
)
