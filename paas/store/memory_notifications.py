"""Targets of notifications, and what waits for them, in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from paas.model.notification import Happened, Notification, Target
from paas.store import words
from paas.store.memory_parts import MemoryParts, Told, transaction


class MemoryNotifications(MemoryParts):
    """A `NotificationStore` of dictionaries."""

    @property
    def _told(self) -> Told:
        return self.state.told

    @transaction
    def add_target(self, target: Target) -> None:
        if target.app_id and target.app_id not in self.state.apps:
            raise words.no_app(target.app_id, ())
        if any((one.app_id, one.name) == (target.app_id, target.name) for one in self._told.targets.values()):
            raise words.target_taken(target.name)
        self._told.targets[target.id] = target

    def target(self, name: str, app_id: str = "") -> Target:
        for one in list(self._told.targets.values()):
            if (one.app_id, one.name) == (app_id, name):
                return one
        raise words.no_target(name, app_id)

    def targets(self) -> tuple[Target, ...]:
        return tuple(sorted(self._told.targets.values(), key=lambda one: (one.name, one.id)))

    @transaction
    def save_target(self, target: Target) -> None:
        before = self._told.targets.get(target.id)
        if before is not None:
            changed = {"failures": target.failures, "retry_at": target.retry_at, "disabled": target.disabled}
            self._told.targets[target.id] = replace(before, **changed)  # type: ignore[arg-type]

    @transaction
    def delete_target(self, target_id: str) -> None:
        self._told.targets.pop(target_id, None)
        self._told.queue = [one for one in self._told.queue if one.target_id != target_id]

    def happened(self, after: int, limit: int = 500) -> tuple[Happened, ...]:
        found = [
            Happened(serial=serial, event=event, app_id=app_id, operation_id=operation_id)
            for serial, app_id, operation_id, event in list(self.state.events) if serial > after
        ]  # fmt: skip
        return tuple(found[:limit])

    def notified(self) -> int:
        return self._told.read

    @transaction
    def queue_notifications(
        self, read: int, notifications: Sequence[Notification], *, most: int = 1000, keep: int = 200
    ) -> None:
        told, known = self._told, {one.id for one in self._told.queue}
        for one in notifications:
            if one.target_id in told.targets and one.id not in known:
                told.queue.append(replace(one, facts=json.loads(json.dumps(dict(one.facts)))))
        for target_id in {one.target_id for one in notifications}:
            mine = [one for one in told.queue if one.target_id == target_id]
            dropped = {one.id for one in [one for one in mine if one.status == "pending"][:-most]}
            told.queue = [
                replace(one, status="dropped", answer="too many were waiting") if one.id in dropped else one
                for one in told.queue
            ]
            ended = [one for one in told.queue if one.target_id == target_id and one.status != "pending"]
            gone = {one.id for one in ended[:-keep]}
            told.queue = [one for one in told.queue if one.id not in gone]
        told.read = read

    def next_notification(self, target_id: str) -> Notification | None:
        found = (one for one in list(self._told.queue) if one.target_id == target_id and one.status == "pending")
        return next(found, None)

    def targets_waited_for(self) -> frozenset[str]:
        return frozenset(one.target_id for one in list(self._told.queue) if one.status == "pending")

    @transaction
    def save_notification(self, notification: Notification) -> None:
        self._told.queue = [
            replace(
                one, status=notification.status, attempts=notification.attempts, answer=notification.answer,
                ended_at=notification.ended_at,
            )
            if one.id == notification.id else one
            for one in self._told.queue
        ]  # fmt: skip

    def notifications(self, target_id: str, limit: int = 50) -> tuple[Notification, ...]:
        return tuple([one for one in reversed(self._told.queue) if one.target_id == target_id][:limit])

    def _forget_targets_of(self, app_id: str) -> None:
        for target in [one for one in self.targets() if one.app_id == app_id]:
            self.delete_target(target.id)
