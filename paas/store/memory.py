"""The store in memory: for tests and for trying things out. Keeps nothing on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from paas.errors import Conflict, Unsupported
from paas.model.app import Addon, App, Attachment, Operation, Release
from paas.model.events import Event
from paas.model.route import Certificate
from paas.model.scripts import Setup
from paas.store import words
from paas.store.memory_alerts import MemoryAlerts
from paas.store.memory_audit import MemoryAudit
from paas.store.memory_autoscaling import MemoryAutoscaling
from paas.store.memory_deploy_hooks import MemoryDeployHooks
from paas.store.memory_notifications import MemoryNotifications
from paas.store.memory_parts import State, transaction
from paas.store.memory_pipelines import MemoryPipelines
from paas.store.memory_reviews import MemoryReviews
from paas.store.memory_runs import MemoryRuns
from paas.store.memory_setups import MemorySetups
from paas.store.memory_sleep import MemorySleep

Named = TypeVar("Named", App, Addon)


class MemoryStore(
    MemoryReviews,
    MemoryPipelines,
    MemoryRuns,
    MemoryAudit,
    MemoryAutoscaling,
    MemoryDeployHooks,
    MemoryNotifications,
    MemorySetups,
    MemorySleep,
    MemoryAlerts,
):
    """A `Store` of dictionaries."""

    # --- apps ---------------------------------------------------------------------------------------------------

    @transaction
    def add_app(self, app: App, setup: Setup | None = None) -> None:
        _free_name(self.state.apps.values(), "app", app.name, app.id)
        self.state.apps[app.id] = replace(app, formation=dict(app.formation))
        if setup is not None:
            self.state.setups[app.id] = setup

    def app(self, name_or_id: str) -> App:
        return _named(self.state.apps, name_or_id) or _refuse_app(self.state, name_or_id)

    def apps(self) -> tuple[App, ...]:
        return tuple(sorted(self.state.apps.values(), key=lambda app: app.name))

    @transaction
    def save_app(self, app: App) -> None:
        before = self.app(app.id)
        _free_name(self.state.apps.values(), "app", app.name, app.id, own=app.id)
        self.state.apps[app.id] = replace(before, name=app.name, wanted=app.wanted, formation=dict(app.formation))
        if before.wanted != app.wanted:
            self._claim(app.id, app.wanted)

    @transaction
    def delete_app(self, app_id: str) -> None:
        state = self.state
        state.apps.pop(app_id, None)
        state.numbers.pop(app_id, None)
        state.places.pop(app_id, None)
        state.review_policies.pop(app_id, None)
        self._forget_app(app_id)
        self._forget_runs_of(app_id)
        self._forget_autoscaling_of(app_id)
        state.sleeps.pop(app_id, None)
        self._forget_alerts_of(app_id)
        state.setups.pop(app_id, None)
        self._forget_hooks_of(app_id)
        self._forget_targets_of(app_id)
        state.releases = {key: value for key, value in state.releases.items() if key[0] != app_id}
        state.domains = {host: owner for host, owner in state.domains.items() if owner != app_id}
        state.attachments = {key: value for key, value in state.attachments.items() if key[0] != app_id}
        mine = {operation.id: operation for operation in state.operations.values() if operation.app_id == app_id}
        running = {key for key, operation in mine.items() if operation.status == "running"}
        state.operations = {key: value for key, value in state.operations.items() if key not in mine or key in running}
        state.events = [
            row for row in state.events
            if row[2] in running or (row[2] not in mine and (row[1] != app_id or row[3].kind == "audit"))
        ]  # fmt: skip

    # --- releases -----------------------------------------------------------------------------------------------

    @transaction
    def add_release(self, release: Release) -> Release:
        app = self.app(release.app_id)
        number = self.state.numbers.get(app.id, 0) + 1
        since = {process: at or number for process, at in release.since.items()}
        stored = replace(release, number=number, since=since, config=dict(release.config))
        self.state.numbers[app.id] = number
        self.state.releases[app.id, number] = stored
        self.state.apps[app.id] = replace(app, wanted=number)
        self._claim(app.id, number)
        return stored

    @transaction
    def save_release(self, release: Release) -> None:
        before = self.release(release.app_id, release.number)
        changed = replace(before, status=release.status, failure=release.failure)
        self.state.releases[release.app_id, release.number] = changed

    def release(self, app_id: str, number: int) -> Release:
        found = self.state.releases.get((app_id, number))
        if found is None:
            raise words.no_release(number, [at for app, at in self.state.releases if app == app_id])
        return found

    def releases(self, app_id: str, limit: int = 0) -> tuple[Release, ...]:
        found = [release for (app, _), release in list(self.state.releases.items()) if app == app_id]
        found.sort(key=lambda release: -release.number)
        return tuple(found[:limit] if limit else found)

    @transaction
    def want(self, app_id: str, number: int) -> None:
        app = self.app(app_id)
        if number:
            self.release(app_id, number)
        self.state.apps[app_id] = replace(app, wanted=number)
        self._claim(app_id, number)

    def domain_owner(self, host: str) -> App | None:
        return self.state.apps.get(self.state.domains.get(host, ""))

    # --- addons -------------------------------------------------------------------------------------------------

    @transaction
    def add_addon(self, addon: Addon) -> None:
        _free_name(self.state.addons.values(), "addon", addon.name, addon.id)
        self.state.addons[addon.id] = replace(addon, secrets=dict(addon.secrets))

    @transaction
    def save_addon(self, addon: Addon) -> None:
        self.state.addons[addon.id] = replace(self.addon(addon.id), image=addon.image, volume=addon.volume)

    def addon(self, name_or_id: str) -> Addon:
        found = _named(self.state.addons, name_or_id)
        if found is None:
            raise words.no_addon(name_or_id, [addon.name for addon in self.addons()])
        return found

    def addons(self) -> tuple[Addon, ...]:
        return tuple(sorted(self.state.addons.values(), key=lambda addon: addon.name))

    @transaction
    def delete_addon(self, addon_id: str) -> None:
        self.state.addons.pop(addon_id, None)
        self.state.attachments = {
            key: value for key, value in self.state.attachments.items() if value.addon_id != addon_id
        }

    @transaction
    def attach(self, attachment: Attachment) -> None:
        app = self.app(attachment.app_id)
        self.addon(attachment.addon_id)
        other = self.state.attachments.get((app.id, attachment.alias))
        if other is not None:
            raise words.alias_taken(attachment.alias, app.name, self.addon(other.addon_id).name)
        self.state.attachments[app.id, attachment.alias] = attachment

    @transaction
    def detach(self, attachment: Attachment) -> None:
        key = (attachment.app_id, attachment.alias)
        if self.state.attachments.get(key) == attachment:
            del self.state.attachments[key]

    def attachments(self, *, app_id: str = "", addon_id: str = "") -> tuple[Attachment, ...]:
        found = [
            attachment for _, attachment in sorted(self.state.attachments.items())
            if attachment.app_id == (app_id or attachment.app_id)
            and attachment.addon_id == (addon_id or attachment.addon_id)
        ]  # fmt: skip
        return tuple(found)

    # --- certificates -------------------------------------------------------------------------------------------

    @transaction
    def put_certificate(self, certificate: Certificate) -> None:
        self.state.certificates[certificate.host] = certificate

    def certificates(self) -> tuple[Certificate, ...]:
        return tuple(certificate for _, certificate in sorted(self.state.certificates.items()))

    @transaction
    def delete_certificate(self, host: str) -> None:
        self.state.certificates.pop(host, None)

    # --- operations, events -------------------------------------------------------------------------------------

    @transaction
    def add_operation(self, operation: Operation) -> None:
        if operation.id in self.state.operations:
            raise Conflict(f"there is an operation {operation.id!r} already")
        self.state.operations[operation.id] = operation

    @transaction
    def save_operation(self, operation: Operation) -> None:
        before = self.operation(operation.id)
        self.state.operations[operation.id] = replace(
            before, status=operation.status, ended_at=operation.ended_at, error=operation.error
        )

    def operation(self, operation_id: str) -> Operation:
        found = self.state.operations.get(operation_id)
        if found is None:
            raise words.no_operation(operation_id)
        return found

    def operations(self, *, app_id: str = "", status: str = "", limit: int = 50) -> tuple[Operation, ...]:
        found = [
            operation for operation in reversed(self.state.operations.values())
            if operation.app_id == (app_id or operation.app_id) and operation.status == (status or operation.status)
        ]  # fmt: skip
        return tuple(found[:limit] if limit else found)

    def add_event(self, event: Event, app_id: str = "", operation_id: str = "", actor: str = "") -> None:
        with self.lock:
            self._serial += 1
            # as JSON once, for what would not survive the disk must not survive here
            kept = replace(event, data=json.loads(json.dumps(dict(event.data), default=str)))
            self.state.events.append((self._serial, app_id, operation_id, kept))

    def events(
        self, app_id: str = "", limit: int = 100, after: int = 0, operation_id: str = ""
    ) -> tuple[tuple[int, Event], ...]:
        found = [
            (serial, event) for serial, app, operation, event in list(self.state.events)
            if serial > after and app == (app_id or app) and operation == (operation_id or operation)
        ]  # fmt: skip
        if not limit:
            return tuple(found)
        return tuple(found[:limit] if after else found[-limit:])

    def backup(self, path: Path) -> None:
        raise Unsupported("the memory store keeps nothing on disk", hint="use the store on disk")

    def _claim(self, app_id: str, number: int) -> None:
        """Give the app exactly the domains of this release."""
        self.state.domains = {host: owner for host, owner in self.state.domains.items() if owner != app_id}
        for host in self.release(app_id, number).domains if number else ():
            owner = self.state.domains.get(host, app_id)
            if owner != app_id:
                raise words.host_taken(host, self.app(owner).name)
            self.state.domains[host] = app_id


def _named(known: dict[str, Named], name_or_id: str) -> Named | None:
    found = known.get(name_or_id)
    return found or next((one for one in list(known.values()) if one.name == name_or_id), None)


def _refuse_app(state: State, name_or_id: str) -> App:
    raise words.no_app(name_or_id, [app.name for app in state.apps.values()])


def _free_name(known: Iterable[App | Addon], what: str, name: str, row_id: str, *, own: str = "") -> None:
    if any({one.id, one.name} & {name, row_id} and one.id != own for one in known):
        raise words.taken(what, name)
