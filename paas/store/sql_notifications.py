"""Targets of notifications, and what waits for them, on disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from paas.model.events import Event
from paas.model.notification import Happened, Notification, Target, TargetKind
from paas.store import words
from paas.store.crypto import Vault
from paas.store.file import SqlFile, first, rows_of
from paas.store.rows import readable
from paas.store.tables import apps, events, meta
from paas.store.tables_notifications import notification_targets, notifications

PLACE = "notifications"
READ = "notified"
BY_NAME = (notification_targets.c.name, notification_targets.c.id)
DOCUMENT = ("at", "topic", "message", "app", "facts")


class SqlNotifications(SqlFile):
    """A `NotificationStore`."""

    def add_target(self, target: Target) -> None:
        with self._write() as db:
            if target.app_id and first(db, select(apps.c.id).where(apps.c.id == target.app_id)) is None:
                raise words.no_app(target.app_id, ())
            if first(db, select(notification_targets.c.id).where(_named(target.name, target.app_id))) is not None:
                raise words.target_taken(target.name)
            db.execute(insert(notification_targets).values(**_target_values(target, self._vault)))

    def target(self, name: str, app_id: str = "") -> Target:
        with self._read() as db:
            row = first(db, select(notification_targets).where(_named(name, app_id)))
            if row is None:
                raise words.no_target(name, app_id)
            return _target(row, self._vault)

    def targets(self) -> tuple[Target, ...]:
        with self._read() as db:
            found = rows_of(db, select(notification_targets).order_by(*BY_NAME))
            return tuple(_target(row, self._vault) for row in found)

    def save_target(self, target: Target) -> None:
        changed = {"failures": target.failures, "retry_at": target.retry_at, "disabled": target.disabled}
        with self._write() as db:
            db.execute(update(notification_targets).where(notification_targets.c.id == target.id).values(**changed))

    def delete_target(self, target_id: str) -> None:
        with self._write() as db:
            db.execute(delete(notification_targets).where(notification_targets.c.id == target_id))

    def happened(self, after: int, limit: int = 500) -> tuple[Happened, ...]:
        query = select(events).where(events.c.serial > after).order_by(events.c.serial).limit(limit)
        with self._read() as db:
            return tuple(_happened(row) for row in rows_of(db, query))

    def notified(self) -> int:
        with self._read() as db:
            found = db.execute(select(meta.c.value).where(meta.c.name == READ)).scalar()
            return -1 if found is None else int(found)

    def queue_notifications(
        self, read: int, notifications: Sequence[Notification], *, most: int = 1000, keep: int = 200
    ) -> None:
        with self._write() as db:
            known = set(db.execute(select(notification_targets.c.id)).scalars())
            coming = [one for one in notifications if one.target_id in known]
            for one in coming:
                db.execute(insert_or(_notifications).values(**_values(one)).on_conflict_do_nothing())
            for target_id in {one.target_id for one in coming}:
                _bound(db, target_id, most, keep)
            mark = insert_or(meta).values(name=READ, value=str(read))
            db.execute(mark.on_conflict_do_update(index_elements=["name"], set_={"value": str(read)}))

    def next_notification(self, target_id: str) -> Notification | None:
        query = select(_notifications).where(_waiting(target_id)).order_by(_notifications.c.serial).limit(1)
        with self._read() as db:
            row = first(db, query)
            return None if row is None else _notification(row)

    def targets_waited_for(self) -> frozenset[str]:
        query = select(_notifications.c.target_id).where(_notifications.c.status == "pending").distinct()
        with self._read() as db:
            return frozenset(db.execute(query).scalars())

    def save_notification(self, notification: Notification) -> None:
        changed = {
            "status": notification.status, "attempts": notification.attempts, "answer": notification.answer,
            "ended_at": notification.ended_at,
        }  # fmt: skip
        with self._write() as db:
            db.execute(update(_notifications).where(_notifications.c.id == notification.id).values(**changed))

    def notifications(self, target_id: str, limit: int = 50) -> tuple[Notification, ...]:
        query = select(_notifications).where(_notifications.c.target_id == target_id)
        with self._read() as db:
            found = rows_of(db, query.order_by(_notifications.c.serial.desc()).limit(limit))
            return tuple(_notification(row) for row in found)


_notifications = notifications


def _named(name: str, app_id: str) -> Any:
    return (notification_targets.c.name == name) & (notification_targets.c.app_id.is_not_distinct_from(app_id or None))


def _waiting(target_id: str) -> Any:
    return (_notifications.c.target_id == target_id) & (_notifications.c.status == "pending")


def _bound(db: Connection, target_id: str, most: int, keep: int) -> None:
    """Drop the oldest of too many that wait, forget the oldest of too many that ended."""
    table, waits = _notifications, _waiting(target_id)
    ended = (table.c.target_id == target_id) & (table.c.status != "pending")
    for which, count in ((waits, most), (ended, keep)):
        kept = select(table.c.serial).where(which).order_by(table.c.serial.desc()).limit(count).subquery()
        oldest = select(func.min(kept.c.serial)).scalar_subquery()
        older = which & (table.c.serial < oldest)
        if which is waits:
            db.execute(update(table).where(older).values(status="dropped", answer="too many were waiting"))
        else:
            db.execute(delete(table).where(older))


def _target_values(target: Target, vault: Vault) -> dict[str, Any]:
    return {
        "id": target.id, "name": target.name, "kind": target.kind.value, "app_id": target.app_id or None,
        "created_at": target.created_at, "created_by": target.created_by, "failures": target.failures,
        "retry_at": target.retry_at, "disabled": target.disabled,
        "document": {"topics": list(target.topics), "mail": dict(target.mail)},
        "sealed": vault.seal(target.secrets, target.id, PLACE),
    }  # fmt: skip


@readable
def _target(row: RowMapping, vault: Vault) -> Target:
    return Target(
        id=row["id"], name=row["name"], kind=TargetKind(row["kind"]), app_id=row["app_id"] or "",
        created_at=row["created_at"], created_by=row["created_by"], topics=tuple(row["document"]["topics"]),
        mail=row["document"]["mail"], secrets=vault.unseal(row["sealed"], row["id"], PLACE),
        failures=row["failures"], retry_at=row["retry_at"], disabled=row["disabled"],
    )  # fmt: skip


@readable
def _happened(row: RowMapping) -> Happened:
    event = Event(kind=row["kind"], message=row["message"], app=row["app"], at=row["at"], data=dict(row["data"]))
    return Happened(
        serial=row["serial"], event=event, app_id=row["app_id"], operation_id=row["operation_id"], actor=row["actor"]
    )


def _values(one: Notification) -> dict[str, Any]:
    document = {name: getattr(one, name) for name in DOCUMENT}
    document["facts"] = dict(one.facts)
    return {
        "id": one.id, "target_id": one.target_id, "status": one.status, "attempts": one.attempts,
        "answer": one.answer, "ended_at": one.ended_at, "document": document,
    }  # fmt: skip


@readable
def _notification(row: RowMapping) -> Notification:
    plain = {name: row[name] for name in ("id", "target_id", "status", "attempts", "answer", "ended_at")}
    return Notification(**plain, **{name: row["document"][name] for name in DOCUMENT})
