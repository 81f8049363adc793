"""Review apps: how they are opened, deployed anew and closed, and what one shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paas.errors import Conflict, NotFound
from paas.model.app import App, ReleaseKind
from paas.model.events import Event
from paas.model.reviews import Review
from paas.requests.addons import AttachAddon
from paas.requests.deploy_hooks import AddDeployHook
from paas.requests.reviews import (
    EnableReviews,
    ShowReview,
)
from paas.usecases import addons, deploy_hooks, review_policy, reviews
from paas.usecases.context import Act
from tests.git_server import GitServer
from tests.unit.sources.test_clone import git
from tests.unit.usecases.parts import Parts
from tests.unit.usecases.reviews.lab import (
    closed,
    commit,
    database,
    opened,
    there,
    told,
)


def test_what_keeps_one_from_being_opened_is_said_when_they_are_enabled(
    platform: Parts, parent: App, served: GitServer
) -> None:
    def enabled(**changes: Any) -> str:
        return review_policy.enable_reviews(platform.context, EnableReviews(app="shop", **changes), platform.act).lacks

    assert enabled() == "nobody said where the code of shop is"
    with pytest.raises(Conflict, match=enabled()):
        opened(platform)
    assert enabled(source=served.url("team/shop")) == ""
    hook = AddDeployHook(app="shop", provider="github", url=served.url("team/shop"))
    deploy_hooks.add_deploy_hook(platform.context, hook, platform.act)
    assert enabled() == ""


def test_a_branch_gets_an_app_of_its_own_that_serves_it(
    platform: Parts, enable: Callable[..., None], repository: Path
) -> None:
    enable()
    answer = opened(platform)
    assert (answer.name, answer.status, answer.url) == ("shop-better", "open", "http://shop-better.localhost")
    assert answer.commit == git(repository, "rev-parse", "better")
    assert platform.running(platform.store.app("shop-better")) == {"web v1": 1}
    assert told(platform) == ["review.opened"]
    assert there(platform) == (answer,)


def test_the_same_again_is_a_deploy_of_the_same_app(
    platform: Parts, enable: Callable[..., None], repository: Path
) -> None:
    enable()
    first = opened(platform, "main", commit=git(repository, "rev-parse", "better"))
    platform.clock.sleep(3600)
    newest = commit(repository, "another")
    second = opened(platform, "main")
    assert (second.name, second.release, second.commit) == (first.name, 2, newest)
    assert second.expires_at == first.expires_at + 3600
    assert told(platform) == ["review.opened", "review.updated"]
    assert len(platform.store.apps()) == 2


def test_closed_it_is_gone_with_its_database_and_the_parents_stays(
    platform: Parts, enable: Callable[..., None]
) -> None:
    enable()
    database(platform)
    opened(platform)
    assert [one.name for one in platform.store.addons()] == ["shop-better-postgres", "shop-postgres"]
    assert closed(platform).addons == ("shop-better-postgres",)
    assert [one.name for one in platform.store.addons()] == ["shop-postgres"]
    assert [one.name for one in platform.store.apps()] == ["shop"]
    assert (there(platform), platform.store.reviews()) == ((), ())
    assert not list((platform.context.settings.home / "backups").glob("*")), "nobody asked for a dump"
    assert told(platform)[-1] == "review.closed"
    with pytest.raises(NotFound, match="no review app"):
        closed(platform)


def test_a_last_dump_is_kept_where_it_is_asked_for(platform: Parts, enable: Callable[..., None]) -> None:
    enable()
    database(platform)
    opened(platform)
    closed(platform, backup=True)
    assert [path.name.rpartition("-")[0] for path in (platform.context.settings.home / "backups").iterdir()] == [
        "shop-better-postgres"
    ]


def test_a_database_that_another_app_uses_stays_and_so_does_the_review(
    platform: Parts, enable: Callable[..., None]
) -> None:
    enable()
    database(platform)
    opened(platform)
    platform.app("blog", "b1b2b3b4")
    addons.attach_addon(platform.context, AttachAddon(addon="shop-better-postgres", app="blog"), platform.act)
    with pytest.raises(Conflict, match="in use by blog"):
        closed(platform)
    assert there(platform)[0].status == "closing"


def test_it_is_shown_and_found_by_name(platform: Parts, enable: Callable[..., None]) -> None:
    enable()
    opened(platform, "feature/login")
    name = there(platform)[0].name
    shown = reviews.show_review(platform.context, ShowReview(app="shop", review=name), platform.act)
    assert (shown.branch, shown.parent, shown.opened_by) == ("feature/login", "shop", "ann")
    with pytest.raises(NotFound, match="no review app 'shop'"):
        reviews.show_review(platform.context, ShowReview(app="shop", review="shop"), platform.act)


def test_what_happened_is_an_event_of_the_parent(platform: Parts, enable: Callable[..., None]) -> None:
    enable()
    opened(platform, "better", pull_request=7)
    found = [event for _, event in platform.store.events("a1b2c3d4") if event.kind == "review.opened"]
    assert found[0].app == "shop"
    assert found[0].data["pull_request"] == 7
    assert "http://shop-pr-7.localhost" in found[0].message
    assert isinstance(found[0], Event)
    closed(platform, "shop-pr-7")


def test_its_first_release_is_one_of_config(platform: Parts, enable: Callable[..., None]) -> None:
    enable(config={"A": "1"})
    opened(platform)
    app = platform.store.app("shop-better")
    kinds = [release.kind for release in platform.store.releases(app.id)]
    assert kinds == [ReleaseKind.DEPLOY, ReleaseKind.CONFIG]
    assert isinstance(platform.store.review(app.id), Review)
    assert isinstance(platform.act, Act)
