"""Two versions at once: what a deploy starts beside the old replicas has room, or is refused before it begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from paas.errors import Conflict
from paas.model.app import App, ReleaseStatus
from paas.model.events import Event
from paas.model.plan import Plan
from paas.model.sleep import Sleep
from paas.reconcile import finish
from paas.requests.config import ChangeConfig
from paas.requests.deploys import Rollback
from paas.requests.processes import Restart, Scale, SetLimits
from paas.usecases import room
from paas.usecases.config import change_config
from paas.usecases.processes import change_formation, scale, set_limits
from paas.usecases.releases import rollback
from paas.usecases.restart import restart
from paas.usecases.switch import world
from tests.unit.usecases.parts import BETTER, GOOD, Parts

MIB = 1 << 20


def free(platform: Parts, patch: pytest.MonkeyPatch, machine: int, left: int) -> None:
    """A machine with so many MiB, and so many of them free."""
    platform.engine.memory = machine * MIB
    patch.setattr(room, "available", lambda machine: left * MIB)


def using(platform: Parts, size: int) -> None:
    """Every replica that runs uses so many MiB."""
    for one in platform.engine.measure():
        if one.used:
            platform.engine.used[one.replica.id] = replace(one.used, memory=size * MIB)


def changes(platform: Parts, app: App) -> dict[str, Callable[[], object]]:
    """What starts new replicas beside the old ones."""
    context, act = platform.context, platform.act
    return {
        "deploy": lambda: platform.release(app, BETTER),
        "config": lambda: change_config(context, ChangeConfig(app="shop", set={"A": "1"}), act),
        "limits": lambda: set_limits(context, SetLimits(app="shop", process="web", cpus=0.5), act),
        "rollback": lambda: rollback(context, Rollback(app="shop"), act),
        "restart": lambda: restart(context, Restart(app="shop"), act),
    }


@pytest.mark.parametrize("what", ["deploy", "config", "limits", "rollback", "restart"])
def test_what_would_take_more_than_is_free_is_refused_before_anything_starts(
    platform: Parts, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    app = platform.app(web=1)
    platform.release(app, BETTER)
    platform.release(app, GOOD)
    free(platform, monkeypatch, 3072, 600)
    using(platform, 500)
    calls = len(platform.engine.calls)
    with pytest.raises(
        Conflict,
        match=r"no memory to start 1 new replica of web of shop .* would use some 500 MiB.* 600 MiB of it free",
    ) as refused:
        changes(platform, app)[what]()
    assert refused.value.hint.startswith("fewer first (paas scale web=… --app shop; 0 if")
    assert "or a lower limit (paas limits web --memory)" in refused.value.hint
    assert platform.engine.calls[calls:] == []
    assert platform.running(app) == {"web v2": 1}
    assert platform.store.app(app.id).wanted == 2
    assert platform.context.locks.starting == {}
    monkeypatch.setattr(room, "available", lambda machine: 900 * MIB)
    changes(platform, app)[what]()


def test_a_small_machine_whose_limits_are_more_than_it_has_deploys_with_a_warning(
    platform: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 GB, two apps of 512 MB that use 50 MB."""
    free(platform, monkeypatch, 985, 550)
    blog, app = platform.app("blog", "b1b2b3b4", web=1), platform.app(web=1)
    platform.release(blog)
    platform.release(app)
    platform.events.clear()
    platform.release(app, BETTER)
    assert platform.running(app) == {"web v2": 1}
    (warning,) = platform.said("warning")
    assert warning.startswith(
        "the machine could not hold 1 new replica of web beside the old ones if they filled their"
    )
    assert "1024 MiB are promised by limits already" in warning


