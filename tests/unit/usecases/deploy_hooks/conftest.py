"""A platform with an app, what sends to its hooks, and what begins the deploys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paas.usecases.deploy_hooks import DeployHookShown
from paas.usecases.hook_receiver import Dispatcher, Received, Receiver
from tests.unit.usecases.deploy_hooks.lab import Runs
from tests.unit.usecases.parts import Parts, parts
from tests.unit.webhooks.say import github


@pytest.fixture
def platform(tmp_path: Path) -> Parts:
    made = parts(tmp_path / "home", egress_allow="127.0.0.0/8")
    made.app()
    return made


@pytest.fixture
def runs(platform: Parts) -> Runs:
    return Runs(platform)


@pytest.fixture
def step(platform: Parts, runs: Runs) -> Callable[[], None]:
    return Dispatcher(platform.context, runs.start).step


@pytest.fixture
def send(platform: Parts) -> Callable[..., Received]:
    """Deliver something to a hook as GitHub does."""
    receiver = Receiver(platform.context)
    count = iter(range(10_000))

    def deliver(hook: DeployHookShown, value: Any, event: str = "push", **options: Any) -> Received:
        secret = options.pop("secret", hook.secret)
        number = next(count)
        if isinstance(value, dict) and not options.pop("same", False):
            value = {**value, "number_of_this_test": number}
        headers, body = github(value, event, secret=secret, delivery=options.pop("delivery", f"d-{number}"))
        return receiver.receive(hook.path.rpartition("/")[2], headers, body)

    return deliver
