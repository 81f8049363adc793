"""What comes in by a deploy hook: taken once, in order, within bounds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from paas.errors import Denied, NotFound, PaasError, TooMany, UsageError
from paas.requests.deploy_hooks import (
    RedeliverHook,
    RemoveDeployHook,
)
from paas.usecases import deploy_hooks
from paas.usecases.hook_receiver import BURST, Received, Receiver, Replayed
from paas.webhooks.signature import Unsigned
from tests.unit.usecases.deploy_hooks.lab import URL, Runs, added, log
from tests.unit.usecases.parts import Parts
from tests.unit.webhooks.say import NEW, check, github, push


def test_a_push_begins_a_deploy_of_the_hooks_own_repository(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received]
) -> None:
    hook = added(platform)
    answer = send(hook, push())
    assert answer.status == "accepted"
    step()
    ((request, actor),) = runs.begun
    assert request.source.git == f"{URL}#main", "never what the payload says"
    assert (request.app, request.create, actor.name) == ("shop", False, "webhook github")
    assert platform.store.hook_deliveries(platform.store.deploy_hooks()[0].id)[0].operation == "op1"


def test_a_webhook_may_deploy_its_app_and_nothing_else(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received]
) -> None:
    send(added(platform), push())
    step()
    access = runs.begun[0][1].access
    platform.app("blog", "b1b2b3b4")
    assert (access.on_app("a1b2c3d4"), access.on_app("b1b2b3b4")) == ("deployer", "")
    assert access.on_platform() in ("", "viewer")


def test_a_burst_is_one_deploy_at_a_time_and_the_newest_is_never_lost(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received]
) -> None:
    hook = added(platform)
    for _ in range(5):
        send(hook, push())
    step()
    for _ in range(5):
        send(hook, push())
        step()
    assert len(runs.begun) == 1
    runs.end()
    step()
    assert len(runs.begun) == 2
    runs.end()
    step()
    step()
    assert len(runs.begun) == 2
    operations = {one.operation for one in platform.store.hook_deliveries(platform.store.deploy_hooks()[0].id)}
    assert operations == {"op1", "op2"}


def test_two_hooks_of_an_app_take_turns_and_two_apps_do_not(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received]
) -> None:
    platform.app("blog", "b1b2b3b4")
    for hook in (added(platform), added(platform, name="second"), added(platform, "blog")):
        send(hook, push())
    step()
    assert sorted(request.app for request, _ in runs.begun) == ["blog", "shop"]


def test_what_a_stopped_server_cut_off_is_begun_again_once(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received]
) -> None:
    send(added(platform), push())
    step()
    runs.end("interrupted")
    step()
    assert len(runs.begun) == 2
    runs.end("interrupted")
    step()
    assert len(runs.begun) == 2


def test_what_a_killed_server_had_begun_to_take_in_is_deployed_and_may_come_again(
    platform: Parts,
    runs: Runs,
    step: Callable[[], None],
    send: Callable[..., Received],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hook = added(platform)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(platform.store, "add_hook_delivery", killed)
        with pytest.raises(KeyboardInterrupt):
            send(hook, push(), same=True, delivery="d-a")
    assert send(hook, push(), same=True, delivery="d-a").status == "accepted"
    step()
    assert len(runs.begun) == 1


def test_a_deploy_that_failed_is_not_tried_again(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received]
) -> None:
    send(added(platform), push())
    step()
    runs.end("failed")
    step()
    assert len(runs.begun) == 1


@pytest.mark.parametrize("ends", ["failed", "interrupted", "succeeded"])
def test_what_a_failed_deploy_left_out_is_deployed_by_a_push_that_changes_other_files(
    platform: Parts, send: Callable[..., Received], runs: Runs, step: Callable[[], None], ends: str
) -> None:
    hook = added(platform, paths=("src/",))
    docs = push(commits=[{"id": NEW, "added": [], "modified": ["README.md"], "removed": []}])
    assert send(hook, docs).status == "ignored"
    send(hook, push())
    step()
    assert send(hook, docs).status == "ignored", "it is being deployed"
    runs.end(ends)
    if ends == "interrupted":  # begun again, once
        step()
        runs.end(ends)
    step()
    assert send(hook, docs).status == ("ignored" if ends == "succeeded" else "accepted")
    begun = len(runs.begun)
    step()
    runs.end()
    step()
    assert len(runs.begun) == begun + (ends != "succeeded")
    assert send(hook, docs).status == "ignored"


def test_a_commit_is_deployed_when_its_checks_are_green(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received]
) -> None:
    hook = added(platform, checks=("build",))
    assert send(hook, push()).status == "waiting"
    step()
    assert runs.begun == []
    assert send(hook, check("success"), "status").status == "accepted"
    step()
    assert runs.begun[0][0].source.git == f"{URL}#{NEW}"


def test_a_wrong_secret_begins_nothing_and_is_written_down(platform: Parts, send: Callable[..., Received]) -> None:
    hook = added(platform)
    other = added(platform, name="other")
    for secret in ("", "x" * 40, other.secret):
        with pytest.raises(Unsigned):
            send(hook, push(), secret=secret)
    assert [status for status, _ in log(platform, hook)] == ["refused"] * 3
    assert platform.store.hook_states() == {}


def test_an_address_that_nobody_has_is_not_found_whatever_is_sent(platform: Parts) -> None:
    added(platform)
    for hook_id in ("0" * 48, "", "x" * 5000, "../deploy-hooks", "a1b2c3d4"):
        with pytest.raises(NotFound):
            Receiver(platform.context).receive(hook_id, *github(push()))
        with pytest.raises(NotFound):
            Receiver(platform.context).known(hook_id)


def test_the_same_again_is_refused_under_whatever_id(platform: Parts, send: Callable[..., Received]) -> None:
    hook = added(platform)
    assert send(hook, push(), same=True, delivery="d-a").status == "accepted"
    with pytest.raises(Replayed):
        send(hook, push(), same=True, delivery="d-b")
    with pytest.raises(Replayed):
        send(hook, push(forced=True), same=True, delivery="d-a")
    assert [status for status, _ in log(platform, hook)] == ["refused", "refused", "accepted"]


@pytest.mark.parametrize(
    "body",
    [b"", b"\0", b"[]", b"null", b"7", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 100_000, b"payload=%7B%7D", b"\xff"],
)
def test_what_is_no_json_object_is_refused_with_a_reason(
    platform: Parts, send: Callable[..., Received], body: bytes
) -> None:
    hook = added(platform)
    with pytest.raises(UsageError, match="JSON"):
        send(hook, body)
    assert log(platform, hook)[0][0] == "refused"


def test_another_repository_is_refused_and_may_be_sent_rightly_later(
    platform: Parts, send: Callable[..., Received]
) -> None:
    hook = added(platform)
    with pytest.raises(Denied, match="not team/shop"):
        send(hook, push(repository={"full_name": "evil/shop"}))
    assert send(hook, push()).status == "accepted"


def test_a_flood_of_pushes_is_turned_away_and_the_newest_is_deployed(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received]
) -> None:
    hook = added(platform)
    for _ in range(BURST):
        send(hook, push())
    step()
    with pytest.raises(TooMany):
        send(hook, push())
    runs.end()
    step()
    assert len(runs.begun) == 2, "what came too fast is deployed all the same"
    platform.clock.sleep(60)
    assert send(hook, push()).status == "accepted"


def test_a_flood_without_the_secret_is_not_even_written_down(platform: Parts, send: Callable[..., Received]) -> None:
    hook = added(platform)
    assert send(hook, push()).status == "accepted"
    refused: list[type[PaasError]] = []
    for _ in range(100):
        try:
            send(hook, push(), secret="x" * 20)
        except PaasError as error:
            refused.append(type(error))
    assert refused.count(Unsigned) == 20
    assert refused.count(TooMany) == 80
    assert send(hook, push()).status == "accepted", "who has the secret is not kept out by who has not"


def test_a_ping_is_answered_and_begins_nothing(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received]
) -> None:
    assert send(added(platform), {"zen": "x", "repository": {"full_name": "team/shop"}}, "ping").status == "pinged"
    step()
    assert runs.begun == []


def test_a_delivery_can_be_decided_again(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received]
) -> None:
    hook = added(platform)
    first = send(hook, push())
    step()
    runs.end("failed")
    step()
    request = RedeliverHook(app="shop", hook="github", delivery=first.delivery)
    again = deploy_hooks.redeliver_hook(platform.context, request, platform.act)
    assert (again.status, again.id != first.delivery) == ("accepted", True)
    step()
    assert len(runs.begun) == 2
    with pytest.raises(Unsigned):
        send(hook, push(), secret="x" * 20)
    refused = platform.store.hook_deliveries(platform.store.deploy_hooks()[0].id)[0]
    with pytest.raises(UsageError, match="refused"):
        deploy_hooks.redeliver_hook(
            platform.context, RedeliverHook(app="shop", hook="github", delivery=refused.id), platform.act
        )


def test_a_hook_that_is_gone_begins_nothing(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received]
) -> None:
    hook = added(platform)
    send(hook, push())
    deploy_hooks.remove_deploy_hook(platform.context, RemoveDeployHook(app="shop", hook="github"), platform.act)
    step()
    assert runs.begun == []
    with pytest.raises(NotFound):
        send(hook, push())
