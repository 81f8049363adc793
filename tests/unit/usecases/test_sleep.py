"""Falling asleep and waking on the platform of memory parts."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from paas.errors import UsageError
from paas.model.route import Route
from paas.requests.processes import Scale
from paas.requests.sleep import SetSleep, ShowSleep
from paas.usecases.processes import scale
from paas.usecases.sleep import Sleeper, fall_asleep, set_sleep, show_sleep, wake
from tests.unit.usecases.parts import Parts

PORT = 40_123


class Ports:
    """Gives every app the same port."""

    def listen(self, app_id: str, port: int = 0) -> int:
        return PORT

    def forget_all_but(self, app_ids: Iterable[str]) -> None:
        pass


def route(platform: Parts) -> Route:
    return platform.context.router.observe()[0]


def running(platform: Parts) -> int:
    return sum(len(one.replicas) for one in platform.context.engine.observe())


@pytest.fixture
def sleeper(platform: Parts) -> Sleeper:
    """An app that may sleep after a minute, looked at once."""
    platform.release(platform.app(web=2))
    set_sleep(platform.context, SetSleep(app="shop", after=60), platform.act)
    made = Sleeper(platform.context, Ports())
    made()
    return made


def asleep(platform: Parts, sleeper: Sleeper) -> bool:
    platform.clock.sleep(61)
    sleeper()
    return show_sleep(platform.context, ShowSleep(app="shop"), platform.act).asleep


def test_an_idle_app_sleeps_and_its_route_leads_to_the_waker(platform: Parts, sleeper: Sleeper) -> None:
    assert asleep(platform, sleeper)
    assert running(platform) == 0
    assert (route(platform).servers, route(platform).waker) == ((), f"127.0.0.1:{PORT}")


def test_an_app_is_not_put_to_sleep_before_its_time(platform: Parts, sleeper: Sleeper) -> None:
    platform.clock.sleep(50)
    sleeper()
    assert running(platform) == 2


def test_a_request_in_flight_keeps_it_awake(platform: Parts, sleeper: Sleeper) -> None:
    platform.router.busy[route(platform).servers[0]] = 1
    assert not asleep(platform, sleeper)


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


def test_a_time_too_short_is_refused(platform: Parts) -> None:
    platform.app()
    with pytest.raises(UsageError, match="60 s"):
        set_sleep(platform.context, SetSleep(app="shop", after=5), platform.act)
