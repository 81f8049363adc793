"""What is kept of autoscaling, as a Protocol. The store is one."""

from __future__ import annotations

from typing import Protocol

from paas.model.autoscaling import Override, Protection, Recorded


class AutoscaleStore(Protocol):
    """Everything of an app goes with the app."""

    def put_override(self, override: Override) -> None:
        """One per app and process; replaces the one before. Raises NotFound without the app."""

    def delete_override(self, app_id: str, process: str) -> None:
        """Idempotent."""

    def overrides(self, app_id: str = "") -> tuple[Override, ...]:
        """Of an app, or all; by app and process."""

    def add_decision(self, recorded: Recorded) -> None:
        """Keep it; the oldest of the same process go beyond some hundreds, those that changed the number and those that
        held it each counted for themselves. Raises NotFound without the app."""

    def decisions(self, app_id: str, process: str = "", limit: int = 0) -> tuple[Recorded, ...]:
        """Oldest first: the last `limit` of them (0: all), of one process when given."""

    def put_protection(self, protection: Protection) -> None:
        """One per replica; replaces the one before, and forgets those that ended over a day before `until`.
        Raises NotFound without the app."""

    def delete_protection(self, app_id: str, replica: str) -> None:
        """Idempotent."""

    def protections(self, app_id: str) -> tuple[Protection, ...]:
        """Those of the app, ended ones included; by replica."""
