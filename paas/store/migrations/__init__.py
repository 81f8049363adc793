"""Alembic migrations, run by `schema.py` when the store is opened."""