def test_where_there_is_room_for_full_limits_nothing_is_said(platform: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    free(platform, monkeypatch, 8192, 4096)
    app = platform.app(web=2)
    platform.release(app)
    platform.release(app, BETTER)
    assert platform.said("warning") == []


def test_replicas_that_were_not_there_before_count_at_their_limits(
    platform: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(platform, monkeypatch, 8192, 4096)
    app = platform.app(web=1, worker=9)
    platform.release(app)
    with pytest.raises(Conflict, match=r"1 new replica of web and 9 of worker of shop .* use some 4146 MiB"):
        platform.release(app, BETTER, "web", "worker")
    assert platform.running(app) == {"web v1": 1}
    assert platform.store.releases(app.id)[0].status is ReleaseStatus.FAILED
    platform.store.save_app(replace(platform.store.app(app.id), formation={"web": 1, "worker": 7}))
    platform.release(app, BETTER, "web", "worker")
    assert platform.running(app)["worker v3"] == 7


def test_an_app_that_sleeps_is_deployed_with_as_many_as_it_had(
    platform: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = platform.app(web=4)
    platform.release(app)
    platform.store.put_sleep(Sleep(app_id=app.id, after=60.0, asleep=True, since=1.0))
    for key in [service.key for service in platform.engine.observe(app.id)]:
        platform.engine.remove(key)
    free(platform, monkeypatch, 4096, 1000)
    platform.release(app, BETTER)
    assert platform.running(app) == {"web v2": 4}


def test_another_app_is_not_given_the_memory_that_a_deploy_is_about_to_use(
    platform: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed, other = platform.app("blog", "b1b2b3b4", web=2), platform.app(web=1)
    for app in (deployed, other):
        platform.release(app)
    free(platform, monkeypatch, 8192, 2048)
    refused: list[str] = []
    given: list[int] = []

    def meanwhile(event: Event) -> None:
        if event.kind == "step" and event.data["step"] == "Apply":
            with pytest.raises(Conflict) as caught:
                scale(platform.context, Scale(app="shop", counts={"web": 3}), quiet.act)
            refused.append(caught.value.message)
            platform.release(other, BETTER)  # another deploy counts what will be used, not the limits
        elif event.kind == "step" and event.data["step"] == "RemoveService":
            given.append(len(platform.context.locks.starting))

    quiet = replace(platform, events=[])
    change_config(platform.context, ChangeConfig(app="blog", set={"A": "1"}), replace(platform.act, emit=meanwhile))
    assert "1024 MiB of it free" in refused[0]
    assert given == [0], "what has started is seen in what is free"
    scale(platform.context, Scale(app="shop", counts={"web": 3}), platform.act)


def test_more_replicas_than_a_deploy_has_addresses_for_are_refused_and_cut(platform: Parts) -> None:
    platform.engine.places = 13
    app = platform.app(web=1)
    platform.release(app)
    with pytest.raises(Conflict, match=r"no addresses for 6 more of web: .* for 13 containers, .* so 6 are") as refused:
        scale(platform.context, Scale(app="shop", counts={"web": 7}), platform.act)
    assert refused.value.hint.startswith("paas scale web=6, or fewer and larger replicas")
    release = platform.store.release(app.id, 1)
    assert room.fitting(platform.context, release, {"web": 1}, {"web": 9}) == {"web": 6}
    scale(platform.context, Scale(app="shop", counts={"web": 6}), platform.act)
    platform.release(app, BETTER)
    assert platform.running(app) == {"web v2": 6}


def test_replicas_that_are_on_their_way_out_have_their_addresses_until_they_end(platform: Parts) -> None:
    platform.engine.places = 10
    app = platform.app(web=1)
    release = platform.release(app)

    def scaled(count: int) -> Plan | None:
        app = platform.store.app("shop")
        return change_formation(platform.context, app, release, {"web": count}, platform.act.emit)

    left = []
    for count in (5, 1, 5, 1):
        left += [plan for plan in (scaled(count),) if plan]
    words = "no addresses for 4 more of web: .* for 10 containers, 8 of which replicas have that finish what they began"
    with pytest.raises(Conflict, match=words):
        scaled(5)
    assert room.fitting(platform.context, release, {"web": 1}, {"web": 5}) == {"web": 2}
    for plan in left:
        finish(world(platform.context), plan, platform.act.emit)
    scaled(5)
    assert platform.running(app) == {"web v1": 5}


def test_a_deploy_without_the_addresses_for_both_versions_is_refused_before_anything_starts(platform: Parts) -> None:
    app = platform.app(web=6)
    platform.release(app)
    platform.engine.places = 11
    with pytest.raises(
        Conflict, match=r"no addresses for 6 new replicas beside those of shop that run: .*; 6 are wanted"
    ):
        platform.release(app, BETTER)
    assert platform.running(app) == {"web v1": 6}
    scale(platform.context, Scale(app="shop", counts={"web": 5}), platform.act)
    platform.release(app, BETTER)
    assert platform.running(app) == {"web v3": 5}


def test_a_first_deploy_of_more_than_could_be_deployed_again_is_refused(platform: Parts) -> None:
    platform.engine.places = 13
    app = platform.app(web=7)
    with pytest.raises(Conflict, match="7 are wanted"):
        platform.release(app)
    assert platform.running(app) == {}


def test_a_look_at_the_room_asks_the_engine_nothing_that_stays_as_it_is(
    platform: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = platform.engine.machine()
    monkeypatch.setattr(platform.engine, "machine", lambda: known)

    def info() -> None:
        raise AssertionError("info is slow: it also tries whether there is BuildKit")

    monkeypatch.setattr(platform.engine, "info", info)
    assert room.look(platform.context).machine == known.memory
