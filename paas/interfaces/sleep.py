"""What is kept of sleeping, as a Protocol. The store is one."""

from __future__ import annotations

from typing import Protocol

from paas.model.sleep import Sleep


class SleepStore(Protocol):
    """Goes with the app."""

    def put_sleep(self, sleep: Sleep) -> None:
        """One per app; replaces the one before. Raises NotFound without the app."""

    def delete_sleep(self, app_id: str) -> None:
        """Idempotent."""

    def sleep(self, app_id: str) -> Sleep | None:
        """None: it never sleeps."""

    def sleeps(self) -> tuple[Sleep, ...]:
        """Of all apps that may sleep, by app id."""
