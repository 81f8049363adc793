"""Autoscaling in memory."""

from __future__ import annotations

from paas.model.autoscaling import Override, Protection, Recorded
from paas.store import words
from paas.store.memory_parts import MemoryParts, transaction
from paas.store.sql_autoscaling import FORGOTTEN, KEPT_CHANGES, KEPT_HELD


class MemoryAutoscaling(MemoryParts):
    """An `AutoscaleStore` of dictionaries."""

    @transaction
    def put_override(self, override: Override) -> None:
        self._has(override.app_id)
        self.state.autoscaling.overrides[override.app_id, override.process] = override

    @transaction
    def delete_override(self, app_id: str, process: str) -> None:
        self.state.autoscaling.overrides.pop((app_id, process), None)

    def overrides(self, app_id: str = "") -> tuple[Override, ...]:
        found = sorted(self.state.autoscaling.overrides.items())
        return tuple(one for (owner, _), one in found if owner == (app_id or owner))

    @transaction
    def add_decision(self, recorded: Recorded) -> None:
        self._has(recorded.app_id)
        kept = self.state.autoscaling.decisions
        kept.append(recorded)
        same = [one for one in kept if _kind(one) == _kind(recorded)]
        if len(same) > (KEPT_HELD if recorded.decision.wanted == recorded.decision.replicas else KEPT_CHANGES):
            kept.remove(same[0])

    def decisions(self, app_id: str, process: str = "", limit: int = 0) -> tuple[Recorded, ...]:
        found = [
            one for one in list(self.state.autoscaling.decisions)
            if one.app_id == app_id and one.process == (process or one.process)
        ]  # fmt: skip
        return tuple(found[-limit:])

    @transaction
    def put_protection(self, protection: Protection) -> None:
        self._has(protection.app_id)
        known = self.state.autoscaling.protections
        kept = {key: one for key, one in known.items() if one.until >= protection.until - FORGOTTEN}
        kept[protection.app_id, protection.replica] = protection
        self.state.autoscaling.protections = kept

    @transaction
    def delete_protection(self, app_id: str, replica: str) -> None:
        self.state.autoscaling.protections.pop((app_id, replica), None)

    def protections(self, app_id: str) -> tuple[Protection, ...]:
        found = sorted(self.state.autoscaling.protections.items())
        return tuple(one for (owner, _), one in found if owner == app_id)

    def _forget_autoscaling_of(self, app_id: str) -> None:
        """Called inside the transaction that deletes the app."""
        kept = self.state.autoscaling
        kept.overrides = {key: one for key, one in kept.overrides.items() if key[0] != app_id}
        kept.decisions = [one for one in kept.decisions if one.app_id != app_id]
        kept.protections = {key: one for key, one in kept.protections.items() if key[0] != app_id}

    def _has(self, app_id: str) -> None:
        if app_id not in self.state.apps:
            raise words.no_app(app_id, [app.name for app in self.state.apps.values()])


def _kind(one: Recorded) -> tuple[str, str, bool]:
    return one.app_id, one.process, one.decision.wanted == one.decision.replicas
