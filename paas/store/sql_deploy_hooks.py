"""Deploy hooks on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from paas.model.deploy_hook import (
    Check,
    DeployHook,
    HookDelivery,
    HookState,
    Left,
    PendingDeploy,
    PendingReview,
    Provider,
)
from paas.store import words
from paas.store.crypto import Vault
from paas.store.file import SqlFile, first, rows_of
from paas.store.rows import readable
from paas.store.tables import apps
from paas.store.tables_deploy_hooks import deploy_hooks, hook_deliveries, hook_marks

KEPT_MARKS = 10_000
"""Of one hook."""
PLACE = "deploy hook"
DOCUMENT = ("said", "event", "reason", "branch", "commit", "notice")


class SqlDeployHooks(SqlFile):
    """A `DeployHookStore`."""

    def add_deploy_hook(self, hook: DeployHook) -> None:
        with self._write() as db:
            if first(db, select(apps.c.id).where(apps.c.id == hook.app_id)) is None:
                raise words.no_app(hook.app_id, ())
            same = (deploy_hooks.c.app_id == hook.app_id) & (deploy_hooks.c.name == hook.name)
            if first(db, select(deploy_hooks.c.id).where(same)) is not None:
                raise words.hook_taken(hook.name)
            db.execute(insert(deploy_hooks).values(**_hook_values(hook, self._vault), state={}, busy=0))

    def save_deploy_hook(self, hook: DeployHook) -> None:
        with self._write() as db:
            row = first(db, select(deploy_hooks).where(deploy_hooks.c.id == hook.id))
            if row is None:
                return
            values = _hook_values(replace(hook, source=_hook(row, self._vault).source), self._vault)
            changed = {name: values[name] for name in ("document", "sealed")}
            db.execute(update(deploy_hooks).where(deploy_hooks.c.id == hook.id).values(**changed))

    def deploy_hook(self, hook_id: str) -> DeployHook:
        with self._read() as db:
            row = first(db, select(deploy_hooks).where(deploy_hooks.c.id == hook_id))
            if row is None:
                raise words.no_hook()
            return _hook(row, self._vault)

    def deploy_hooks(self, app_id: str = "") -> tuple[DeployHook, ...]:
        query = select(deploy_hooks).order_by(deploy_hooks.c.name, deploy_hooks.c.id)
        with self._read() as db:
            found = rows_of(db, query.where(deploy_hooks.c.app_id == app_id) if app_id else query)
            return tuple(_hook(row, self._vault) for row in found)

    def delete_deploy_hook(self, hook_id: str) -> None:
        with self._write() as db:
            db.execute(delete(deploy_hooks).where(deploy_hooks.c.id == hook_id))

    def hook_state(self, hook_id: str) -> HookState:
        with self._read() as db:
            row = first(db, select(deploy_hooks.c.state).where(deploy_hooks.c.id == hook_id))
            return _state(row) if row is not None else HookState()

    def hook_states(self) -> dict[str, HookState]:
        query = select(deploy_hooks.c.id, deploy_hooks.c.state).where(deploy_hooks.c.busy == 1)
        with self._read() as db:
            return {row["id"]: _state(row) for row in rows_of(db, query)}

    def save_hook_state(self, hook_id: str, state: HookState) -> None:
        with self._write() as db:
            changed = {"state": asdict(state), "busy": int(state.busy)}
            db.execute(update(deploy_hooks).where(deploy_hooks.c.id == hook_id).values(**changed))

    def hook_has_seen(self, hook_id: str, marks: Sequence[str]) -> bool:
        with self._read() as db:
            same = (hook_marks.c.hook_id == hook_id) & hook_marks.c.mark.in_(marks)
            return first(db, select(hook_marks.c.serial).where(same).limit(1)) is not None

    def add_hook_delivery(self, delivery: HookDelivery, marks: Sequence[str] = (), *, keep: int = 200) -> None:
        with self._write() as db:
            if first(db, select(deploy_hooks.c.id).where(deploy_hooks.c.id == delivery.hook_id)) is None:
                return
            db.execute(insert(hook_deliveries).values(**_delivery_values(delivery)))
            _forget_deliveries(db, delivery, keep)
            for mark in marks:
                values = {"hook_id": delivery.hook_id, "mark": mark}
                db.execute(insert_or(hook_marks).values(values).on_conflict_do_nothing())
            if marks:
                mine = hook_marks.c.hook_id == delivery.hook_id
                kept = select(hook_marks.c.serial).where(mine).order_by(hook_marks.c.serial.desc()).limit(KEPT_MARKS)
                oldest = select(func.min(kept.subquery().c.serial)).scalar_subquery()
                db.execute(delete(hook_marks).where(mine, hook_marks.c.serial < oldest))

    def hook_delivery(self, hook_id: str, delivery_id: str) -> HookDelivery:
        same = (hook_deliveries.c.hook_id == hook_id) & (hook_deliveries.c.id == delivery_id)
        with self._read() as db:
            row = first(db, select(hook_deliveries).where(same))
            if row is None:
                raise words.no_delivery(delivery_id)
            return _delivery(row)

    def hook_deliveries(self, hook_id: str, limit: int = 50) -> tuple[HookDelivery, ...]:
        query = select(hook_deliveries).where(hook_deliveries.c.hook_id == hook_id)
        with self._read() as db:
            found = rows_of(db, query.order_by(hook_deliveries.c.serial.desc()).limit(limit))
            return tuple(_delivery(row) for row in found)

    def set_hook_operation(self, hook_id: str, deliveries: Sequence[str], operation: str) -> None:
        with self._write() as db:
            same = (hook_deliveries.c.hook_id == hook_id) & hook_deliveries.c.id.in_(deliveries)
            db.execute(update(hook_deliveries).where(same).values(operation=operation))


def _forget_deliveries(db: Connection, delivery: HookDelivery, keep: int) -> None:
    """What anybody can send without the secret pushes out nothing but its own kind."""
    refused = hook_deliveries.c.status == "refused"
    kind = refused if delivery.status == "refused" else ~refused
    mine = (hook_deliveries.c.hook_id == delivery.hook_id) & kind
    kept = select(hook_deliveries.c.serial).where(mine).order_by(hook_deliveries.c.serial.desc()).limit(keep)
    oldest = select(func.min(kept.subquery().c.serial)).scalar_subquery()
    db.execute(delete(hook_deliveries).where(mine, hook_deliveries.c.serial < oldest))


def _hook_values(hook: DeployHook, vault: Vault) -> dict[str, Any]:
    document = {
        "repository": hook.repository, "branch": hook.branch, "paths": list(hook.paths), "wait": hook.wait,
        "checks": list(hook.checks), "reviews": hook.reviews,
    }  # fmt: skip
    return {
        "id": hook.id, "app_id": hook.app_id, "name": hook.name, "provider": hook.provider.value,
        "created_at": hook.created_at, "created_by": hook.created_by, "document": document,
        "sealed": vault.seal({"secret": hook.secret, "source": hook.source}, hook.id, PLACE),
    }  # fmt: skip


@readable
def _hook(row: RowMapping, vault: Vault) -> DeployHook:
    document, sealed = row["document"], vault.unseal(row["sealed"], row["id"], PLACE)
    return DeployHook(
        id=row["id"], app_id=row["app_id"], name=row["name"], provider=Provider(row["provider"]),
        created_at=row["created_at"], created_by=row["created_by"], secret=sealed["secret"], source=sealed["source"],
        repository=document["repository"], branch=document["branch"], paths=tuple(document["paths"]),
        wait=document["wait"], checks=tuple(document["checks"]), reviews=document["reviews"],
    )  # fmt: skip


@readable
def _state(row: RowMapping) -> HookState:
    kept: Mapping[str, Any] = row["state"]
    return HookState(
        waiting=tuple(kept.get("waiting", ())),
        checks={
            commit: {name: _check(one) for name, one in checks.items()}
            for commit, checks in kept.get("checks", {}).items()
        },
        pending=_pending(kept.get("pending")),
        running=kept.get("running", ""),
        began=_pending(kept.get("began")),
        left=_left(kept.get("left")),
        reviews=tuple(_review(one) for one in kept.get("reviews", ())),
        reviewing=kept.get("reviewing", ""),
        review=_review(kept["review"]) if kept.get("review") else None,
    )


def _check(kept: Mapping[str, Any] | str) -> Check:
    """An older version kept the state alone."""
    return Check(kept) if isinstance(kept, str) else Check(**kept)


def _pending(kept: Mapping[str, Any] | None) -> PendingDeploy | None:
    if kept is None:
        return None
    return PendingDeploy(
        commit=kept["commit"], deliveries=tuple(kept["deliveries"]), again=kept["again"], left=_left(kept.get("left"))
    )


def _left(kept: Mapping[str, Any] | None) -> Left | None:
    return Left(**kept) if kept else None


def _review(kept: Mapping[str, Any]) -> PendingReview:
    return PendingReview(**{**kept, "deliveries": tuple(kept["deliveries"])})


def _delivery_values(delivery: HookDelivery) -> dict[str, Any]:
    document = {name: getattr(delivery, name) for name in DOCUMENT}
    document["notice"] = dict(delivery.notice)
    return {
        "id": delivery.id, "hook_id": delivery.hook_id, "at": delivery.at, "status": delivery.status,
        "operation": delivery.operation, "document": document,
    }  # fmt: skip


@readable
def _delivery(row: RowMapping) -> HookDelivery:
    document = {name: row["document"][name] for name in DOCUMENT}
    return HookDelivery(
        id=row["id"], hook_id=row["hook_id"], at=row["at"], status=row["status"], operation=row["operation"], **document
    )
