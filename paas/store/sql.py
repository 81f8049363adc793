"""The store on disk: SQLite through SQLAlchemy. One method, one transaction; usable from any thread.

Writers take the write lock when they begin (BEGIN IMMEDIATE), so what a method reads before it writes stays true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, delete, func, insert, or_, select, update

from paas.errors import Conflict, PaasError, PlatformError
from paas.model.app import Addon, App, Attachment, Operation, Release
from paas.model.events import Event
from paas.model.route import Certificate
from paas.model.scripts import Setup
from paas.model.secret import Secret
from paas.store import rows, schema, words
from paas.store.crypto import Vault
from paas.store.file import first, rows_of
from paas.store.sql_alerts import SqlAlerts
from paas.store.sql_audit import SqlAudit
from paas.store.sql_autoscaling import SqlAutoscaling
from paas.store.sql_deploy_hooks import SqlDeployHooks
from paas.store.sql_notifications import SqlNotifications
from paas.store.sql_pipelines import SqlPipelines
from paas.store.sql_reviews import SqlReviews
from paas.store.sql_runs import SqlRuns
from paas.store.sql_setups import SqlSetups, replace_setup
from paas.store.sql_sleep import SqlSleep
from paas.store.tables import (
    addons,
    apps,
    attachments,
    certificates,
    domains,
    events,
    meta,
    metadata,
    operations,
    releases,
)

DATABASE = "paas.db"
KEY = "secret.key"
KEPT_EVENTS = 50_000
KEPT_OPERATIONS = 2_000
KNOWN_RELEASES = 512
"""As many are in memory, decrypted."""


class SqlStore(
    SqlReviews,
    SqlPipelines,
    SqlRuns,
    SqlAudit,
    SqlAutoscaling,
    SqlDeployHooks,
    SqlNotifications,
    SqlSetups,
    SqlSleep,
    SqlAlerts,
):
    """A `Store` in `<home>/paas.db`, its keys in `<home>/secret.key`. Close it when done."""

    def __init__(self, path: Path, vault: Vault) -> None:
        super().__init__(path, vault)
        self._known: dict[tuple[str, int], tuple[int, Release]] = {}

    @classmethod
    def open(cls, home: Path, *, uid: int | None = None) -> SqlStore:
        """The store of this home folder, made or migrated if needed.

        Raises PlatformError, saying how to repair it, when it is damaged, newer than this version, or not ours.
        """
        path, key = home / DATABASE, home / KEY
        schema.check_folder(home, (DATABASE, KEY), uid)
        if not path.exists() and not key.exists():
            Vault.create(key)
        vault = Vault.load(key)
        schema.prepare(path)
        store = cls(path, vault)
        try:
            store._check_key()
            store._check_rows()
            store._prune()
            store._keep_copy(now=True)
        except BaseException:
            store.close()
            raise
        return store

    # --- apps ---------------------------------------------------------------------------------------------------

    def add_app(self, app: App, setup: Setup | None = None) -> None:
        with self._write() as db:
            _free_name(db, apps, "app", app.name, app.id)
            db.execute(insert(apps).values(**rows.app_values(app), last_release=0))
            if setup is not None:
                replace_setup(db, setup)

    def app(self, name_or_id: str) -> App:
        with self._read() as db:
            return rows.app(_app(db, name_or_id))

    def apps(self) -> tuple[App, ...]:
        with self._read() as db:
            return tuple(rows.app(row) for row in rows_of(db, select(apps).order_by(apps.c.name)))

    def save_app(self, app: App) -> None:
        with self._write() as db:
            before = _app(db, app.id)
            _free_name(db, apps, "app", app.name, app.id, own=app.id)
            db.execute(
                update(apps)
                .where(apps.c.id == app.id)
                .values(name=app.name, wanted=app.wanted, formation=dict(app.formation))
            )
            if before["wanted"] != app.wanted:
                _claim(db, app.id, app.wanted)

    def delete_app(self, app_id: str) -> None:
        with self._changing() as db:
            db.execute(delete(apps).where(apps.c.id == app_id))
            ended = (operations.c.app_id == app_id) & (operations.c.status != "running")
            gone = select(operations.c.id).where(ended)
            db.execute(delete(events).where(or_(events.c.operation_id.in_(gone), _fleeting_event(app_id))))
            db.execute(delete(operations).where(ended))

    # --- releases -----------------------------------------------------------------------------------------------

    def add_release(self, release: Release) -> Release:
        with self._write() as db:
            number = int(_app(db, release.app_id)["last_release"]) + 1
            since = {process: at or number for process, at in release.since.items()}
            stored = replace(release, number=number, since=since)
            db.execute(insert(releases).values(**rows.release_values(stored, self._vault)))
            db.execute(update(apps).where(apps.c.id == release.app_id).values(wanted=number, last_release=number))
            _claim(db, release.app_id, number)
            return stored

    def save_release(self, release: Release) -> None:
        with self._write() as db:
            _release(db, release.app_id, release.number)
            db.execute(
                update(releases)
                .where(releases.c.app_id == release.app_id, releases.c.number == release.number)
                .values(status=release.status.value, failure=release.failure)
            )

    def release(self, app_id: str, number: int) -> Release:
        # Every list of apps needs that of each: its config is a lot to decrypt again while nothing was written.
        state, key = self._state, (app_id, number)
        at, known = self._known.get(key, (-1, None))
        if known is not None and at == state:
            return known
        with self._read() as db:
            found = rows.release(_release(db, app_id, number), self._vault)
        if len(self._known) >= KNOWN_RELEASES:
            self._known.clear()
        self._known[key] = (state, found)
        return found

    def releases(self, app_id: str, limit: int = 0) -> tuple[Release, ...]:
        query = select(releases).where(releases.c.app_id == app_id).order_by(releases.c.number.desc())
        with self._read() as db:
            found = rows_of(db, query.limit(limit) if limit else query)
            return tuple(rows.release(row, self._vault) for row in found)

    def want(self, app_id: str, number: int) -> None:
        with self._write() as db:
            _app(db, app_id)
            if number:
                _release(db, app_id, number)
            db.execute(update(apps).where(apps.c.id == app_id).values(wanted=number))
            _claim(db, app_id, number)

    def domain_owner(self, host: str) -> App | None:
        with self._read() as db:
            row = first(db, select(apps).join(domains).where(domains.c.host == host))
            return rows.app(row) if row is not None else None

    # --- addons -------------------------------------------------------------------------------------------------

    def add_addon(self, addon: Addon) -> None:
        with self._write() as db:
            _free_name(db, addons, "addon", addon.name, addon.id)
            db.execute(insert(addons).values(**rows.addon_values(addon, self._vault)))

    def save_addon(self, addon: Addon) -> None:
        with self._write() as db:
            _addon(db, addon.id)
            db.execute(update(addons).where(addons.c.id == addon.id).values(image=addon.image, volume=addon.volume))

    def addon(self, name_or_id: str) -> Addon:
        with self._read() as db:
            return rows.addon(_addon(db, name_or_id), self._vault)

    def addons(self) -> tuple[Addon, ...]:
        with self._read() as db:
            return tuple(rows.addon(row, self._vault) for row in rows_of(db, select(addons).order_by(addons.c.name)))

    def delete_addon(self, addon_id: str) -> None:
        with self._write() as db:
            db.execute(delete(addons).where(addons.c.id == addon_id))

    def attach(self, attachment: Attachment) -> None:
        with self._write() as db:
            app, _ = _app(db, attachment.app_id), _addon(db, attachment.addon_id)
            query = select(addons.c.name).join(attachments)
            where = (attachments.c.app_id == attachment.app_id) & (attachments.c.alias == attachment.alias)
            other = db.execute(query.where(where)).scalar()
            if other is not None:
                raise words.alias_taken(attachment.alias, app["name"], other)
            db.execute(
                insert(attachments).values(
                    app_id=attachment.app_id, alias=attachment.alias, addon_id=attachment.addon_id
                )
            )

    def detach(self, attachment: Attachment) -> None:
        with self._write() as db:
            db.execute(
                delete(attachments).where(
                    attachments.c.app_id == attachment.app_id,
                    attachments.c.addon_id == attachment.addon_id,
                    attachments.c.alias == attachment.alias,
                )
            )

    def attachments(self, *, app_id: str = "", addon_id: str = "") -> tuple[Attachment, ...]:
        query = select(attachments).order_by(attachments.c.app_id, attachments.c.alias)
        if app_id:
            query = query.where(attachments.c.app_id == app_id)
        if addon_id:
            query = query.where(attachments.c.addon_id == addon_id)
        with self._read() as db:
            return tuple(rows.attachment(row) for row in rows_of(db, query))

    # --- certificates -------------------------------------------------------------------------------------------

    def put_certificate(self, certificate: Certificate) -> None:
        with self._write() as db:
            db.execute(delete(certificates).where(certificates.c.host == certificate.host))
            db.execute(insert(certificates).values(**rows.certificate_values(certificate, self._vault)))

    def certificates(self) -> tuple[Certificate, ...]:
        with self._read() as db:
            found = rows_of(db, select(certificates).order_by(certificates.c.host))
            return tuple(rows.certificate(row, self._vault) for row in found)

    def delete_certificate(self, host: str) -> None:
        with self._write() as db:
            db.execute(delete(certificates).where(certificates.c.host == host))

    # --- operations, events -------------------------------------------------------------------------------------

    def add_operation(self, operation: Operation) -> None:
        with self._write() as db:
            if first(db, select(operations).where(operations.c.id == operation.id)) is not None:
                raise Conflict(f"there is an operation {operation.id!r} already")
            db.execute(
                insert(operations).values(
                    id=operation.id, app_id=operation.app_id, verb=operation.verb, actor=operation.actor,
                    started_at=operation.started_at, ended_at=operation.ended_at, status=operation.status,
                    error=operation.error, user_id=operation.user_id, others=list(operation.others),
                )
            )  # fmt: skip

    def save_operation(self, operation: Operation) -> None:
        with self._write() as db:
            changed = db.execute(
                update(operations)
                .where(operations.c.id == operation.id)
                .values(status=operation.status, ended_at=operation.ended_at, error=operation.error)
            )
            if not changed.rowcount:
                raise words.no_operation(operation.id)

    def operation(self, operation_id: str) -> Operation:
        with self._read() as db:
            row = first(db, select(operations).where(operations.c.id == operation_id))
            if row is None:
                raise words.no_operation(operation_id)
            return rows.operation(row)

    def operations(self, *, app_id: str = "", status: str = "", limit: int = 50) -> tuple[Operation, ...]:
        query = select(operations).order_by(operations.c.serial.desc())
        if app_id:
            query = query.where(operations.c.app_id == app_id)
        if status:
            query = query.where(operations.c.status == status)
        with self._read() as db:
            return tuple(rows.operation(row) for row in rows_of(db, query.limit(limit) if limit else query))

    def add_event(self, event: Event, app_id: str = "", operation_id: str = "", actor: str = "") -> None:
        with self._write(fleeting=True) as db:
            db.execute(
                insert(events).values(
                    app_id=app_id, operation_id=operation_id, actor=actor, at=event.at, kind=event.kind,
                    app=event.app, message=event.message, data=dict(event.data),
                )
            )  # fmt: skip

    def events(
        self, app_id: str = "", limit: int = 100, after: int = 0, operation_id: str = ""
    ) -> tuple[tuple[int, Event], ...]:
        query = select(events).where(events.c.serial > after)
        if app_id:
            query = query.where(events.c.app_id == app_id)
        if operation_id:
            query = query.where(events.c.operation_id == operation_id)
        # A follower reads on from `after` and must miss none; without it the latest are asked for.
        query = query.order_by(events.c.serial if after else events.c.serial.desc())
        with self._read() as db:
            found = [rows.event(row) for row in rows_of(db, query.limit(limit) if limit else query)]
            return tuple(found if after else reversed(found))

    # --- the file -----------------------------------------------------------------------------------------------

    def backup(self, path: Path) -> None:
        schema.copy(self.path, path)

    def rotate(self) -> None:
        """Seal everything under a new key and forget the old one. Interrupted anywhere, all stays readable."""
        with self._writing:
            both = self._vault.renewed()
            both.save()
            self._vault = both
            with self._write() as db:
                for table in (one for one in metadata.tables.values() if "sealed" in one.columns):
                    for row in rows_of(db, select(table)):
                        same = [column == row[column.name] for column in table.primary_key.columns]
                        db.execute(update(table).where(*same).values(sealed=both.reseal(row["sealed"])))
                _put_meta(db, "sealed", self._key_check())
            self._keep_copy(now=True)
            self._vault = both.newest()
            self._vault.save()

    def _check_key(self) -> None:
        with self._write() as db:
            found = db.execute(select(meta.c.value).where(meta.c.name == "sealed")).scalar()
            if found is None:
                _put_meta(db, "sealed", self._key_check())
            else:
                self._vault.unseal(found, "store", "key check")

    def _check_rows(self) -> None:
        """Read everything that matters once: SQLite's own check does not look into the values."""
        try:
            for app in self.apps():
                self.releases(app.id)
            self.addons(), self.attachments(), self.certificates(), self.operations(limit=0)
            self.overrides()
            self.runs(limit=0), self.marks()
            self.users(), self.teams(), self.memberships(), self.grants(), self.tokens(), self.invites()
            self.deploy_hooks(), self.targets()
        except PaasError as error:
            raise PlatformError(error.message, hint=schema.repair(self.path)) from error

    def _key_check(self) -> str:
        return self._vault.seal({"word": Secret("paas")}, "store", "key check")

    def _prune(self) -> None:
        """Forget the oldest events and operations, so that the store does not grow for ever."""
        with self._write() as db:
            for table, kept in ((events, KEPT_EVENTS), (operations, KEPT_OPERATIONS)):
                newest = select(func.max(table.c.serial)).scalar_subquery()
                db.execute(delete(table).where(table.c.serial <= newest - kept))


