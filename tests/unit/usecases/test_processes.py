"""Scaling, limits, restarts, listing, and commands in an app's environment."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from paas.engines.memory import Behaviour
from paas.errors import Conflict, DeployFailed, NotFound, PlatformError, UsageError
from paas.interfaces import Store
from paas.model.app import App
from paas.model.autoscaling import Protection
from paas.model.events import Event
from paas.model.service import ServiceKey
from paas.requests.processes import ListReplicas, Restart, Scale, SetLimits
from paas.requests.sessions import ExecCommand, RunCommand
from paas.usecases import room
from paas.usecases.processes import list_replicas, scale, set_limits
from paas.usecases.restart import restart
from paas.usecases.sessions import exec_command, run_command
from tests.unit.usecases.parts import BAD, BETTER, GOOD, Parts, Screen


def test_a_replica_typed_as_a_command_is_told_from_a_program_of_such_a_name(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    with pytest.raises(UsageError) as caught:
        exec_command(platform.context, ExecCommand(app="shop", command=("web.9",)), platform.act, Screen())
    assert caught.value.hint == "paas exec --replica web.9 -- COMMAND"
    for command in (("python3.11",), ("worker.1",), ("web.x",)):
        assert exec_command(platform.context, ExecCommand(app="shop", command=command), platform.act, Screen()) == 0


def test_scaling_changes_replicas_and_makes_no_release(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app, GOOD, "web", "worker")
    answer = scale(platform.context, Scale(app="shop", counts={"web": 3, "worker": 1}), platform.act)
    assert dict(answer.processes) == {"web": 3, "worker": 1}
    assert platform.running(app) == {"web v1": 3, "worker v1": 1}
    assert len(platform.router.observe()[0].servers) == 3
    scale(platform.context, Scale(app="shop", counts={"web": 0}), platform.act)
    assert platform.running(app) == {"worker v1": 1}
    assert len(platform.store.releases(app.id)) == 1


class Unread:
    """A store of which no app can be read once `unread`."""

    def __init__(self, store: Store) -> None:
        self._store, self.unread = store, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def app(self, name_or_id: str) -> App:
        if self.unread:
            raise PlatformError("the disk is gone")
        return self._store.app(name_or_id)


def test_replicas_that_are_too_many_end_also_where_the_store_fails_by_then(platform: Parts) -> None:
    app = platform.app(web=3)
    platform.release(app)
    store = Unread(platform.context.store)
    context = replace(platform.context, store=cast(Store, store))

    def routed(event: Event) -> None:
        store.unread = store.unread or (event.kind, event.data.get("step")) == ("done", "SetRoutes")

    answer = scale(context, Scale(app="shop", counts={"web": 1}), replace(platform.act, emit=routed))
    assert store.unread
    assert dict(answer.processes) == {"web": 1}
    assert platform.running(app) == {"web v1": 1}


def test_a_scale_survives_the_next_deploy_and_a_rollback(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    scale(platform.context, Scale(app="shop", counts={"web": 3}), platform.act)
    platform.release(app, BETTER)
    assert platform.running(app) == {"web v2": 3}


def test_an_unknown_process_is_refused_with_the_known_ones(platform: Parts) -> None:
    platform.release(platform.app(), GOOD, "web", "worker", "release")
    for name in ("wrker", "release"):
        with pytest.raises(UsageError) as caught:
            scale(platform.context, Scale(app="shop", counts={name: 1}), platform.act)
        assert caught.value.hint == "it has: web, worker"


def test_scaling_before_the_first_deploy_is_refused_with_what_to_do(platform: Parts) -> None:
    platform.app()
    with pytest.raises(Conflict) as caught:
        scale(platform.context, Scale(app="shop", counts={"web": 2}), platform.act)
    assert "paas deploy" in caught.value.hint


def test_more_memory_than_the_machine_has_is_refused_with_numbers(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    with pytest.raises(
        Conflict, match="for 29 more of web: each may use 512 MiB; this machine has 8192 MiB"
    ) as refused:
        scale(platform.context, Scale(app="shop", counts={"web": 30}), platform.act)
    assert refused.value.hint.startswith("paas scale web=22, or ")
    assert platform.running(app) == {"web v1": 1}


def test_what_the_neighbours_were_promised_is_theirs(platform: Parts) -> None:
    platform.release(platform.app("blog", "b1b2b3b4", web=20))
    platform.release(platform.app(web=1))
    with pytest.raises(Conflict, match="10752 MiB are promised by limits already"):
        scale(platform.context, Scale(app="shop", counts={"web": 4}), platform.act)
    scale(platform.context, Scale(app="shop", counts={"web": 2}), platform.act)


def test_two_apps_that_ask_at_once_are_not_given_the_same_room(
    platform: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    apps = [platform.app("blog", "b1b2b3b4", web=1), platform.app(web=1)]
    for app in apps:
        platform.release(app)

    def slow(*of: Any, check: Callable[..., int] = room.check) -> int:
        size = check(*of)
        time.sleep(0.05)  # for the other one to look, too
        return size

    monkeypatch.setattr(room, "check", slow)

    def more(app: App) -> bool:
        try:
            scale(platform.context, Scale(app=app.name, counts={"web": 12}), platform.act)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(more, apps)) == [False, True]
    assert sorted(platform.running(app)["web v1"] for app in apps) == [1, 12]


def test_two_processes_are_not_given_the_same_room(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app, GOOD, "web", "worker")
    with pytest.raises(Conflict, match="for 12 more of worker"):
        scale(platform.context, Scale(app="shop", counts={"web": 12, "worker": 12}), platform.act)
    assert platform.running(app) == {"web v1": 1}
    scale(platform.context, Scale(app="shop", counts={"web": 12, "worker": 8}), platform.act)
    assert platform.running(app) == {"web v1": 12, "worker v1": 8}


def test_replicas_that_are_being_started_have_their_part_of_what_is_free(
    platform: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = platform.app("blog", "b1b2b3b4", web=1), platform.app(web=1)
    for app in (first, second):
        platform.release(app)
    monkeypatch.setattr(room, "available", lambda machine: 4 << 30)
    refused: list[str] = []

    def meanwhile(event: Event) -> None:
        if event.kind == "step" and not refused:
            with pytest.raises(Conflict) as caught:
                scale(platform.context, Scale(app="shop", counts={"web": 5}), platform.act)
            refused.append(f"{caught.value.message} {caught.value.hint}")

    scale(platform.context, Scale(app="blog", counts={"web": 5}), replace(platform.act, emit=meanwhile))
    assert "2048 MiB of it free" in refused[0]
    assert "paas scale web=4" in refused[0]
    assert platform.running(second) == {"web v1": 1}
    scale(platform.context, Scale(app="shop", counts={"web": 5}), platform.act)


def test_what_is_free_now_counts_and_an_engine_elsewhere_has_no_meminfo_here(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:        8388608 kB\nMemFree: 1 kB\nMemAvailable:    1048576 kB\n")
    machine = 8 << 30
    assert room.available(machine, meminfo) == 1 << 30
    assert room.available(4 << 30, meminfo) is None
    assert room.available(machine, tmp_path / "none") is None
    tight = room.Room(machine=machine, free=1 << 30, promised=0, overcommit=1.5)
    assert tight.holds(512 << 20, 5) == 1, "the reserve was given away"
    assert tight.holds(0, 5) == 5


def test_replicas_that_do_not_get_healthy_are_taken_back(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    platform.engine.behaviours[GOOD] = Behaviour(boots=None)
    with pytest.raises(DeployFailed):
        scale(platform.context, Scale(app="shop", counts={"web": 2}), platform.act)
    assert dict(platform.store.app(app.id).formation) == {"web": 1}
    assert platform.running(app) == {"web v1": 1}


def test_limits_are_a_release_of_that_process_only(platform: Parts) -> None:
    app = platform.app(web=1, worker=1)
    platform.release(app, GOOD, "web", "worker")
    set_limits(platform.context, SetLimits(app="shop", process="worker", memory="1G", cpus=0.5), platform.act)
    worker = platform.store.release(app.id, 2).process("worker")
    assert worker is not None
    assert (worker.limits.memory, worker.limits.cpus, worker.limits.pids) == (1 << 30, 0.5, 1024)
    assert platform.running(app) == {"web v1": 1, "worker v2": 1}
    again = set_limits(platform.context, SetLimits(app="shop", process="worker", cpus=0.5), platform.act)
    assert not again.changed


@pytest.mark.parametrize(
    "request_",
    [
        SetLimits(app="shop", memory="lots"),
        SetLimits(app="shop", memory="1M"),
        SetLimits(app="shop", memory="-1G"),
        SetLimits(app="shop", memory="100G"),
        SetLimits(app="shop", cpus=64),
        SetLimits(app="shop", process="nope", cpus=1),
    ],
)
def test_limits_that_cannot_be_are_refused(platform: Parts, request_: SetLimits) -> None:
    app = platform.app()
    platform.release(app)
    with pytest.raises(UsageError) as caught:
        set_limits(platform.context, request_, platform.act)
    assert caught.value.hint
    assert len(platform.store.releases(app.id)) == 1


def test_the_list_shows_state_release_restarts_and_use(platform: Parts) -> None:
    app = platform.app(web=2, worker=0)
    platform.release(app, GOOD, "web", "worker", "release")
    shown = list_replicas(platform.context, ListReplicas(app="shop"), platform.act)
    web, worker = shown.processes
    assert [(line.name, line.state, line.release) for line in web.replicas] == [
        ("web.1", "healthy", 1),
        ("web.2", "healthy", 1),
    ]
    assert web.replicas[0].memory == 50 << 20
    assert (worker.wanted, worker.replicas) == (0, ())


def test_the_list_shows_who_asked_to_be_spared_while_that_holds(platform: Parts) -> None:
    app = platform.app(web=3)
    platform.release(app)
    now = platform.clock.now()
    ids = [one.id for (service,) in [platform.engine.observe(app.id)] for one in service.replicas]
    for replica, until in zip(ids, (now + 60, now, now + 60), strict=True):
        platform.store.put_protection(Protection(app_id=app.id, replica=replica, until=until))
    platform.context.leaving.leave({ids[2]: ServiceKey(app.id, "web", 1)})
    (web,) = list_replicas(platform.context, ListReplicas(app="shop"), platform.act).processes
    assert {line.id: line.protected_until for line in web.replicas} == {ids[0]: now + 60, ids[1]: 0.0, ids[2]: 0.0}


# --- restart -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_restart_starts_every_replica_anew_while_another_is_always_routed(platform: Parts, count: int) -> None:
    app = platform.app(web=count)
    platform.release(app)
    platform.router.history.clear()
    platform.engine.calls.clear()
    answer = restart(platform.context, Restart(app="shop"), platform.act)
    assert answer.replicas == tuple(f"web.{index + 1}" for index in range(count))
    assert [call for call in platform.engine.calls if call.startswith("restart")] == [
        f"restart web.{index + 1}" for index in range(count)
    ]
    assert all(route.servers for route in platform.router.history)
    assert platform.running(app) == {"web v1": count}
    (service,) = platform.engine.observe(app.id)
    assert platform.router.observe()[0].servers == tuple(sorted(replica.address for replica in service.healthy))


def test_a_replica_is_out_of_the_routes_when_it_is_restarted(platform: Parts) -> None:
    app = platform.app(web=2)
    platform.release(app)
    routed: list[bool] = []
    real = platform.engine.restart

    def watched(replica: str) -> None:
        address = next(r.address for s in platform.engine.observe(app.id) for r in s.replicas if r.id == replica)
        routed.append(address in platform.router.observe()[0].servers)
        real(replica)

    platform.engine.restart = watched  # type: ignore[method-assign]
    restart(platform.context, Restart(app="shop"), platform.act)
    assert routed == [False, False]


def test_a_restart_makes_no_release_and_touches_only_the_process_asked_for(platform: Parts) -> None:
    app = platform.app(web=1, worker=2)
    platform.release(app, GOOD, "web", "worker")
    answer = restart(platform.context, Restart(app="shop", process="worker"), platform.act)
    assert answer.replicas == ("worker.1", "worker.2")
    assert len(platform.store.releases(app.id)) == 1


def test_a_restart_of_nothing_is_refused(platform: Parts) -> None:
    app = platform.app(web=0)
    with pytest.raises(Conflict):
        restart(platform.context, Restart(app="shop"), platform.act)
    platform.release(app)
    with pytest.raises(UsageError, match="scaled"):
        restart(platform.context, Restart(app="shop"), platform.act)


# --- sessions ------------------------------------------------------------------------------------------------------


def test_run_uses_image_config_and_network_of_the_wanted_release(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    platform.engine.behaviours[GOOD] = Behaviour(once=7)
    request = RunCommand(app="shop", command=("python", "manage.py"), env={"EXTRA": "1"})
    assert run_command(platform.context, request, platform.act, Screen()) == 7
    (spec,) = platform.engine.ran
    assert (spec.image, spec.command, spec.kind, spec.process) == (GOOD, ("python", "manage.py"), "oneoff", "run")
    assert spec.env["EXTRA"].reveal() == "1"
    assert spec.env["PAAS_APP"].reveal() == "shop"
    assert spec.networks == (f"paas-{app.id}",)


def test_one_word_with_blanks_is_a_shell_line(platform: Parts) -> None:
    platform.release(platform.app())
    run_command(platform.context, RunCommand(app="shop", command=("ls | wc",)), platform.act, Screen())
    assert platform.engine.ran[0].command == ("/bin/sh", "-c", "ls | wc")


def test_run_before_the_first_deploy_and_with_a_reserved_key_is_refused(platform: Parts) -> None:
    app = platform.app()
    with pytest.raises(Conflict):
        run_command(platform.context, RunCommand(app="shop", command=("ls",)), platform.act, Screen())
    platform.release(app)
    with pytest.raises(UsageError):
        run_command(
            platform.context, RunCommand(app="shop", command=("ls",), env={"PAAS_APP": "x"}), platform.act, Screen()
        )


def test_exec_goes_to_the_replica_asked_for_and_to_the_first_web_otherwise(platform: Parts) -> None:
    platform.release(platform.app(web=2, worker=1), GOOD, "web", "worker")
    screen = Screen()
    exec_command(platform.context, ExecCommand(app="shop", command=("ls",)), platform.act, screen)
    exec_command(platform.context, ExecCommand(app="shop", command=("ls",), replica="worker.1"), platform.act, screen)
    assert [call for call in platform.engine.calls if call.startswith("exec")] == ["exec web.1", "exec worker.1"]


def test_exec_in_a_replica_that_is_not_there_lists_those_that_are(platform: Parts) -> None:
    platform.release(platform.app(web=1))
    with pytest.raises(NotFound) as caught:
        exec_command(
            platform.context, ExecCommand(app="shop", command=("ls",), replica="web.9"), platform.act, Screen()
        )
    assert "web.1" in caught.value.hint


def test_a_bad_image_never_gets_a_restart_loop_of_ours(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    with pytest.raises(DeployFailed):
        platform.release(app, BAD)
    assert not [call for call in platform.engine.calls if call.startswith("restart")]
