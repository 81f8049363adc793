"""How apps came to be, on disk."""

from __future__ import annotations

from dataclasses import fields

from sqlalchemy import Connection, delete, insert, select

from paas.model.scripts import Setup
from paas.store import words
from paas.store.file import SqlFile, rows_of
from paas.store.tables import apps
from paas.store.tables_setups import setups


def replace_setup(db: Connection, setup: Setup) -> None:
    """Within a transaction of somebody else's."""
    db.execute(delete(setups).where(setups.c.app_id == setup.app_id))
    db.execute(insert(setups).values({one.name: getattr(setup, one.name) for one in fields(setup)}))


class SqlSetups(SqlFile):
    """A `SetupStore`."""

    def put_setup(self, setup: Setup) -> None:
        with self._write() as db:
            if db.execute(select(apps.c.id).where(apps.c.id == setup.app_id)).first() is None:
                raise words.no_app(setup.app_id, db.execute(select(apps.c.name)).scalars())
            replace_setup(db, setup)

    def setup(self, app_id: str) -> Setup:
        with self._read() as db:
            found = rows_of(db, select(setups).where(setups.c.app_id == app_id))
            return next((Setup(**row) for row in found), Setup(app_id=app_id))

    def half_clones(self) -> tuple[Setup, ...]:
        with self._read() as db:
            found = select(setups).where(setups.c.cloning != "").order_by(setups.c.app_id)
            return tuple(Setup(**row) for row in rows_of(db, found))
