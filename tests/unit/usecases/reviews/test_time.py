"""How review apps end."""

from __future__ import annotations

import threading
from collections.abc import Callable

from paas.model.events import silent
from paas.model.reviews import DAY
from paas.requests.addons import AttachAddon
from paas.requests.apps import DestroyApp
from paas.requests.reviews import (
    ExtendReview,
    OpenReview,
)
from paas.usecases import addons, apps, reviews
from paas.usecases.review_watch import ReviewWatch
from tests.unit.usecases.parts import Parts
from tests.unit.usecases.reviews.lab import (
    database,
    opened,
    there,
    told,
)


def test_its_end_is_announced_and_then_comes(
    platform: Parts, enable: Callable[..., None], watch: Callable[[], None]
) -> None:
    enable(ttl=5 * DAY)
    opened(platform)
    watch()
    assert told(platform) == ["review.opened"]
    platform.clock.sleep(4 * DAY + 10)
    watch()
    watch()
    assert told(platform)[1:] == ["review.expires"]
    platform.clock.sleep(DAY)
    watch()
    assert told(platform)[2:] == ["review.expired", "review.closed"]
    assert [one.name for one in platform.store.apps()] == ["shop"]
    assert ("CloseReview", "server") in [(one.request, one.actor) for one in platform.store.records()]


def test_extended_it_lives_on_and_is_announced_again(
    platform: Parts, enable: Callable[..., None], watch: Callable[[], None]
) -> None:
    enable(ttl=2 * DAY)
    opened(platform)
    platform.clock.sleep(2 * DAY - 60)
    watch()
    request = ExtendReview(app="shop", review="shop-better", seconds=5 * DAY)
    until = reviews.extend_review(platform.context, request, platform.act).expires_at
    assert until == platform.clock.now() + 5 * DAY
    platform.clock.sleep(3600)
    watch()
    assert (told(platform).count("review.expires"), len(there(platform))) == (1, 1)
    platform.clock.sleep(5 * DAY - 7200)
    watch()
    assert told(platform).count("review.expires") == 2
    opened(platform)
    assert there(platform)[0].expires_at > until, "a deploy never shortens it"


def test_one_without_its_parent_goes(platform: Parts, enable: Callable[..., None], watch: Callable[[], None]) -> None:
    enable()
    opened(platform)
    apps.destroy_app(platform.context, DestroyApp(app="shop", confirm="shop"), platform.act)
    watch()
    assert (platform.store.apps(), platform.store.reviews()) == ((), ())


def test_one_that_somebody_destroyed_is_forgotten(
    platform: Parts, enable: Callable[..., None], watch: Callable[[], None]
) -> None:
    enable()
    opened(platform)
    apps.destroy_app(platform.context, DestroyApp(app="shop-better", confirm="shop-better"), platform.act)
    watch()
    assert there(platform) == ()


def test_one_that_cannot_be_closed_is_told_once_and_keeps_no_other(
    platform: Parts, enable: Callable[..., None], watch: Callable[[], None]
) -> None:
    database(platform)
    enable(ttl=DAY)
    opened(platform)
    opened(platform, "feature/login")
    platform.app("blog", "b1b2b3b4")
    addons.attach_addon(platform.context, AttachAddon(addon="shop-better-postgres", app="blog"), platform.act)
    platform.clock.sleep(2 * DAY)
    for _ in range(3):
        watch()
    assert [one.name for one in platform.store.reviews()] == ["shop-better"]
    assert told(platform).count("review.failed") == 1
    platform.clock.sleep(3600)
    watch()
    assert told(platform).count("review.failed") == 1
    addons.detach_addon(platform.context, addons.DetachAddon(addon="shop-better-postgres", app="blog"), platform.act)
    platform.clock.sleep(3600)
    watch()
    assert platform.store.reviews() == ()


def test_one_whose_end_takes_long_keeps_no_other_waiting(platform: Parts, enable: Callable[..., None]) -> None:
    enable(ttl=DAY)
    opened(platform)
    opened(platform, "feature/login")
    slow = platform.store.app("shop-better")
    platform.clock.sleep(2 * DAY)
    watch = ReviewWatch(platform.context)
    with platform.context.locks.hold(slow.id, "a script of it that takes long", silent):
        for _ in range(3):
            watch()
        eventually(lambda: [one.name for one in there(platform)] == ["shop-better"])
    eventually(lambda: there(platform) == ())
    assert told(platform).count("review.closed") == 2


def eventually(done: Callable[[], bool]) -> None:
    """Reviews are closed in threads of their own."""
    for _ in range(2000):
        if done():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not happen")


def test_one_that_is_being_worked_on_is_left_alone(
    platform: Parts, enable: Callable[..., None], watch: Callable[[], None]
) -> None:
    enable(ttl=DAY)
    opened(platform)
    platform.clock.sleep(2 * DAY)
    platform.builder.while_building = watch
    commit_now = reviews.open_review(platform.context, OpenReview(app="shop", branch="better"), platform.act)
    assert commit_now.status == "open"
