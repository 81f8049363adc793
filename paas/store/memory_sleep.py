"""Sleeping in memory."""

from __future__ import annotations

from paas.model.sleep import Sleep
from paas.store import words
from paas.store.memory_parts import MemoryParts, transaction


class MemorySleep(MemoryParts):
    """A `SleepStore` of a dictionary."""

    @transaction
    def put_sleep(self, sleep: Sleep) -> None:
        if sleep.app_id not in self.state.apps:
            raise words.no_app(sleep.app_id, [app.name for app in self.state.apps.values()])
        self.state.sleeps[sleep.app_id] = sleep

    @transaction
    def delete_sleep(self, app_id: str) -> None:
        self.state.sleeps.pop(app_id, None)

    def sleep(self, app_id: str) -> Sleep | None:
        return self.state.sleeps.get(app_id)

    def sleeps(self) -> tuple[Sleep, ...]:
        return tuple(one for _, one in sorted(self.state.sleeps.items()))
