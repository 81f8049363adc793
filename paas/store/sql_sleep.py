"""Sleeping on disk."""

from __future__ import annotations

from dataclasses import fields

from sqlalchemy import delete, insert, select

from paas.model.sleep import Sleep
from paas.store import words
from paas.store.file import SqlFile, rows_of
from paas.store.tables import apps
from paas.store.tables_sleep import sleeps


class SqlSleep(SqlFile):
    """A `SleepStore`."""

    def put_sleep(self, sleep: Sleep) -> None:
        with self._write() as db:
            if db.execute(select(apps.c.id).where(apps.c.id == sleep.app_id)).first() is None:
                raise words.no_app(sleep.app_id, db.execute(select(apps.c.name)).scalars())
            db.execute(delete(sleeps).where(sleeps.c.app_id == sleep.app_id))
            db.execute(insert(sleeps).values({one.name: getattr(sleep, one.name) for one in fields(sleep)}))

    def delete_sleep(self, app_id: str) -> None:
        with self._write() as db:
            db.execute(delete(sleeps).where(sleeps.c.app_id == app_id))

    def sleep(self, app_id: str) -> Sleep | None:
        with self._read() as db:
            found = rows_of(db, select(sleeps).where(sleeps.c.app_id == app_id))
            return next((Sleep(**row) for row in found), None)

    def sleeps(self) -> tuple[Sleep, ...]:
        with self._read() as db:
            return tuple(Sleep(**row) for row in rows_of(db, select(sleeps).order_by(sleeps.c.app_id)))
