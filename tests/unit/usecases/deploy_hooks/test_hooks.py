"""Deploy hooks: what is added, changed and shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from paas.errors import Denied, NotFound, UsageError
from paas.requests.deploy_hooks import (
    ChangeDeployHook,
    ListHookDeliveries,
    RemoveDeployHook,
    ShowDeployHook,
)
from paas.usecases import deploy_hooks
from paas.usecases.deploy_hooks import DeployHookShown
from paas.usecases.hook_receiver import Received
from paas.webhooks.signature import Unsigned
from tests.unit.usecases.deploy_hooks.lab import URL, Runs, added
from tests.unit.usecases.parts import Parts
from tests.unit.webhooks.say import check, push


def test_a_hook_shows_its_secret_once_and_never_the_password_of_its_source(platform: Parts) -> None:
    made = added(platform, url="http://me:s3cret@127.0.0.1:1/team/shop.git")
    assert len(made.secret) > 40
    shown = deploy_hooks.show_deploy_hook(platform.context, ShowDeployHook(app="shop", hook="github"), platform.act)
    assert shown == replace(made, secret="")
    assert "s3cret" not in repr(shown)
    assert (shown.repository, shown.source) == ("team/shop", URL)
    assert len(made.path.rpartition("/")[2]) == 48


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "ext::sh -c id"}, {"url": "file:///etc"}, {"url": "--upload-pack=id"}, {"url": URL + "#main"},
        {"url": "http://127.0.0.1:1/shop.git"}, {"branch": "main id"}, {"branch": "--all"},
        {"branch": "refs/../../x"}, {"branch": "x" * 250 + "y."}, {"secret": "short"}, {"secret": "with spaces in it"},
        {"paths": ("/etc/*",)}, {"paths": ("",)}, {"paths": ("web/**.js",)}, {"paths": ("a\nb",)}, {"checks": ("",)},
        {"name": "Upper"}, {"name": "-x"}, {"url": "http://2130706433/team/shop.git"},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(platform: Parts, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        added(platform, **changes)
    assert platform.store.deploy_hooks() == ()


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/team/shop.git", "http://[::1]/team/shop", "git@10.0.0.1:team/shop"]
)
def test_a_source_inside_is_refused(platform: Parts, url: str) -> None:
    with pytest.raises(Denied):
        added(platform, url=url)


def changed(platform: Parts, **changes: Any) -> DeployHookShown:
    request = ChangeDeployHook(**{"app": "shop", "hook": "github", **changes})
    return deploy_hooks.change_deploy_hook(platform.context, request, platform.act)


def test_only_what_is_named_is_changed(platform: Parts) -> None:
    made = added(platform, paths=("src/",), checks=("build",))
    branch = changed(platform, branch="live")
    assert changed(platform, branch="live") == branch
    assert branch == replace(made, branch="live", secret="")
    assert changed(platform, paths=(), checks=("lint",)) == replace(branch, paths=(), checks=("lint",))
    assert changed(platform, wait=False) == replace(branch, paths=(), checks=(), wait=False)
    assert changed(platform, wait=True) == replace(branch, paths=(), checks=(), wait=True)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"branch": "a..b"},
        {"paths": ("/abs",)},
        {"secret": "short"},
        {"checks": ("",)},
        {"wait": False, "checks": ("a",)},
    ],
)
def test_a_hook_is_not_changed_into_what_cannot_be(platform: Parts, changes: dict[str, Any]) -> None:
    made = added(platform)
    with pytest.raises(UsageError):
        changed(platform, **changes)
    assert deploy_hooks.show_deploy_hook(
        platform.context, ShowDeployHook(app="shop", hook="github"), platform.act
    ) == replace(made, secret="")


def test_with_a_new_secret_the_old_one_opens_nothing(platform: Parts, send: Callable[..., Received]) -> None:
    made = added(platform)
    new = changed(platform, secret="").secret
    assert len(new) > 20
    assert new != made.secret
    with pytest.raises(Unsigned):
        send(made, push())
    assert send(made, push(), secret=new).status == "accepted"
    assert changed(platform, secret="one-of-my-own-making").secret == "one-of-my-own-making"
    assert send(made, push(), secret="one-of-my-own-making").status == "accepted"


def test_with_another_branch_nothing_of_the_one_before_is_deployed_any_more(
    platform: Parts, send: Callable[..., Received], runs: Runs, step: Callable[[], None]
) -> None:
    hook = added(platform, checks=("build",))
    send(hook, push())
    assert changed(platform, branch="live").waiting == ()
    assert send(hook, check("success"), "status").status == "ignored"
    changed(platform, wait=False)
    assert send(hook, push(ref="refs/heads/live")).status == "accepted"
    assert changed(platform, branch="main").branch == "main"
    step()
    assert runs.begun == []


def test_a_hook_of_another_app_is_not_found(platform: Parts) -> None:
    added(platform)
    platform.app("blog", "b1b2b3b4")
    for request in (ShowDeployHook, RemoveDeployHook, ListHookDeliveries):
        handler = {ShowDeployHook: deploy_hooks.show_deploy_hook, RemoveDeployHook: deploy_hooks.remove_deploy_hook,
                   ListHookDeliveries: deploy_hooks.list_hook_deliveries}[request]  # fmt: skip
        with pytest.raises(NotFound):
            handler(platform.context, request(app="blog", hook="github"), platform.act)  # type: ignore[arg-type]
