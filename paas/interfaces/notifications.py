"""Targets of notifications as they are kept, what waits for them, and how far the events were read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from paas.model.notification import Happened, Notification, Target


class NotificationStore(Protocol):
    """Every method is one transaction. A target goes with its app, and what was sent with the target."""

    def add_target(self, target: Target) -> None:
        """Raises Conflict when the app has one of that name (or, without an app, all apps have), NotFound when there is
        no such app."""

    def target(self, name: str, app_id: str = "") -> Target:
        """Of an app, or of those of all apps, by name. Raises NotFound."""

    def targets(self) -> tuple[Target, ...]:
        """All, by name."""

    def save_target(self, target: Target) -> None:
        """Replace `failures`, `retry_at` and `disabled`. One that is gone stays so."""

    def delete_target(self, target_id: str) -> None:
        """With all that was sent to it. Idempotent."""

    def happened(self, after: int, limit: int = 500) -> tuple[Happened, ...]:
        """The first `limit` events after a serial number, oldest first."""

    def notified(self) -> int:
        """How far the events were read; -1: never."""

    def queue_notifications(
        self, read: int, notifications: Sequence[Notification], *, most: int = 1000, keep: int = 200
    ) -> None:
        """Keep them and how far the events were read, at once. Of what waits for a target beyond `most` the oldest is
        dropped, of what ended beyond `keep` the oldest is forgotten. For a target that is gone nothing is kept."""

    def next_notification(self, target_id: str) -> Notification | None:
        """The oldest that waits."""

    def targets_waited_for(self) -> frozenset[str]:
        """Ids of targets for which something waits."""

    def save_notification(self, notification: Notification) -> None:
        """Replace status, attempts, answer and end."""

    def notifications(self, target_id: str, limit: int = 50) -> tuple[Notification, ...]:
        """Newest first."""
