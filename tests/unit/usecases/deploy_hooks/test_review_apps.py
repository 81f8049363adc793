"""What deploy hooks do with review apps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from paas.errors import Conflict, UsageError
from paas.model.reviews import Review, ReviewPolicy, review_key
from paas.requests.deploy_hooks import (
    ChangeDeployHook,
)
from paas.requests.reviews import CloseReview, OpenReview
from paas.usecases import deploy_hooks
from paas.usecases.deploy_hooks import DeployHookShown
from paas.usecases.hook_receiver import Received
from tests.unit.usecases.deploy_hooks.lab import Runs, added
from tests.unit.usecases.parts import Parts
from tests.unit.webhooks.say import NEW, pull_request, push


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