def _app(db: Connection, name_or_id: str) -> RowMapping:
    row = first(db, select(apps).where(or_(apps.c.name == name_or_id, apps.c.id == name_or_id)))
    if row is None:
        raise words.no_app(name_or_id, db.execute(select(apps.c.name)).scalars())
    return row


def _addon(db: Connection, name_or_id: str) -> RowMapping:
    row = first(db, select(addons).where(or_(addons.c.name == name_or_id, addons.c.id == name_or_id)))
    if row is None:
        raise words.no_addon(name_or_id, db.execute(select(addons.c.name)).scalars())
    return row


def _release(db: Connection, app_id: str, number: int) -> RowMapping:
    row = first(db, select(releases).where(releases.c.app_id == app_id, releases.c.number == number))
    if row is None:
        raise words.no_release(
            number, db.execute(select(releases.c.number).where(releases.c.app_id == app_id)).scalars()
        )
    return row


def _free_name(db: Connection, table: Table, what: str, name: str, row_id: str, *, own: str = "") -> None:
    """Raise Conflict unless name and id are free (`own`: the row that may have them). Both find a row, so a name
    may not be another one's id either."""
    asked = [name, row_id]
    clash = or_(table.c.name.in_(asked), table.c.id.in_(asked)) & (table.c.id != own)
    if db.execute(select(table.c.id).where(clash)).first() is not None:
        raise words.taken(what, name)


def _claim(db: Connection, app_id: str, number: int) -> None:
    """Give the app exactly the domains of this release (0: none). Raises Conflict when another app has one."""
    db.execute(delete(domains).where(domains.c.app_id == app_id))
    if not number:
        return
    document: Mapping[str, Any] = _release(db, app_id, number)["document"]
    for host in dict.fromkeys(document["domains"]):
        owner = db.execute(select(apps.c.name).join(domains).where(domains.c.host == host)).scalar()
        if owner is not None:
            raise words.host_taken(host, owner)
        db.execute(insert(domains).values(host=host, app_id=app_id))


def _fleeting_event(app_id: str) -> Any:
    """Events of the app outside a running operation; what people did (audit) stays known."""
    running = select(operations.c.id).where(operations.c.app_id == app_id, operations.c.status == "running")
    return (events.c.app_id == app_id) & (events.c.kind != "audit") & events.c.operation_id.not_in(running)


def _put_meta(db: Connection, name: str, value: str) -> None:
    db.execute(delete(meta).where(meta.c.name == name))
    db.execute(insert(meta).values(name=name, value=value))
