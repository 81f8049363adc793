"""What tests of deploy hooks do again and again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from paas.model.app import Operation
from paas.model.people import Actor
from paas.requests.deploy_hooks import (
    AddDeployHook,
    ListHookDeliveries,
)
from paas.requests.deploys import DeployApp
from paas.usecases import deploy_hooks
from paas.usecases.deploy_hooks import DeployHookShown
from tests.unit.usecases.parts import Parts

URL = "http://127.0.0.1:1/team/shop.git"


def added(platform: Parts, app: str = "shop", **changes: Any) -> DeployHookShown:
    request = AddDeployHook(**{"app": app, "provider": "github", "url": URL, **changes})
    return deploy_hooks.add_deploy_hook(platform.context, request, platform.act)


class Runs:
    """Operations that end when told."""

    def __init__(self, platform: Parts) -> None:
        self.platform = platform
        self.begun: list[tuple[DeployApp, Actor]] = []

    def start(self, request: DeployApp, actor: Actor) -> Operation:
        self.begun.append((request, actor))
        app_id = self.platform.store.app(request.app).id
        operation = Operation(
            id=f"op{len(self.begun)}", app_id=app_id, verb="DeployApp", actor=actor.name, started_at=1
        )
        self.platform.store.add_operation(operation)
        return operation

    def end(self, status: str = "succeeded") -> None:
        operation = self.platform.store.operation(f"op{len(self.begun)}")
        self.platform.store.save_operation(replace(operation, status=status, ended_at=2))


def log(platform: Parts, hook: DeployHookShown) -> list[tuple[str, str]]:
    request = ListHookDeliveries(app="shop", hook=hook.name)
    return [
        (one.status, one.reason) for one in deploy_hooks.list_hook_deliveries(platform.context, request, platform.act)
    ]
