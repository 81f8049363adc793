"""Falling asleep and waking on the platform of memory parts."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from paas.errors import Conflict, PlatformError, UsageError
from paas.interfaces import Engine, Router
from paas.model.events import Emit, Event
from paas.model.route import Route, Traffic
from paas.model.service import ServiceSpec
from paas.reconcile import reconcile
from paas.requests.apps import ListApps, ShowApp
from paas.requests.processes import ListReplicas, Scale
from paas.requests.sleep import SetSleep, ShowSleep, SleepNow, UnsetSleep, WakeApp
from paas.routers.memory import MemoryRouter
from paas.usecases.apps import list_apps, show_app
from paas.usecases.context import Act
from paas.usecases.processes import list_replicas, scale
from paas.usecases.sleep import (
    Sleeper,
    declared,
    fall_asleep,
    set_sleep,
    show_sleep,
    sleep_now,
    unset_sleep,
    wake,
    wake_app,
)
from paas.usecases.switch import world
from tests.unit.usecases.parts import GOOD, Parts, Slow

PORT = 40_123


class Ports:
    """Gives every app the same port."""

    def listen(self, app_id: str, port: int = 0) -> int:
        return PORT

    def forget_all_but(self, app_ids: Iterable[str]) -> None:
        pass


class Deaf:
    """A router that takes no routes."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def __getattr__(self, name: str) -> Any:
        return getattr(self._router, name)

    def apply(self, *args: Any, **kwargs: Any) -> Any:
        raise PlatformError("the router does not answer")


class Asked:
    """A router that meets a request to an app while the routes of another change."""

    def __init__(self, router: MemoryRouter) -> None:
        self._router = router

    def __getattr__(self, name: str) -> Any:
        return getattr(self._router, name)

    def apply(self, *args: Any, **kwargs: Any) -> Any:
        self._router.passed = [Traffic(app_id="b2b2b2b2", requests={"2xx": 1}, seconds=0.01)]
        return self._router.apply(*args, **kwargs)


class Small:
    """An engine with room for so many replicas of each process."""

    def __init__(self, engine: Engine, room: int = 1) -> None:
        self._engine, self._room = engine, room

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def apply(self, spec: ServiceSpec, replicas: int, emit: Emit, besides: Sequence[str] = ()) -> None:
        if replicas > self._room:
            raise PlatformError("there is no room")
        self._engine.apply(spec, replicas, emit, besides)


def look(sleeper: Sleeper) -> None:
    """One look, and the ends of what fell asleep."""
    sleeper()
    sleeper.wait()


def route(platform: Parts) -> Route:
    return platform.context.router.observe()[0]


def port(platform: Parts, app_id: str) -> int:
    known = platform.store.sleep(app_id)
    return known.port if known else -1


def running(platform: Parts) -> int:
    return sum(len(one.replicas) for one in platform.context.engine.observe())


@pytest.fixture
def sleeper(platform: Parts) -> Sleeper:
    """An app that may sleep after a minute, looked at once."""
    platform.release(platform.app(web=2))
    set_sleep(platform.context, SetSleep(app="shop", after=60), platform.act)
    made = Sleeper(platform.context, Ports())
    look(made)
    return made


def asleep(platform: Parts, sleeper: Sleeper) -> bool:
    platform.clock.sleep(61)
    look(sleeper)
    return show_sleep(platform.context, ShowSleep(app="shop"), platform.act).asleep


def test_an_idle_app_sleeps_and_its_route_leads_to_the_waker(platform: Parts, sleeper: Sleeper) -> None:
    assert asleep(platform, sleeper)
    assert running(platform) == 0
    assert (route(platform).servers, route(platform).waker) == ((), f"127.0.0.1:{PORT}")


def test_an_app_is_not_put_to_sleep_before_its_time(platform: Parts, sleeper: Sleeper) -> None:
    platform.clock.sleep(50)
    look(sleeper)
    assert running(platform) == 2


def test_a_request_in_flight_keeps_it_awake(platform: Parts, sleeper: Sleeper) -> None:
    platform.router.busy[route(platform).servers[0]] = 1
    assert not asleep(platform, sleeper)


