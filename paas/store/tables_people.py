"""The tables of who may what."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Integer, String, Table

from paas.store.tables import metadata


def _of(table: str, name: str, *, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    """A reference that goes with what it names."""
    parent = ForeignKey(f"{table}.id", ondelete="CASCADE")
    return Column(name, String(40), parent, primary_key=primary_key, nullable=nullable, index=not primary_key)


users = Table(
    "users",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("role", String(20), nullable=False),
)

teams = Table(
    "teams",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    _of("teams", "team_id", primary_key=True),
    _of("users", "user_id", primary_key=True),
    Column("role", String(20), nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("serial", Integer, primary_key=True),
    _of("apps", "app_id"),
    _of("users", "user_id", nullable=True),
    _of("teams", "team_id", nullable=True),
    Column("role", String(20), nullable=False),
)
"""Exactly one of `user_id` and `team_id` is set."""

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("name", String(63), nullable=False),
    Column("kind", String(20), nullable=False),
    _of("users", "user_id", nullable=True),
    Column("role", String(20), nullable=False),
    Column("apps", JSON(none_as_null=True), nullable=True),
    Column("created_by", String(255), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("used_at", Float, nullable=False),
    Column("used_from", String(255), nullable=False),
)

invites = Table(
    "invites",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("name", String(63), nullable=False, unique=True),
    Column("created_by", String(255), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("role", String(20), nullable=False),
    _of("users", "user_id", nullable=True),
    _of("apps", "app_id", nullable=True),
    Column("app_role", String(20), nullable=False),
    _of("teams", "team_id", nullable=True),
)

key_owners = Table(
    "key_owners",
    metadata,
    Column("name", String(127), primary_key=True),
    _of("users", "user_id"),
)
