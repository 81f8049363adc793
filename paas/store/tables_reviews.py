"""The tables of review apps."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, String, Table, Text, UniqueConstraint

from paas.store.tables import metadata

review_policies = Table(
    "review_policies",
    metadata,
    Column("app_id", String(40), ForeignKey("apps.id", ondelete="CASCADE"), primary_key=True),
    Column("document", JSON, nullable=False),
    Column("sealed", Text, nullable=False),
)
"""`sealed`: values of config vars and the source, under names that cannot be one's."""

reviews = Table(
    "reviews",
    metadata,
    Column("app_id", String(40), primary_key=True),
    Column("parent_id", String(40), nullable=False),
    Column("name", String(40), nullable=False),
    Column("key", String(260), nullable=False),
    Column("status", String(20), nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("document", JSON, nullable=False),
    UniqueConstraint("parent_id", "key"),
)
"""No foreign keys: a review is there before its app is and after it was, and outlives a parent until it is closed."""