def test_what_lasts_begins_the_idle_time_anew_and_a_single_moment_does_not(platform: Parts, sleeper: Sleeper) -> None:
    server = route(platform).servers[0]

    def after(seconds: float, flying: int) -> int:
        platform.clock.sleep(seconds)
        platform.router.busy[server] = flying
        look(sleeper)
        return running(platform)

    assert [after(5, flying) for flying in (1, 0, 1, 0)] == [2] * 4, "the platform's own checks, met by chance"
    assert after(39, 0) == 2
    assert after(2, 0) == 0
    wake(platform.context, platform.context.store.app("shop").id)
    server = route(platform).servers[0]
    assert [after(5, flying) for flying in (0, 1, 1, 1)] == [2] * 4, "a WebSocket"
    assert after(55, 0) == 2
    assert after(6, 0) == 0


def test_who_works_on_it_keeps_it_awake(platform: Parts, sleeper: Sleeper) -> None:
    app = platform.context.store.app("shop")
    with platform.context.locks.hold(app.id, "a deploy", platform.act.emit):
        assert not asleep(platform, sleeper)


def test_waking_starts_all_replicas_and_leads_past_the_waker(platform: Parts, sleeper: Sleeper) -> None:
    assert asleep(platform, sleeper)
    address = wake(platform.context, platform.context.store.app("shop").id)
    assert address in route(platform).servers
    assert (len(route(platform).servers), route(platform).waker) == (2, "")
    assert not show_sleep(platform.context, ShowSleep(app="shop"), platform.act).asleep


def test_the_first_replica_answers_before_it_is_routed_and_before_the_others_are_started(
    platform: Parts, sleeper: Sleeper
) -> None:
    assert asleep(platform, sleeper)
    heard: list[tuple[str, int, tuple[str, ...]]] = []

    def ready(address: str) -> None:
        heard.append((address, running(platform), route(platform).servers))

    wake(platform.context, platform.context.store.app("shop").id, ready=ready)
    ((address, started, routed),) = heard
    assert (started, routed) == (1, ())
    assert address in route(platform).servers
    assert running(platform) == 2


def test_an_app_of_which_only_the_first_replica_starts_is_awake_and_its_events_say_what_lacks(
    platform: Parts, sleeper: Sleeper
) -> None:
    assert asleep(platform, sleeper)
    context = replace(platform.context, engine=cast(Any, Small(platform.context.engine)))
    said: list[Event] = []
    wake_app(context, WakeApp(app="shop"), Act(actor="ann", emit=said.append))
    assert len(route(platform).servers) == 1
    assert running(platform) == 1
    assert [one.message for one in said if one.kind == "warning"] == [
        "shop is awake, but not all of it: there is no room"
    ]
    assert not show_sleep(platform.context, ShowSleep(app="shop"), platform.act).asleep
    (told,) = [event.message for _, event in platform.store.events() if event.kind == "sleep.woke_partly"]
    assert told == "shop is awake, but not all of it: there is no room"


def test_an_app_of_which_nothing_starts_sleeps_on(platform: Parts, sleeper: Sleeper) -> None:
    assert asleep(platform, sleeper)
    context = replace(platform.context, engine=cast(Any, Small(platform.context.engine, room=0)))
    with pytest.raises(PlatformError, match="no room"):
        wake(context, platform.context.store.app("shop").id)
    assert show_sleep(platform.context, ShowSleep(app="shop"), platform.act).asleep
    assert route(platform).waker == f"127.0.0.1:{PORT}"


def test_a_request_wakes_it_while_what_ran_still_finishes_what_it_had(platform: Parts) -> None:
    app = platform.app(web=1, worker=1)
    platform.release(app, GOOD, "web", "worker")
    set_sleep(platform.context, SetSleep(app="shop", after=60), platform.act)
    slow = Slow(platform.engine, "worker")
    context = replace(platform.context, engine=cast(Engine, slow))
    sleeper = Sleeper(context, Ports())
    look(sleeper)
    platform.clock.sleep(61)
    sleeper()
    assert slow.asked.wait(10)
    woken = threading.Thread(target=wake, args=(context, app.id))
    woken.start()
    woken.join(10)
    slept = woken.is_alive()
    slow.may.set()
    woken.join(10)
    sleeper.wait()
    assert not slept, "the request waited for the end of a worker"
    assert platform.running(app) == {"web v1": 1, "worker v1": 1}
    assert not show_sleep(platform.context, ShowSleep(app="shop"), platform.act).asleep


