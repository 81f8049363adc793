"""Which review apps are refused, where their code comes from, and who may open them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paas.errors import Conflict, Denied, NotFound, PaasError, UsageError
from paas.model.app import App
from paas.model.people import Access, Actor, Token, new_secret
from paas.requests.deploy_hooks import AddDeployHook
from paas.requests.deploys import DeployApp, SourceRef
from paas.requests.reviews import (
    DisableReviews,
    OpenReview,
)
from paas.usecases import deploy_hooks, review_policy, reviews
from paas.usecases import repository as repositories
from paas.usecases.deploy import deploy_app
from paas.usecases.door import Door
from paas.usecases.logins import PREFIX, Logins
from paas.usecases.reviews import ReviewShown
from tests.git_server import GitServer
from tests.unit.sources.test_clone import git
from tests.unit.usecases.parts import Parts
from tests.unit.usecases.reviews.lab import (
    closed,
    commit,
    opened,
    there,
    told,
)


def test_no_more_than_the_most_are_there_at_once(platform: Parts, enable: Callable[..., None]) -> None:
    enable(most=1)
    opened(platform)
    with pytest.raises(Conflict, match="1 at most") as caught:
        opened(platform, "feature/login")
    assert "paas reviews close shop-better" in caught.value.hint
    assert told(platform)[-1] == "review.limit"
    opened(platform)
    closed(platform)
    assert opened(platform, "feature/login").status == "open"


def test_without_being_enabled_there_are_none(platform: Parts, parent: App, enable: Callable[..., None]) -> None:
    with pytest.raises(Conflict, match="has no review apps"):
        opened(platform)
    enable()
    opened(platform)
    review_policy.disable_reviews(platform.context, DisableReviews(app="shop"), platform.act)
    with pytest.raises(Conflict, match="has no review apps"):
        opened(platform)
    assert len(there(platform)) == 1, "those there are stay"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"branch": ""}, UsageError),
        ({"branch": "--upload-pack=x"}, UsageError),
        ({"branch": "a..b"}, UsageError),
        ({"branch": "better", "commit": "x y"}, UsageError),
        ({"branch": "not-there"}, NotFound),
        ({"branch": "better", "hook": "nobody"}, NotFound),
    ],
)
def test_what_cannot_be_opened_is_refused(
    platform: Parts, enable: Callable[..., None], changes: dict[str, Any], error: type[PaasError]
) -> None:
    enable()
    with pytest.raises(error):
        opened(platform, **changes)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"memory": 1000}, UsageError),
        ({"inherit": ("PORT",)}, UsageError),
        ({"inherit": ("a b",)}, UsageError),
        ({"config": {"PAAS_X": "1"}}, UsageError),
        ({"inherit": ("A",), "config": {"A": "1"}}, UsageError),
        ({"source": "http://127.0.0.1:1/x.git#main"}, UsageError),
        ({"source": "http://169.254.169.254/x.git"}, Denied),
        ({"source": "ext::id"}, UsageError),
    ],
)
def test_policies_that_cannot_be_are_refused(
    platform: Parts, enable: Callable[..., None], changes: dict[str, Any], error: type[PaasError]
) -> None:
    with pytest.raises(error):
        enable(**changes)
    assert platform.store.review_policy("a1b2c3d4") is None


def test_a_review_app_has_none_itself(platform: Parts, enable: Callable[..., None], served: GitServer) -> None:
    enable()
    opened(platform)
    with pytest.raises(Conflict, match="is a review app itself"):
        enable(app="shop-better")


def test_nobody_said_where_the_code_is(platform: Parts, enable: Callable[..., None]) -> None:
    enable(source="")
    with pytest.raises(Conflict, match="nobody said where the code"):
        opened(platform)


def test_the_code_comes_from_what_was_pushed_where_nobody_said_where_else(
    platform: Parts, parent: App, enable: Callable[..., None], repository: Path
) -> None:
    """A branch, a commit of it by a part of its id; what was not pushed is told, as is a pull request by number."""
    own = repositories.prepared(platform.context.settings, parent.id)
    git(repository, "push", "--quiet", str(own), "main", "better")
    enable(source="")
    commit = git(repository, "rev-parse", "better")
    assert opened(platform).commit == commit
    first = git(repository, "rev-parse", "main")
    assert opened(platform, commit=first[:12]).commit == first
    with pytest.raises(NotFound, match="'nowhere' was not pushed to shop"):
        opened(platform, "nowhere")
    with pytest.raises(NotFound, match="pull request 7"):
        opened(platform, "", pull_request=7)
    with pytest.raises(NotFound, match="'better' was not pushed"):
        opened(platform, pull_request=7, fork=True)
    assert [one.name for one in there(platform)] == ["shop-better"]


def test_a_branch_that_moves_before_its_turn_is_opened_as_it_is_then(
    platform: Parts, parent: App, enable: Callable[..., None], repository: Path
) -> None:
    """Of two pushes the one that asks first may get its turn last."""
    own = repositories.prepared(platform.context.settings, parent.id)
    git(repository, "push", "--quiet", str(own), "main", "better")
    enable(source="")
    opened(platform)
    newest = commit(repository, "newest")
    waits = threading.Event()
    act = replace(platform.act, emit=lambda event: waits.set() if event.message.startswith("waiting: ") else None)
    answers: list[ReviewShown] = []
    request = OpenReview(app="shop", branch="better")
    late = threading.Thread(target=lambda: answers.append(reviews.open_review(platform.context, request, act)))
    with reviews.try_turn(platform.context, platform.store.reviews()[0]) as mine:
        assert mine
        late.start()
        assert waits.wait(10)
        git(repository, "push", "--quiet", str(own), "main:better")
    late.join(30)
    assert [one.commit for one in answers] == [newest]


def test_pushes_are_followed_where_no_other_repository_is_named(
    platform: Parts, parent: App, enable: Callable[..., None], repository: Path, served: GitServer
) -> None:
    own = repositories.prepared(platform.context.settings, parent.id)
    git(repository, "push", "--quiet", str(own), "main", "better")

    def followed() -> tuple[str, ...]:
        return review_policy.followed_branches(platform.context, parent)

    enable(source="")
    assert not followed(), "there are none"
    opened(platform, pull_request=7)
    assert not followed(), "a pull request is not of this repository alone"
    opened(platform)
    assert followed() == ("better",)
    enable(source=served.url("team/shop"))
    assert not followed()
    review_policy.disable_reviews(platform.context, DisableReviews(app="shop"), platform.act)
    assert followed() == ("better",), "those there are stay"
    hook = AddDeployHook(app="shop", provider="github", url=served.url("team/shop"))
    deploy_hooks.add_deploy_hook(platform.context, hook, platform.act)
    assert not followed()


def test_a_commit_of_the_parents_is_for_its_review_apps_alone(
    platform: Parts, parent: App, enable: Callable[..., None], repository: Path
) -> None:
    own = repositories.prepared(platform.context.settings, parent.id)
    git(repository, "push", "--quiet", str(own), "main", "better")
    other = platform.app("other", "0c0c0c0c", web=1)
    source = SourceRef(commit=git(repository, "rev-parse", "better"))
    with pytest.raises(NotFound, match="nothing was ever pushed"):
        deploy_app(platform.context, DeployApp(app=other.name, source=source, create=False), platform.act)


def test_opening_takes_the_role_deployer_on_the_parent_alone(platform: Parts, enable: Callable[..., None]) -> None:
    enable()
    door = Door.of(platform.context)
    request = OpenReview(app="shop", branch="better")
    viewer = Actor(name="vic", user_id="0vic", access=Access(platform="viewer", apps={"a1b2c3d4": "viewer"}))
    with pytest.raises(Denied):
        door.run(request, viewer, platform.events.append)
    bob = Actor(name="bob", user_id="0bob", access=Access(platform="viewer", apps={"a1b2c3d4": "deployer"}))
    door.run(request, bob, platform.events.append)
    made = platform.store.app("shop-better")
    assert platform.store.grants(app_id=made.id) == (), "it is its parent's"
    noted = [(one.request, one.actor, one.app) for one in platform.store.records()]
    assert ("OpenReview", "bob", "shop") in noted
    assert ("CreateApp", "bob", "shop-better") in noted


def test_a_token_for_the_parent_is_one_for_its_review_apps(platform: Parts, enable: Callable[..., None]) -> None:
    enable()
    token_id, text, digest = new_secret(PREFIX)
    token = Token(
        id=token_id, digest=digest, name="ci", kind="personal", created_by="x", created_at=1.0, role="deployer",
        apps=("a1b2c3d4",),
    )  # fmt: skip
    platform.store.add_token(token)
    logins = Logins(platform.context)
    platform.app("blog", "b1b2b3b4")
    assert logins.by_token(text).access.on_app("b1b2b3b4") == ""
    opened(platform)
    made = platform.store.app("shop-better")
    assert logins.by_token(text).access.on_app(made.id) == "deployer"
    assert logins.by_token(text).access.on_app("b1b2b3b4") == ""
    closed(platform)
    assert logins.by_token(text).access.on_app(made.id) == ""
