"""Autoscaling on disk: the part of the store that keeps overrides, decisions and protections."""

from __future__ import annotations

from sqlalchemy import Connection, RowMapping, delete, insert, select

from paas.model.autoscaling import Override, Protection, Recorded
from paas.store import scaling_rows, words
from paas.store.file import SqlFile, rows_of
from paas.store.rows import readable
from paas.store.tables import apps
from paas.store.tables_autoscaling import autoscale_decisions, autoscale_overrides, protections

KEPT_CHANGES, KEPT_HELD = 500, 200
"""Decisions kept of one process: those that changed its number, and those that left it. Noise at a bound makes many of
the latter in little time."""
FORGOTTEN = 86_400.0
"""Seconds after which a protection that ended is forgotten."""


class SqlAutoscaling(SqlFile):
    """An `AutoscaleStore`."""

    def put_override(self, override: Override) -> None:
        table = autoscale_overrides
        with self._write() as db:
            _has(db, override.app_id)
            db.execute(delete(table).where(table.c.app_id == override.app_id, table.c.process == override.process))
            db.execute(
                insert(table).values(
                    app_id=override.app_id, process=override.process, at=override.at, actor=override.actor,
                    rules=scaling_rows.rules_values(override.rules), paused=override.paused,
                )
            )  # fmt: skip

    def delete_override(self, app_id: str, process: str) -> None:
        table = autoscale_overrides
        with self._write() as db:
            db.execute(delete(table).where(table.c.app_id == app_id, table.c.process == process))

    def overrides(self, app_id: str = "") -> tuple[Override, ...]:
        table = autoscale_overrides
        query = select(table).order_by(table.c.app_id, table.c.process)
        with self._read() as db:
            found = rows_of(db, query.where(table.c.app_id == app_id) if app_id else query)
            return tuple(_override(row) for row in found)

    def add_decision(self, recorded: Recorded) -> None:
        table = autoscale_decisions
        made = recorded.decision
        held = table.c.decision["wanted"].as_integer() == table.c.decision["replicas"].as_integer()
        like = held if made.wanted == made.replicas else ~held
        same = (table.c.app_id == recorded.app_id) & (table.c.process == recorded.process) & like
        with self._write() as db:
            _has(db, recorded.app_id)
            db.execute(
                insert(table).values(
                    app_id=recorded.app_id, process=recorded.process,
                    decision=scaling_rows.recorded_values(recorded),
                    samples=[scaling_rows.sample_values(one) for one in recorded.samples],
                )
            )  # fmt: skip
            newest = select(table.c.serial).where(same).order_by(table.c.serial.desc())
            most = KEPT_HELD if made.wanted == made.replicas else KEPT_CHANGES
            first_gone = newest.offset(most).limit(1).scalar_subquery()
            db.execute(delete(table).where(same, table.c.serial <= first_gone))

    def decisions(self, app_id: str, process: str = "", limit: int = 0) -> tuple[Recorded, ...]:
        table = autoscale_decisions
        query = select(table).where(table.c.app_id == app_id).order_by(table.c.serial.desc())
        if process:
            query = query.where(table.c.process == process)
        with self._read() as db:
            found = [_recorded(row) for row in rows_of(db, query.limit(limit) if limit else query)]
        return tuple(reversed(found))

    def put_protection(self, protection: Protection) -> None:
        table = protections
        same = (table.c.app_id == protection.app_id) & (table.c.replica == protection.replica)
        with self._write() as db:
            _has(db, protection.app_id)
            db.execute(delete(table).where(same | (table.c.until < protection.until - FORGOTTEN)))
            db.execute(
                insert(table).values(
                    app_id=protection.app_id, replica=protection.replica, until=protection.until
                )
            )  # fmt: skip

    def delete_protection(self, app_id: str, replica: str) -> None:
        table = protections
        with self._write() as db:
            db.execute(delete(table).where(table.c.app_id == app_id, table.c.replica == replica))

    def protections(self, app_id: str) -> tuple[Protection, ...]:
        table = protections
        query = select(table).where(table.c.app_id == app_id).order_by(table.c.replica)
        with self._read() as db:
            return tuple(Protection(**row) for row in rows_of(db, query))


def _has(db: Connection, app_id: str) -> None:
    if db.execute(select(apps.c.id).where(apps.c.id == app_id)).first() is None:
        raise words.no_app(app_id, db.execute(select(apps.c.name)).scalars())


@readable
def _override(row: RowMapping) -> Override:
    return Override(**{**row, "rules": scaling_rows.rules(row["rules"])})


@readable
def _recorded(row: RowMapping) -> Recorded:
    return Recorded(
        app_id=row["app_id"],
        process=row["process"],
        decision=scaling_rows.decision(row["decision"]),
        samples=tuple(scaling_rows.sample(one) for one in row["samples"]),
        summary=scaling_rows.summary(row["decision"]),
    )
