"""Apps: created, listed, renamed without losing anything, destroyed so that a kill in the middle can be repeated."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from paas.engines.memory import Behaviour
from paas.errors import Conflict, DeployFailed, NotFound, UsageError
from paas.model.app import Addon, Attachment
from paas.model.events import Event, silent
from paas.model.people import Access, Actor
from paas.requests.apps import CreateApp, DestroyApp, ListApps, RenameApp, ShowApp
from paas.requests.platform import PlatformDown, PlatformStatus, PlatformUp
from paas.usecases.apps import create_app, destroy_app, list_apps, rename_app, show_app
from paas.usecases.context import Act
from paas.usecases.platform import platform_down, platform_status, platform_up
from tests.unit.usecases.parts import GOOD, Parts


def status(platform: Parts) -> str:
    return show_app(platform.context, ShowApp(app="shop"), platform.act).status


def test_a_new_app_is_empty_and_has_an_id_of_its_own(platform: Parts) -> None:
    line = create_app(platform.context, CreateApp(name="shop"), platform.act)
    assert (line.name, line.status, line.url) == ("shop", "empty", "http://shop.localhost")
    assert len(line.id) == 8
    with pytest.raises(Conflict):
        create_app(platform.context, CreateApp(name="shop"), platform.act)


@pytest.mark.parametrize("name", ["", "UPPER", "a;id", "-rf", "x_y", "traefik", "1st", "a" * 41])
def test_a_name_that_cannot_be_one_is_refused(platform: Parts, name: str) -> None:
    with pytest.raises(UsageError):
        create_app(platform.context, CreateApp(name=name), platform.act)
    assert platform.store.apps() == ()


def test_the_status_is_what_is_observed(platform: Parts) -> None:
    app = platform.app(web=2)
    assert status(platform) == "empty"
    platform.release(app)
    assert status(platform) == "running"
    first, second = (replica.id for replica in platform.engine.observe(app.id)[0].replicas)
    platform.engine.crash(first)
    assert status(platform) == "degraded"
    platform.engine.crash(second)
    assert status(platform) == "down"
    platform.engine.down = True
    assert status(platform) == "unknown"
    assert [line.status for line in list_apps(platform.context, ListApps(), platform.act)] == ["unknown"]


def test_replicas_that_only_finish_what_they_have_serve_nobody(platform: Parts) -> None:
    app = platform.app(web=2)
    platform.release(app)
    (service,) = platform.engine.observe(app.id)
    first, second = (replica.id for replica in service.replicas)
    platform.store.save_app(replace(app, formation={"web": 1}, wanted=1))
    platform.context.leaving.leave({second: service.key})
    platform.engine.ail(first)
    assert status(platform) == "down"
    assert [line.status for line in list_apps(platform.context, ListApps(), platform.act)] == ["down"]


def test_an_app_scaled_to_nothing_is_stopped(platform: Parts) -> None:
    platform.release(platform.app(web=0))
    assert status(platform) == "stopped"


def test_who_works_on_an_app_is_shown(platform: Parts) -> None:
    app = platform.app()
    with platform.context.locks.hold(app.id, "bob: deploy", platform.events.append):
        assert show_app(platform.context, ShowApp(app="shop"), platform.act).busy == "bob: deploy"


def test_a_rename_keeps_id_and_history_and_moves_the_host_and_the_variable(platform: Parts) -> None:
    app = platform.app(web=2)
    platform.release(app)
    answer = rename_app(platform.context, RenameApp(app="shop", name="store"), platform.act)
    assert (answer.app, answer.release) == ("store", 2)
    renamed = platform.store.app("store")
    assert renamed.id == app.id
    assert [release.number for release in platform.store.releases(app.id)] == [2, 1]
    assert platform.router.observe()[0].hosts == ("store.localhost",)
    assert platform.running(app) == {"web v2": 2}
    with pytest.raises(NotFound):
        platform.store.app("shop")


def test_a_rename_that_fails_is_taken_back(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    platform.engine.behaviours[GOOD] = Behaviour(boots=None)
    with pytest.raises(DeployFailed):
        rename_app(platform.context, RenameApp(app="shop", name="store"), platform.act)
    assert platform.store.app(app.id).name == "shop"
    assert platform.router.observe()[0].hosts == ("shop.localhost",)
    assert platform.running(app) == {"web v1": 1}


def test_a_rename_to_a_taken_or_bad_name_changes_nothing(platform: Parts) -> None:
    app = platform.app()
    platform.app("other", "ffffffff")
    with pytest.raises(Conflict):
        rename_app(platform.context, RenameApp(app="shop", name="other"), platform.act)
    with pytest.raises(UsageError):
        rename_app(platform.context, RenameApp(app="shop", name="No"), platform.act)
    assert platform.store.releases(app.id) == ()
    assert platform.context.locks.holder(app.id) == ""


def test_destroying_takes_everything_of_the_app_and_nothing_of_others(platform: Parts) -> None:
    app, other = platform.app(web=1), platform.app("other", "ffffffff", web=1)
    platform.release(app)
    platform.release(other)
    destroy_app(platform.context, DestroyApp(app="shop", confirm="shop"), platform.act)
    assert [left.name for left in platform.store.apps()] == ["other"]
    assert platform.running(app) == {}
    assert platform.running(other) == {"web v1": 1}
    assert [route.app_name for route in platform.router.observe()] == ["other"]
    assert list(platform.builder.named) == [f"paas/{other.id}:good"]


def test_destroying_needs_the_name(platform: Parts) -> None:
    platform.release(platform.app(web=1))
    with pytest.raises(UsageError) as caught:
        destroy_app(platform.context, DestroyApp(app="shop", confirm="other"), platform.act)
    assert "--confirm shop" in caught.value.hint
    assert status(platform) == "running"


@pytest.mark.parametrize("part", ["router.remove", "engine.forget", "builder.remove", "store.delete_app"])
def test_a_destroy_that_was_cut_short_can_be_repeated(
    platform: Parts, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = platform.app(web=1)
    platform.release(app)
    owner, method = part.split(".")

    def die(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(getattr(platform, owner), method, die)
        with pytest.raises(KeyboardInterrupt):
            destroy_app(platform.context, DestroyApp(app="shop", confirm="shop"), platform.act)
    destroy_app(platform.context, DestroyApp(app="shop", confirm="shop"), platform.act)
    assert platform.store.apps() == ()
    assert platform.running(app) == {}
    assert platform.builder.named == {}


# --- the platform --------------------------------------------------------------------------------------------------


def test_up_starts_the_router_and_reconciles_every_app_and_one_bad_app_does_not_stop_the_others(
    platform: Parts,
) -> None:
    app, other = platform.app(web=1), platform.app("other", "ffffffff", web=1)
    platform.release(app)
    platform.release(other, "sha256:flaky")
    platform.router.down()
    for observed in platform.engine.observe():
        platform.engine.forget(observed.key.app_id)
    platform.engine.behaviours["sha256:flaky"] = Behaviour(exits=1)
    answer = platform_up(platform.context, PlatformUp(), platform.act)
    assert list(answer.failed) == ["other"]
    assert platform.router.alive()
    assert platform.serving(app) == {GOOD}


def test_up_tells_of_an_app_that_the_controller_is_looking_at_in_that_moment(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app, "sha256:flaky")
    platform.engine.forget(app.id)
    platform.engine.behaviours["sha256:flaky"] = Behaviour(exits=1)
    taken, over = threading.Event(), threading.Event()

    def repair() -> None:
        with platform.context.locks.hold(app.id, "the controller", silent):
            taken.set()
            over.wait(10)

    controller = threading.Thread(target=repair)
    controller.start()
    taken.wait(10)
    threading.Timer(0.2, over.set).start()
    answer = platform_up(platform.context, PlatformUp(), platform.act)
    controller.join()
    assert list(answer.failed) == ["shop"]


def test_an_app_that_is_taken_away_while_the_platform_comes_up_is_no_failure(platform: Parts) -> None:
    early, later = platform.app("early", "0a0a0a0a", web=1), platform.app("later", "0b0b0b0b", web=1)
    platform.release(early)
    platform.release(later)
    platform.engine.forget(early.id)

    def destroying(event: Event) -> None:
        if event.kind == "step" and event.app == "early" and len(platform.store.apps()) == 2:
            destroy_app(platform.context, DestroyApp(app="later", confirm="later"), platform.act)

    answer = platform_up(platform.context, PlatformUp(), Act("ann", destroying))
    assert (answer.failed, answer.apps) == ({}, 1)
    assert platform.serving(early) == {GOOD}


def test_down_stops_the_router_and_leaves_apps_and_data(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    shown = platform_down(platform.context, PlatformDown(), platform.act)
    assert not shown.router
    assert platform.running(app) == {"web v1": 1}


def test_the_status_is_told_even_when_the_engine_does_not_answer(platform: Parts) -> None:
    platform.release(platform.app(web=2))
    shown = platform_status(platform.context, PlatformStatus(), platform.act)
    assert (shown.apps, shown.replicas, shown.healthy, shown.engine) == (1, 2, 2, "memory")
    platform.engine.down = True
    shown = platform_status(platform.context, PlatformStatus(), platform.act)
    assert (shown.apps, shown.engine) == (1, "")


def test_members_are_told_counts_of_what_they_may_see(platform: Parts) -> None:
    """What others have there is nobody's business; a platform's operator sees to all of it."""
    platform.release(platform.app(web=2))
    theirs = platform.app("other", "ffffffff")
    platform.release(theirs)
    member = Actor(name="ann", user_id="u1", access=Access(apps={theirs.id: "viewer"}))
    shown = platform_status(platform.context, PlatformStatus(), replace(platform.act, who=member))
    assert (shown.apps, shown.replicas, shown.home) == (1, 1, "")
    assert platform_status(platform.context, PlatformStatus(), platform.act).replicas == 3


def test_destroying_with_addons_begins_nothing_while_another_app_uses_one_of_them(platform: Parts) -> None:
    app, other = platform.app(web=1), platform.app("other", "ffffffff")
    platform.release(app)
    for id in ("dd", "ee"):
        platform.store.add_addon(
            Addon(
                id=id,
                name=f"db-{id}",
                kind="postgres",
                version="17",
                image="i",
                volume=id,
                created_at=1,
                owner_app=app.id,
            )
        )
        platform.store.attach(Attachment(addon_id=id, app_id=app.id, alias=f"DB_{id.upper()}"))
    platform.store.attach(Attachment(addon_id="ee", app_id=other.id, alias="DATABASE"))
    with pytest.raises(Conflict, match="db-ee is in use by other"):
        destroy_app(platform.context, DestroyApp(app="shop", confirm="shop", addons=True), platform.act)
    assert status(platform) == "running"
    assert platform.running(app) == {"web v1": 1}
    assert [addon.name for addon in platform.store.addons()] == ["db-dd", "db-ee"]


def test_an_app_takes_no_name_of_an_addon(platform: Parts) -> None:
    platform.app(web=1)
    addon = Addon(id="dd", name="db", kind="postgres", version="17", image="i", volume="v", created_at=1)
    platform.store.add_addon(addon)
    with pytest.raises(Conflict, match="'db' is the name of an addon"):
        create_app(platform.context, CreateApp(name="db"), platform.act)
    with pytest.raises(Conflict, match="'db' is the name of an addon"):
        rename_app(platform.context, RenameApp(app="shop", name="db"), platform.act)
    assert [app.name for app in platform.store.apps()] == ["shop"]