def test_scaling_wakes_it(platform: Parts, sleeper: Sleeper) -> None:
    assert asleep(platform, sleeper)
    scale(platform.context, Scale(app="shop", counts={"web": 3}), platform.act)
    assert running(platform) == 3
    assert route(platform).waker == ""


def test_off_wakes_it_for_good(platform: Parts, sleeper: Sleeper) -> None:
    assert asleep(platform, sleeper)
    set_sleep(platform.context, SetSleep(app="shop", after=0), platform.act)
    assert running(platform) == 2
    assert not asleep(platform, sleeper)


def test_without_a_port_to_hold_requests_nothing_sleeps(platform: Parts) -> None:
    platform.release(platform.app(web=1))
    set_sleep(platform.context, SetSleep(app="shop", after=60), platform.act)
    assert not fall_asleep(platform.context, platform.context.store.app("shop").id)


@pytest.mark.timeout(20)
def test_an_app_that_somebody_works_on_holds_up_no_other(platform: Parts, sleeper: Sleeper) -> None:
    platform.app("busy", "b2b2b2b2")
    set_sleep(platform.context, SetSleep(app="busy", after=60), platform.act)
    with platform.context.locks.hold("b2b2b2b2", "a deploy", platform.act.emit):
        assert asleep(platform, sleeper), "shop"
        assert port(platform, "b2b2b2b2") == 0
    look(sleeper)
    assert port(platform, "b2b2b2b2") == PORT


def test_who_is_asked_for_while_another_falls_asleep_stays_awake(platform: Parts, sleeper: Sleeper) -> None:
    platform.release(platform.app("blog", "b2b2b2b2", web=1))
    set_sleep(platform.context, SetSleep(app="blog", after=60), platform.act)
    look(sleeper)
    sleeper.context = replace(platform.context, router=cast(Router, Asked(platform.router)))
    platform.clock.sleep(61)
    look(sleeper)
    assert [one.app_id for one in platform.store.sleeps() if one.asleep] == [platform.store.app("shop").id]
    platform.clock.sleep(59)
    look(sleeper)
    assert len([one for one in platform.store.sleeps() if one.asleep]) == 1, "its idle time began anew"


def kept(platform: Parts) -> tuple[float, bool]:
    shown = show_sleep(platform.context, ShowSleep(app="shop"), platform.act)
    return shown.after, shown.by_file


def test_what_the_files_say_counts_until_a_command_says_otherwise_and_again_when_that_is_unset(platform: Parts) -> None:
    app = platform.app(web=1)
    declared(platform.context, app.id, 600.0)
    assert kept(platform) == (600.0, True)
    declared(platform.context, app.id, 900.0)
    assert kept(platform) == (900.0, True)
    set_sleep(platform.context, SetSleep(app="shop", after=0), platform.act)
    declared(platform.context, app.id, 600.0)
    assert kept(platform) == (0.0, False), "off is for good, whatever is deployed"
    unset_sleep(platform.context, UnsetSleep(app="shop"), platform.act)
    declared(platform.context, app.id, 600.0)
    assert kept(platform) == (600.0, True)
    declared(platform.context, app.id, None)
    assert kept(platform) == (0.0, False)


def test_what_a_command_said_outlives_files_that_say_nothing(platform: Parts) -> None:
    app = platform.app(web=1)
    set_sleep(platform.context, SetSleep(app="shop", after=120), platform.act)
    declared(platform.context, app.id, None)
    assert kept(platform) == (120.0, False)


def test_it_sleeps_and_wakes_when_somebody_says_so_and_is_said_to(platform: Parts, sleeper: Sleeper) -> None:
    def status() -> tuple[str, str, bool]:
        (line,) = list_apps(platform.context, ListApps(), platform.act)
        shown = show_app(platform.context, ShowApp(app="shop"), platform.act)
        return line.status, shown.status, list_replicas(platform.context, ListReplicas(app="shop"), platform.act).asleep

    assert status() == ("running", "running", False)
    for _ in range(2):
        assert sleep_now(platform.context, SleepNow(app="shop"), platform.act).asleep
    assert running(platform) == 0
    assert status() == ("asleep", "asleep", True)
    for _ in range(2):
        assert not wake_app(platform.context, WakeApp(app="shop"), platform.act).asleep
    assert (running(platform), status()) == (2, ("running", "running", False))
    events = [event.message for _, event in platform.store.events() if event.kind.startswith("sleep.")]
    assert events == ["shop sleeps: ann said so", "shop is awake: ann woke it"]


