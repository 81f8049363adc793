"""What is kept of alerts, as a Protocol. The store is one."""

from __future__ import annotations

from typing import Protocol

from paas.model.alert import Firing


class AlertStore(Protocol):
    """The alerts that were told and have not ended. Goes with the app."""

    def put_firing(self, firing: Firing) -> None:
        """One per app and name; replaces the one before. Raises NotFound without the app."""

    def delete_firing(self, app_id: str, name: str) -> None:
        """Idempotent."""

    def firings(self, app_id: str = "") -> tuple[Firing, ...]:
        """By app id and name, of one app when given."""
