"""What is kept: the store as a Protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from paas.interfaces.alerts import AlertStore
from paas.interfaces.autoscaling import AutoscaleStore
from paas.interfaces.deploy_hooks import DeployHookStore
from paas.interfaces.notifications import NotificationStore
from paas.interfaces.people import AuditStore, PeopleStore
from paas.interfaces.pipelines import PipelineStore
from paas.interfaces.reviews import ReviewStore
from paas.interfaces.runs import RunStore
from paas.interfaces.setups import SetupStore
from paas.interfaces.sleep import SleepStore
from paas.model.app import Addon, App, Attachment, Operation, Release
from paas.model.events import Event
from paas.model.route import Certificate
from paas.model.scripts import Setup


class Store(
    PeopleStore,
    PipelineStore,
    ReviewStore,
    RunStore,
    AuditStore,
    AutoscaleStore,
    DeployHookStore,
    NotificationStore,
    SetupStore,
    SleepStore,
    AlertStore,
    Protocol,
):
    """What we want, and history. Every method is one transaction; ids and names are unique as said.

    Secrets are encrypted at rest with the app id and key bound into the ciphertext.
    """

    def revision(self) -> int:
        """Another number after every write. Taken before a read, it need not be read again while the number stays."""

    def add_app(self, app: App, setup: Setup | None = None) -> None:
        """With how it came to be, in one transaction. Raises Conflict when the name is taken."""

    def app(self, name_or_id: str) -> App:
        """Raises NotFound with the nearest known name as hint."""

    def apps(self) -> tuple[App, ...]:
        """All, by name."""

    def save_app(self, app: App) -> None:
        """Replace name, wanted and formation. Raises Conflict when the new name is taken, NotFound."""

    def delete_app(self, app_id: str) -> None:
        """The app, its releases, domains, attachments and operations. Addons stay. Idempotent."""

    def add_release(self, release: Release) -> Release:
        """Store it under the next number (its `number` is ignored), claim its domains, and want it: one transaction.

        Numbers are never reused. `since` values of 0 mean "this release" and are replaced by the number.
        Raises Conflict when a domain belongs to another app.
        """

    def save_release(self, release: Release) -> None:
        """Replace status and failure of an existing release (nothing else of it ever changes)."""

    def release(self, app_id: str, number: int) -> Release:
        """Raises NotFound listing the numbers that exist."""

    def releases(self, app_id: str, limit: int = 0) -> tuple[Release, ...]:
        """Newest first."""

    def want(self, app_id: str, number: int) -> None:
        """Make this the wanted release (0: none), and claim exactly its domains."""

    def domain_owner(self, host: str) -> App | None:
        """The app that has this host."""

    def add_addon(self, addon: Addon) -> None:
        """Raises Conflict when the name is taken."""

    def addon(self, name_or_id: str) -> Addon:
        """Raises NotFound."""

    def addons(self) -> tuple[Addon, ...]:
        """All, by name."""

    def save_addon(self, addon: Addon) -> None:
        """Replace image and volume. Raises NotFound."""

    def delete_addon(self, addon_id: str) -> None:
        """The addon and its attachments. Idempotent."""

    def attach(self, attachment: Attachment) -> None:
        """Raises Conflict when the app uses the alias already."""

    def detach(self, attachment: Attachment) -> None:
        """Idempotent."""

    def attachments(self, *, app_id: str = "", addon_id: str = "") -> tuple[Attachment, ...]:
        """Of an app, of an addon, or all."""

    def put_certificate(self, certificate: Certificate) -> None:
        """One per host; the key is encrypted."""

    def certificates(self) -> tuple[Certificate, ...]:
        """All, by host."""

    def delete_certificate(self, host: str) -> None:
        """Idempotent."""

    def add_operation(self, operation: Operation) -> None:
        """Its events go to `add_event`."""

    def save_operation(self, operation: Operation) -> None:
        """Replace status, end and error."""

    def operation(self, operation_id: str) -> Operation:
        """Raises NotFound."""

    def operations(self, *, app_id: str = "", status: str = "", limit: int = 50) -> tuple[Operation, ...]:
        """Newest first."""

    def add_event(self, event: Event, app_id: str = "", operation_id: str = "", actor: str = "") -> None:
        """Keep a notable event; build output is not one."""

    def events(
        self, app_id: str = "", limit: int = 100, after: int = 0, operation_id: str = ""
    ) -> tuple[tuple[int, Event], ...]:
        """Oldest first with their serial numbers: the last `limit` of them (0: all), of an app, of an operation.

        With `after`, a serial number, the first `limit` that follow it: nothing is skipped when reading on.
        """

    def backup(self, path: Path) -> None:
        """A consistent copy of the whole store."""
