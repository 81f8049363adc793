"""Deploy hooks: what comes in, what is answered, what is deployed, and that nothing pushed is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paas.errors import Conflict, Denied, NotFound, PaasError, TooMany, UsageError
from paas.model.app import App, Operation
from paas.model.events import silent
from paas.model.people import Actor, owner
from paas.model.reviews import Review, ReviewPolicy, review_key
from paas.requests.deploy_hooks import (
    AddDeployHook,
    ChangeDeployHook,
    ListHookDeliveries,
    RedeliverHook,
    RemoveDeployHook,
    ShowDeployHook,
)
from paas.requests.deploys import DeployApp, SourceRef
from paas.requests.reviews import CloseReview, OpenReview
from paas.usecases import deploy_hooks
from paas.usecases.deploy_hooks import DeployHookShown
from paas.usecases.door import Door
from paas.usecases.hook_receiver import BURST, Dispatcher, Received, Receiver, Replayed
from paas.usecases.operations import Operations
from paas.webhooks.signature import Unsigned
from tests.git_server import GitServer, git_server
from tests.unit.sources.test_clone import git
from tests.unit.usecases.parts import Parts, parts
from tests.unit.webhooks.say import NEW, check, github, pull_request, push

ON_DISK = True

URL = "http://127.0.0.1:1/team/shop.git"


@pytest.fixture
def platform(tmp_path: Path) -> Parts:
    made = parts(tmp_path / "home", egress_allow="127.0.0.0/8")
    made.app()
    return made


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


def log(platform: Parts, hook: DeployHookShown) -> list[tuple[str, str]]:
    request = ListHookDeliveries(app="shop", hook=hook.name)
    return [
        (one.status, one.reason) for one in deploy_hooks.list_hook_deliveries(platform.context, request, platform.act)
    ]


# --- adding -------------------------------------------------------------------------------------------------------


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


# --- what comes in ------------------------------------------------------------------------------------------------


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


# --- review apps --------------------------------------------------------------------------------------------------


@pytest.fixture
def reviewing(platform: Parts) -> DeployHookShown:
    with pytest.raises(Conflict, match="has no review apps"):
        added(platform, reviews="own")
    policy = ReviewPolicy(app_id="a1b2c3d4", created_at=1.0, created_by="ann")
    platform.store.put_review_policy(policy)
    return added(platform, reviews="own")


def known(platform: Parts, number: int = 7, branch: str = "better") -> Review:
    review = Review(
        app_id=f"0000000{number}", parent_id="a1b2c3d4", name=f"shop-pr-{number}", branch=branch, number=number,
        key=review_key(branch, number), opened_at=1, opened_by="x", expires_at=9e9,
    )  # fmt: skip
    platform.store.put_review(review)
    return review


def test_a_pull_request_opens_and_closes_a_review_app_of_the_hooks_own_repository(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received], reviewing: DeployHookShown
) -> None:
    assert send(reviewing, pull_request(), "pull_request").status == "accepted"
    step()
    request, actor = runs.begun[0]
    assert request == OpenReview(app="shop", branch="better", pull_request=7, commit=NEW, hook="github")
    assert (actor.access.on_app("a1b2c3d4"), actor.access.on_app("other")) == ("deployer", "")
    runs.end()
    send(reviewing, pull_request("closed"), "pull_request")
    review = known(platform)
    step()
    assert runs.begun[1][0] == CloseReview(app="shop", review=review.app_id)
    operations = {one.operation for one in platform.store.hook_deliveries(platform.store.deploy_hooks()[0].id)}
    assert operations == {"op1", "op2"}


def test_review_apps_take_turns_beside_the_deploys_and_none_is_lost(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received], reviewing: DeployHookShown
) -> None:
    send(reviewing, push())
    for number in (1, 2, 1):
        send(reviewing, {**pull_request("synchronize"), "pull_request": numbered(number)}, "pull_request")
    step()
    step()
    assert [type(request).__name__ for request, _ in runs.begun] == ["OpenReview", "DeployApp"]
    platform.store.save_operation(replace(platform.store.operation("op1"), status="failed", ended_at=2))
    step()
    assert sorted(request.pull_request for request, _ in runs.begun if isinstance(request, OpenReview)) == [1, 2]
    step()
    assert len(runs.begun) == 3


def numbered(number: int) -> dict[str, Any]:
    return {**pull_request()["pull_request"], "number": number}


def test_a_close_of_what_was_never_opened_is_no_operation(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received], reviewing: DeployHookShown
) -> None:
    send(reviewing, pull_request("closed"), "pull_request")
    step()
    assert runs.begun == []
    assert platform.store.hook_states() == {}


def test_a_review_that_a_stopped_server_cut_off_is_begun_again_once(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received], reviewing: DeployHookShown
) -> None:
    send(reviewing, pull_request(), "pull_request")
    for _ in range(4):
        step()
        runs.end("interrupted")
    assert len(runs.begun) == 2


def test_what_was_asked_of_it_meanwhile_counts_instead(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received], reviewing: DeployHookShown
) -> None:
    send(reviewing, pull_request(), "pull_request")
    step()
    send(reviewing, pull_request("closed"), "pull_request")
    runs.end("interrupted")
    known(platform)
    step()
    assert [type(request).__name__ for request, _ in runs.begun] == ["OpenReview", "CloseReview"]


def test_a_branch_that_is_deleted_takes_its_review_apps_along(
    platform: Parts, runs: Runs, step: Callable[[], None], send: Callable[..., Received], reviewing: DeployHookShown
) -> None:
    known(platform, 7)
    known(platform, 8, "other")
    answer = send(reviewing, push(ref="refs/heads/better", after="0" * 40, deleted=True, head_commit=None, commits=[]))
    assert (answer.status, answer.reason) == ("accepted", "branch better was deleted: shop-pr-7")
    step()
    assert [request for request, _ in runs.begun] == [CloseReview(app="shop", review="00000007")]


def test_forks_are_let_in_by_command_and_shut_out_again(
    platform: Parts, send: Callable[..., Received], reviewing: DeployHookShown
) -> None:
    fork = pull_request(head="stranger/shop")
    assert send(reviewing, fork, "pull_request").status == "ignored"
    for reviews, status in (("forks", "accepted"), ("own", "ignored"), ("", "ignored")):
        request = ChangeDeployHook(app="shop", hook="github", reviews=reviews)  # type: ignore[arg-type]
        assert deploy_hooks.change_deploy_hook(platform.context, request, platform.act).reviews == reviews
        assert send(reviewing, fork, "pull_request").status == status


def test_a_signed_hook_tells_of_no_pull_requests(platform: Parts, reviewing: DeployHookShown) -> None:
    with pytest.raises(UsageError, match="no pull requests"):
        added(platform, provider="signed", name="own", reviews="own")


# --- with real operations and real git ----------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[GitServer, Path]]:
    folder = tmp_path / "served" / "team" / "shop"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / "Procfile").write_text("web: python app.py\n")
    (folder / "requirements.txt").write_text("")
    (folder / "app.py").write_text("print(1)\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "First")
    with git_server(tmp_path / "served") as server:
        yield server, folder


def test_only_the_owner_at_the_socket_deploys_from_any_address(tmp_path: Path, served: tuple[GitServer, Path]) -> None:
    platform = parts(tmp_path / "strict")
    request = DeployApp(app="shop", source=SourceRef(git=served[0].url("team/shop")))
    door = Door.of(platform.context)
    for who in (owner("token", "token"), Actor(name="webhook x"), "server"):
        with pytest.raises(Denied, match="does not connect"):
            door.run(request, who, silent)
    assert served[0].asked == []
    door.run(request, owner("ann", "socket"), silent)
    assert platform.store.app("shop").wanted == 1


def test_what_was_pushed_becomes_an_operation_of_the_webhook(
    platform: Parts, served: tuple[GitServer, Path], send: Callable[..., Received]
) -> None:
    server, folder = served
    hook = added(platform, url=server.url("team/shop"))
    send(hook, push(after=git(folder, "rev-parse", "HEAD")))
    operations = Operations(Door.of(platform.context))
    Dispatcher(platform.context, operations.start).step()
    assert operations.wait(60)
    (operation,) = platform.store.operations()
    assert (operation.status, operation.actor, operation.error) == ("succeeded", "webhook github", "")
    release = platform.store.releases(App(id="a1b2c3d4", name="", created_at=0).id)[0]
    assert release.source is not None
    assert release.source.version == git(folder, "rev-parse", "HEAD")
    assert "s3cret" not in json.dumps([str(event) for event in platform.store.events()])
