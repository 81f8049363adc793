"""Alerts that fire, on disk."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from paas.model.alert import Firing
from paas.store import words
from paas.store.file import SqlFile, rows_of
from paas.store.tables import apps
from paas.store.tables_alerts import firings


class SqlAlerts(SqlFile):
    """An `AlertStore`."""

    def put_firing(self, firing: Firing) -> None:
        with self._write() as db:
            if db.execute(select(apps.c.id).where(apps.c.id == firing.app_id)).first() is None:
                raise words.no_app(firing.app_id, db.execute(select(apps.c.name)).scalars())
            db.execute(delete(firings).where(firings.c.app_id == firing.app_id, firings.c.name == firing.name))
            db.execute(insert(firings).values(app_id=firing.app_id, name=firing.name, since=firing.since))

    def delete_firing(self, app_id: str, name: str) -> None:
        with self._write() as db:
            db.execute(delete(firings).where(firings.c.app_id == app_id, firings.c.name == name))

    def firings(self, app_id: str = "") -> tuple[Firing, ...]:
        query = select(firings).order_by(firings.c.app_id, firings.c.name)
        with self._read() as db:
            return tuple(
                Firing(**row) for row in rows_of(db, query.where(firings.c.app_id == app_id) if app_id else query)
            )
