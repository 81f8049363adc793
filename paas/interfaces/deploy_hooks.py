"""Deploy hooks as they are kept: addresses for git hosts, what came to them, what they remember."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from paas.model.deploy_hook import DeployHook, HookDelivery, HookState


class DeployHookStore(Protocol):
    """Every method is one transaction. A hook goes with its app, and what came to it with the hook."""

    def add_deploy_hook(self, hook: DeployHook) -> None:
        """Raises Conflict when the app has a hook of that name, NotFound when there is no such app."""

    def save_deploy_hook(self, hook: DeployHook) -> None:
        """Replace what it does; not its name, its source or what it remembers. A hook that is gone stays so."""

    def deploy_hook(self, hook_id: str) -> DeployHook:
        """By the id in its address. Raises NotFound, which names nothing."""

    def deploy_hooks(self, app_id: str = "") -> tuple[DeployHook, ...]:
        """Of an app, or all, by name."""

    def delete_deploy_hook(self, hook_id: str) -> None:
        """With its deliveries. Idempotent."""

    def hook_state(self, hook_id: str) -> HookState:
        """What it remembers; nothing yet for a new one, or one that is gone."""

    def hook_states(self) -> dict[str, HookState]:
        """Of the hooks that have something to begin, or have something running."""

    def save_hook_state(self, hook_id: str, state: HookState) -> None:
        """Replace it. A hook that is gone stays so."""

    def hook_has_seen(self, hook_id: str, marks: Sequence[str]) -> bool:
        """Whether any of these marks was kept."""

    def add_hook_delivery(self, delivery: HookDelivery, marks: Sequence[str] = (), *, keep: int = 200) -> None:
        """Keep it, with its marks. The hook's oldest deliveries beyond `keep` of the same kind (refused, or not) go;
        marks stay much longer, and are bounded as well. For a hook that is gone nothing is kept."""

    def hook_delivery(self, hook_id: str, delivery_id: str) -> HookDelivery:
        """Raises NotFound."""

    def hook_deliveries(self, hook_id: str, limit: int = 50) -> tuple[HookDelivery, ...]:
        """Newest first."""

    def set_hook_operation(self, hook_id: str, deliveries: Sequence[str], operation: str) -> None:
        """Which operation came of these deliveries."""
