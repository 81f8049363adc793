"""What each of two apps has beside itself: a run, a deploy hook, a target, a review app, a pipeline, a backup."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields

from paas.model.app import App
from paas.model.deploy_hook import DeployHook, HookDelivery, Provider
from paas.model.notification import Notification, Target, TargetKind
from paas.model.people import Invite
from paas.model.pipeline import Place, Stage
from paas.model.reviews import Review
from paas.model.runs import Run, RunStatus
from paas.model.secret import Secret
from paas.requests.base import Request
from paas.store.sql import SqlStore
from paas.usecases.backups import BackupLine
from paas.usecases.context import Context


def belongings(context: Context, app: App) -> Mapping[str, str]:
    """Make them; what each is called, by the field of a request that names one."""
    name, mark, store = app.name, app.id[-2:], context.store
    assert isinstance(store, SqlStore)
    store.add_run(
        Run(id=f"cafe0000{mark}", app_id=app.id, command="true", actor=f"{name}-owner", due_at=1.0,
            status=RunStatus.SUCCEEDED, job=f"{name}-job", ended_at=2.0)
    )  # fmt: skip
    store.add_deploy_hook(
        DeployHook(id=f"hook-{mark}" + "0" * 32, app_id=app.id, name=f"{name}-hook", provider=Provider.GITHUB,
                   source=Secret(f"https://example.com/{name}/x.git"), secret=Secret("s" * 20), created_at=1.0,
                   created_by=f"{name}-owner", repository=f"{name}/x")
    )  # fmt: skip
    store.add_hook_delivery(
        HookDelivery(id=f"de11{mark}", hook_id=f"hook-{mark}" + "0" * 32, at=1.0, status="accepted", reason=name,
                     notice={"kind": "push"})
    )  # fmt: skip
    store.add_target(
        Target(id=f"7a{mark}", name=f"{name}-target", kind=TargetKind.SLACK, created_at=1.0, created_by=f"{name}-owner",
               app_id=app.id, secrets={"url": Secret(f"https://{name}.example.com/x")})
    )  # fmt: skip
    told = Notification(id=f"n{mark}", target_id=f"7a{mark}", at=1.0, topic="deploy", message=name)
    store.queue_notifications(0, (told,))
    store.put_review(
        Review(app_id=f"e{app.id[1:]}", parent_id=app.id, name=f"{name}-better", key="branch/better", opened_at=1.0,
               opened_by=f"{name}-owner", expires_at=2e9, branch="better")
    )  # fmt: skip
    store.put_place(Place(app_id=app.id, pipeline=f"{name}-way", stage=Stage.STAGING))
    store.add_invite(
        Invite(id=f"1f{mark}", digest="0" * 64, name=f"{name}-guest", created_by=f"{name}-owner", created_at=1.0,
               expires_at=2e9, app_id=app.id)
    )  # fmt: skip
    return {
        "run": f"cafe0000{mark}", "job": f"{name}-job", "hook": f"{name}-hook", "delivery": f"de11{mark}",
        "target": f"{name}-target", "review": f"{name}-better", "pipeline": f"{name}-way", "invite": f"1f{mark}",
        "backup": _backup(context, app),
    }  # fmt: skip


def _backup(context: Context, app: App) -> str:
    addon = context.store.addon(f"{app.name}-db")
    folder = context.settings.home / "backups" / f"{addon.name}-{addon.id}"
    folder.mkdir(parents=True)
    made = f"2026010{1 + (app.name == 'theirs')}T000000Z"
    line = BackupLine(id=made, addon=addon.name, addon_id=addon.id, kind="postgres", at=1.0, size=1, sha256="0" * 64)
    (folder / f"{made}.json").write_text(json.dumps(asdict(line)))
    (folder / f"{made}.dump").write_text("x")
    return made


def names_one(kind: type[Request]) -> tuple[str, ...]:
    """The fields of a request that name something of an app's."""
    known = ("run", "job", "hook", "delivery", "target", "review", "pipeline", "invite", "backup", "seed")
    return tuple(one.name for one in fields(kind) if one.name in known and one.type != "bool")  # type: ignore[arg-type]
