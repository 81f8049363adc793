"""Deploy hooks in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from paas.model.deploy_hook import DeployHook, HookDelivery, HookState
from paas.store import words
from paas.store.memory_parts import Hooks, MemoryParts, transaction


class MemoryDeployHooks(MemoryParts):
    """A `DeployHookStore` of dictionaries."""

    @property
    def _hooks(self) -> Hooks:
        return self.state.hooks

    @transaction
    def add_deploy_hook(self, hook: DeployHook) -> None:
        if hook.app_id not in self.state.apps:
            raise words.no_app(hook.app_id, ())
        if any((one.app_id, one.name) == (hook.app_id, hook.name) for one in self._hooks.hooks.values()):
            raise words.hook_taken(hook.name)
        self._hooks.hooks[hook.id] = hook

    @transaction
    def save_deploy_hook(self, hook: DeployHook) -> None:
        before = self._hooks.hooks.get(hook.id)
        if before is not None:
            self._hooks.hooks[hook.id] = replace(hook, name=before.name, source=before.source)

    def deploy_hook(self, hook_id: str) -> DeployHook:
        found = self._hooks.hooks.get(hook_id)
        if found is None:
            raise words.no_hook()
        return found

    def deploy_hooks(self, app_id: str = "") -> tuple[DeployHook, ...]:
        found = [one for one in list(self._hooks.hooks.values()) if one.app_id == (app_id or one.app_id)]
        return tuple(sorted(found, key=lambda one: (one.name, one.id)))

    @transaction
    def delete_deploy_hook(self, hook_id: str) -> None:
        hooks = self._hooks
        hooks.hooks.pop(hook_id, None)
        hooks.states.pop(hook_id, None)
        hooks.marks.pop(hook_id, None)
        hooks.deliveries = [one for one in hooks.deliveries if one.hook_id != hook_id]

    def hook_state(self, hook_id: str) -> HookState:
        return self._hooks.states.get(hook_id, HookState())

    def hook_states(self) -> dict[str, HookState]:
        return {key: one for key, one in list(self._hooks.states.items()) if one.busy}

    @transaction
    def save_hook_state(self, hook_id: str, state: HookState) -> None:
        if hook_id in self._hooks.hooks:
            self._hooks.states[hook_id] = state

    def hook_has_seen(self, hook_id: str, marks: Sequence[str]) -> bool:
        return not self._hooks.marks.get(hook_id, frozenset()).isdisjoint(marks)

    @transaction
    def add_hook_delivery(self, delivery: HookDelivery, marks: Sequence[str] = (), *, keep: int = 200) -> None:
        hooks = self._hooks
        if delivery.hook_id not in hooks.hooks:
            return
        hooks.deliveries.append(replace(delivery, notice=json.loads(json.dumps(dict(delivery.notice)))))
        hooks.marks[delivery.hook_id] = hooks.marks.get(delivery.hook_id, frozenset()) | frozenset(marks)
        same = [
            one for one in hooks.deliveries
            if one.hook_id == delivery.hook_id and (one.status == "refused") == (delivery.status == "refused")
        ]  # fmt: skip
        gone = {one.id for one in same[:-keep]}
        hooks.deliveries = [one for one in hooks.deliveries if one.id not in gone]

    def hook_delivery(self, hook_id: str, delivery_id: str) -> HookDelivery:
        for one in self._hooks.deliveries:
            if (one.hook_id, one.id) == (hook_id, delivery_id):
                return one
        raise words.no_delivery(delivery_id)

    def hook_deliveries(self, hook_id: str, limit: int = 50) -> tuple[HookDelivery, ...]:
        return tuple([one for one in reversed(self._hooks.deliveries) if one.hook_id == hook_id][:limit])

    @transaction
    def set_hook_operation(self, hook_id: str, deliveries: Sequence[str], operation: str) -> None:
        self._hooks.deliveries = [
            replace(one, operation=operation) if one.hook_id == hook_id and one.id in deliveries else one
            for one in self._hooks.deliveries
        ]

    def _forget_hooks_of(self, app_id: str) -> None:
        for hook in self.deploy_hooks(app_id):
            self.delete_deploy_hook(hook.id)
