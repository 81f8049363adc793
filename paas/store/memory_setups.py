"""How apps came to be, in memory."""

from __future__ import annotations

from paas.model.scripts import Setup
from paas.store import words
from paas.store.memory_parts import MemoryParts, transaction


class MemorySetups(MemoryParts):
    """A `SetupStore` of a dictionary."""

    @transaction
    def put_setup(self, setup: Setup) -> None:
        if setup.app_id not in self.state.apps:
            raise words.no_app(setup.app_id, [app.name for app in self.state.apps.values()])
        self.state.setups[setup.app_id] = setup

    def setup(self, app_id: str) -> Setup:
        return self.state.setups.get(app_id, Setup(app_id=app_id))

    def half_clones(self) -> tuple[Setup, ...]:
        return tuple(one for _, one in sorted(self.state.setups.items()) if one.cloning)