def test_an_app_that_runs_no_web_is_awake_when_its_others_are(platform: Parts) -> None:
    platform.release(platform.app(web=0, worker=1), GOOD, "web", "worker")
    set_sleep(platform.context, SetSleep(app="shop", after=60), platform.act)
    sleeper = Sleeper(platform.context, Ports())
    look(sleeper)
    assert not asleep(platform, sleeper), "nobody asks for it, so nobody could wake it"
    assert sleep_now(platform.context, SleepNow(app="shop"), platform.act).asleep
    assert running(platform) == 0
    assert not wake_app(platform.context, WakeApp(app="shop"), platform.act).asleep
    assert running(platform) == 1


def test_unset_starts_what_slept(platform: Parts, sleeper: Sleeper) -> None:
    assert asleep(platform, sleeper)
    unset_sleep(platform.context, UnsetSleep(app="shop"), platform.act)
    assert running(platform) == 2
    assert kept(platform) == (0.0, False)


def test_now_is_refused_where_it_cannot_sleep(platform: Parts, sleeper: Sleeper) -> None:
    held = platform.context.locks.hold(platform.store.app("shop").id, "bob: deploy", platform.act.emit)
    with held, pytest.raises(Conflict, match="shop is busy: bob: deploy"):
        sleep_now(platform.context, SleepNow(app="shop"), platform.act)
    set_sleep(platform.context, SetSleep(app="shop", after=0), platform.act)
    with pytest.raises(Conflict, match="never sleeps") as refused:
        sleep_now(platform.context, SleepNow(app="shop"), platform.act)
    assert refused.value.hint == "paas sleep set shop 30m"
    platform.app("empty", "0d0d0d0d")
    set_sleep(platform.context, SetSleep(app="empty", after=60), platform.act)
    with pytest.raises(Conflict, match="cannot sleep yet"):
        sleep_now(platform.context, SleepNow(app="empty"), platform.act)
    look(sleeper)
    with pytest.raises(Conflict, match="no release that runs"):
        sleep_now(platform.context, SleepNow(app="empty"), platform.act)


def test_now_waits_for_the_watch_where_it_was_only_just_allowed(
    platform: Parts, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset_sleep(platform.context, UnsetSleep(app="shop"), platform.act)
    set_sleep(platform.context, SetSleep(app="shop", after=60), platform.act)
    monkeypatch.setattr(platform.clock, "sleep", lambda seconds: look(sleeper))
    assert sleep_now(platform.context, SleepNow(app="shop"), platform.act).asleep
    assert running(platform) == 0


def test_a_time_too_short_is_refused(platform: Parts) -> None:
    platform.app()
    with pytest.raises(UsageError, match="60 s"):
        set_sleep(platform.context, SetSleep(app="shop", after=5), platform.act)


def test_what_cannot_be_put_to_sleep_is_awake_told_and_tried_again_later(platform: Parts, sleeper: Sleeper) -> None:
    sleeper.context = replace(platform.context, router=cast(Router, Deaf(platform.context.router)))
    app = platform.context.store.app("shop")
    for after, tries in ((61, 1), (5, 1), (61, 2)):
        platform.clock.sleep(after)
        look(sleeper)
        kinds = [event.kind for _, event in platform.context.store.events(app.id)]
        assert kinds.count("sleep.kept_awake") == tries, after
    assert not show_sleep(platform.context, ShowSleep(app="shop"), platform.act).asleep
    assert running(platform) == 2


@pytest.mark.parametrize("flag", [True, False])
def test_a_server_killed_right_after_the_flag_goes_on_with_it(platform: Parts, sleeper: Sleeper, flag: bool) -> None:
    if not flag:
        assert asleep(platform, sleeper)
    app = platform.context.store.app("shop")
    known = platform.context.store.sleep(app.id)
    assert known is not None
    platform.context.store.put_sleep(replace(known, asleep=flag))
    reconcile(world(platform.context), app, platform.context.store.release(app.id, app.wanted), platform.act.emit)
    assert running(platform) == (0 if flag else 2)
    assert bool(route(platform).waker) is flag
