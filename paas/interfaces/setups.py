"""What is kept of how apps came to be, as a Protocol. The store is one."""

from __future__ import annotations

from typing import Protocol

from paas.model.scripts import Setup


class SetupStore(Protocol):
    """Goes with the app."""

    def put_setup(self, setup: Setup) -> None:
        """One per app; replaces the one before. Raises NotFound without the app."""

    def setup(self, app_id: str) -> Setup:
        """An empty one where nothing was kept."""

    def half_clones(self) -> tuple[Setup, ...]:
        """Those of clones that are not whole, by app id."""
