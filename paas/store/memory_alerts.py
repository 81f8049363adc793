"""Alerts that fire, in memory."""

from __future__ import annotations

from paas.model.alert import Firing
from paas.store import words
from paas.store.memory_parts import MemoryParts, transaction


class MemoryAlerts(MemoryParts):
    """An `AlertStore` of a dictionary."""

    @transaction
    def put_firing(self, firing: Firing) -> None:
        if firing.app_id not in self.state.apps:
            raise words.no_app(firing.app_id, [app.name for app in self.state.apps.values()])
        self.state.firings[firing.app_id, firing.name] = firing

    @transaction
    def delete_firing(self, app_id: str, name: str) -> None:
        self.state.firings.pop((app_id, name), None)

    def firings(self, app_id: str = "") -> tuple[Firing, ...]:
        return tuple(one for key, one in sorted(self.state.firings.items()) if app_id in ("", key[0]))

    def _forget_alerts_of(self, app_id: str) -> None:
        self.state.firings = {key: one for key, one in self.state.firings.items() if key[0] != app_id}
