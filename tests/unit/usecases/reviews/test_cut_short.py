"""What is left of review apps after every failure and every kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from paas.errors import ConfigError
from paas.model.pipeline import Place, Stage
from paas.model.reviews import ReviewStatus
from paas.requests.addons import BackupAddon
from paas.requests.config import ChangeConfig
from paas.requests.reviews import (
    CloseReview,
    OpenReview,
)
from paas.usecases import backups, reviews
from paas.usecases.config import change_config
from paas.usecases.context import Context, Locks
from paas.usecases.review_watch import ReviewWatch
from tests.unit.usecases.parts import Parts
from tests.unit.usecases.reviews.lab import (
    closed,
    config,
    database,
    looked,
    opened,
    there,
    told,
)


def test_a_deploy_that_fails_is_told_and_the_next_push_may_mend_it(
    platform: Parts, enable: Callable[..., None]
) -> None:
    enable()
    platform.builder.fails = ConfigError("no such package")
    with pytest.raises(ConfigError):
        opened(platform)
    (shown,) = there(platform)
    assert (shown.status, shown.failure, shown.release) == ("failed", "no such package", 0)
    assert told(platform) == ["review.failed"]
    platform.builder.fails = None
    assert opened(platform).status == "open"
    assert told(platform) == ["review.failed", "review.opened"]
    assert len(platform.store.apps()) == 2


class Killed(BaseException):
    """The server is gone: nothing after this happens."""


class Life:
    """Of a server that ends at one call of one of its parts, before it or right after it."""

    def __init__(self, part: str, name: str, *, after: bool) -> None:
        self.part, self.name, self.after, self.over = part, name, after, False

    def wrapped(self, platform: Parts) -> Context:
        """The platform with parts that do nothing more once it is over: no clearing up either."""
        parts = {name: Mortal(getattr(platform.context, name), name, self) for name in ("store", "engine", "builder")}
        return replace(platform.context, locks=Locks(platform.clock), **parts)  # type: ignore[arg-type]


class Mortal:
    """A part of such a server."""

    def __init__(self, real: object, part: str, life: Life) -> None:
        self.real, self.part, self.life = real, part, life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        return partial(self.call, name, found) if callable(found) else found

    def call(self, name: str, found: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        life = self.life
        now = (life.part, life.name) == (self.part, name) and not life.over
        if life.over or (now and not life.after):
            life.over = True
            raise Killed
        answer = found(*args, **kwargs)
        if now:
            life.over = True
            raise Killed
        return answer


OPENING = [
    ("store", "put_review"), ("store", "add_app"), ("store", "put_place"), ("store", "add_release"),
    ("store", "add_addon"), ("store", "attach"), ("engine", "exec"), ("builder", "build"),
]  # fmt: skip


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("part", "name"), OPENING)
def test_opening_that_was_cut_short_anywhere_is_finished_by_opening_again(
    platform: Parts, enable: Callable[..., None], part: str, name: str, *, after: bool
) -> None:
    prepare(platform)
    enable(inherit=("PUBLIC",), seed="latest")
    dying = Life(part, name, after=after).wrapped(platform)
    with pytest.raises(Killed):
        reviews.open_review(dying, OpenReview(app="shop", branch="better"), platform.act)
    assert opened(platform).status == "open"
    assert [one.name for one in platform.store.apps()] == ["shop", "shop-better"]
    app = platform.store.app("shop-better")
    mine = [one for one in platform.store.addons() if one.owner_app == app.id]
    assert len(mine) == 1
    assert set(config(platform, "shop-better")) == {"PUBLIC", "DATABASE_URL"}
    assert platform.store.reviews()[0].seeded
    closed(platform)
    assert [one.name for one in platform.store.addons()] == ["shop-postgres"]


CLOSING = [
    ("store", "put_review"), ("store", "want"), ("engine", "forget"), ("store", "detach"), ("engine", "remove_volume"),
    ("store", "delete_addon"), ("store", "delete_app"), ("store", "delete_review"),
]  # fmt: skip


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("part", "name"), CLOSING)
def test_closing_that_was_cut_short_anywhere_is_finished_by_the_platform(
    platform: Parts, enable: Callable[..., None], part: str, name: str, *, after: bool
) -> None:
    prepare(platform)
    enable()
    opened(platform)
    dying = Life(part, name, after=after).wrapped(platform)
    with pytest.raises(Killed):
        reviews.close_review(dying, CloseReview(app="shop", review="shop-better"), platform.act)
    if (part, name, after) == ("store", "put_review", False):
        closed(platform)  # it had not even begun
    looked(ReviewWatch(platform.context))
    assert platform.store.reviews() == ()
    assert [one.name for one in platform.store.apps()] == ["shop"]
    assert [one.name for one in platform.store.addons()] == ["shop-postgres"]


def prepare(platform: Parts) -> None:
    platform.store.put_place(Place(app_id="a1b2c3d4", pipeline="way", stage=Stage.STAGING))
    change_config(platform.context, ChangeConfig(app="shop", set={"PUBLIC": "yes"}), platform.act)
    backups.backup_addon(platform.context, BackupAddon(addon=database(platform)), platform.act)


def test_one_that_was_being_closed_is_opened_as_another_app(platform: Parts, enable: Callable[..., None]) -> None:
    enable()
    opened(platform)
    before = platform.store.reviews()[0]
    platform.store.put_review(replace(before, status=ReviewStatus.CLOSING))
    opened(platform)
    assert platform.store.reviews()[0].app_id != before.app_id
    assert platform.store.app("shop-better").wanted == 1
