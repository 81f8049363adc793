"""The audit log on disk. A record is chained to the one before in the transaction that writes it."""

from __future__ import annotations

from dataclasses import fields, replace

from sqlalchemy import RowMapping, insert, or_, select, text

from paas.model.audit import Record, digest_after
from paas.store.file import SqlFile, first, rows_of
from paas.store.rows import readable
from paas.store.tables_audit import audit


class SqlAudit(SqlFile):
    """An `AuditStore`."""

    def add_record(self, record: Record) -> Record:
        with self._write() as db:
            last = first(db, select(audit.c.serial, audit.c.digest).order_by(audit.c.serial.desc()).limit(1))
            serial, before = (int(last["serial"]), str(last["digest"])) if last else (0, "")
            numbered = replace(record, serial=serial + 1)
            kept = replace(numbered, digest=digest_after(numbered, before))
            values = {one.name: getattr(kept, one.name) for one in fields(kept)}
            db.execute(insert(audit).values(**{**values, "facts": dict(kept.facts)}))
            return kept

    def records(
        self, *, app_id: str = "", app: str = "", user: str = "", since: float = 0.0, after: int = 0, limit: int = 100
    ) -> tuple[Record, ...]:
        query = select(audit).where(audit.c.serial > after, audit.c.at >= since)
        if app_id:
            query = query.where(audit.c.app_id == app_id)
        if app:
            query = query.where(audit.c.app == app)
        if user:
            query = query.where(or_(audit.c.actor == user, audit.c.user_id == user))
        query = query.order_by(audit.c.serial if after else audit.c.serial.desc())
        with self._read() as db:
            found = [_record(row) for row in rows_of(db, query.limit(limit) if limit else query)]
        return tuple(found if after else reversed(found))

    def last_serial(self) -> int:
        with self._read() as db:
            found = db.execute(text("SELECT seq FROM sqlite_sequence WHERE name = 'audit'")).scalar()
        return int(found or 0)


@readable
def _record(row: RowMapping) -> Record:
    return Record(**{**row, "facts": dict(row["facts"])})
