"""What every engine does alike: one suite, run against each of them."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from paas.errors import DeployFailed, NotFound, PlatformError
from paas.interfaces import LogQuery
from paas.model.events import silent
from paas.model.secret import Secret
from paas.model.service import Change, Mount, ServiceKey, ServiceSpec, State
from tests.contract.engine_lab import Events, Lab, Pipe, ids
from tests.polling import until


@pytest.fixture
def lab(any_lab: Lab) -> Lab:
    return any_lab


def test_apply_starts_the_replicas_and_observe_shows_them(lab: Lab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 2, silent)
    lab.engine.wait_healthy(spec, 2, 20, silent)
    (service,) = lab.engine.observe(spec.app_id)
    assert (service.key, service.fingerprint) == (spec.key, spec.fingerprint)
    assert (service.app_name, service.image, service.kind) == ("shop", spec.image, "replica")
    assert [one.index for one in service.replicas] == [1, 2]
    assert [one.state for one in service.healthy] == [State.HEALTHY] * 2
    assert all(one.address.endswith(":8000") and one.started_at > 0 for one in service.replicas)
    assert len({one.address for one in service.replicas}) == 2


def test_apply_again_keeps_what_is_there(lab: Lab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 2, silent)
    before = ids(lab.engine, spec)
    lab.engine.apply(spec, 2, silent)
    assert ids(lab.engine, spec) == before


def test_apply_adds_what_is_missing_and_leaves_surplus(lab: Lab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    (first,) = ids(lab.engine, spec)
    lab.engine.apply(spec, 3, silent)
    three = ids(lab.engine, spec)
    assert len(three) == 3
    assert three[0] == first
    lab.engine.apply(spec, 2, silent)
    assert ids(lab.engine, spec) == three


def test_apply_leaves_those_alone_that_are_on_their_way_out(lab: Lab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 2, silent)
    first, second = ids(lab.engine, spec)
    lab.kill(first)
    lab.engine.apply(spec, 2, silent, [first])
    ((service),) = lab.engine.observe(spec.app_id)
    assert [one.index for one in service.replicas] == [1, 2, 3]
    assert (service.replicas[0].id, service.replicas[1].id) == (first, second)
    assert service.replicas[0].state is not State.HEALTHY, "it was started again"
    lab.engine.wait_healthy(spec, 3, 20, silent, [first])


def test_a_lost_replica_is_made_anew_under_its_index(lab: Lab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 2, silent)
    first, second = ids(lab.engine, spec)
    lab.lose(second)
    assert ids(lab.engine, spec) == [first]
    lab.engine.apply(spec, 2, silent)
    now = ids(lab.engine, spec)
    assert now[0] == first
    assert now[1] not in (first, second)
    lab.engine.wait_healthy(spec, 2, 20, silent)


def test_a_dead_replica_is_seen_and_started_again(lab: Lab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    (one,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    lab.kill(one.id)
    (dead,) = until(lambda: [r for r in lab.engine.observe(spec.app_id)[0].replicas if r.state is State.STOPPED])
    assert (dead.id, dead.exit_code) == (one.id, 137)
    assert dead.detail
    lab.engine.apply(spec, 1, silent)
    (again,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    assert again.id == one.id


def test_wait_healthy_tells_of_each_replica(lab: Lab) -> None:
    spec, events = lab.spec(), Events()
    lab.engine.apply(spec, 2, silent)
    found = lab.engine.wait_healthy(spec, 2, 20, events)
    assert [(one.index, one.state) for one in found] == [(1, State.HEALTHY), (2, State.HEALTHY)]
    told = [event.message for event in events.all if event.kind == "note" and "healthy" in event.message]
    assert any("web.1" in message for message in told)
    assert any("web.2" in message for message in told)


def test_wait_healthy_asks_nothing_of_those_that_were_waited_for_before(lab: Lab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    (first,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    lab.engine.apply(spec, 3, silent)
    lab.kill(first.id)
    found = lab.engine.wait_healthy(spec, 3, 20, silent, (first.id,))
    assert [one.index for one in found] == [2, 3]
    with pytest.raises(DeployFailed, match="has 3 of 4 replicas"):
        lab.engine.wait_healthy(spec, 4, 20, silent, (first.id,))


def test_wait_healthy_fails_at_the_first_exit_with_cause_and_last_lines(lab: Lab) -> None:
    spec = lab.spec("exits")
    lab.engine.apply(spec, 2, silent)
    with pytest.raises(DeployFailed, match=r"web\.[12] exited with code 3") as caught:
        lab.engine.wait_healthy(spec, 2, 20, silent)
    assert any(line.startswith("web.") and line.endswith("| about to fail") for line in caught.value.details)


def test_wait_healthy_fails_at_the_end_of_grace(lab: Lab) -> None:
    spec = lab.spec("never")
    lab.engine.apply(spec, 1, silent)
    with pytest.raises(DeployFailed, match="did not become healthy"):
        lab.engine.wait_healthy(spec, 1, 20, silent)
    (service,) = lab.engine.observe(spec.app_id)
    assert not service.healthy


def test_remove_ends_the_named_replicas_or_all_and_may_be_repeated(lab: Lab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 3, silent)
    first, second, third = ids(lab.engine, spec)
    lab.engine.remove(spec.key, [second])
    lab.engine.remove(spec.key, [second])
    assert ids(lab.engine, spec) == [first, third]
    lab.engine.remove(spec.key)
    lab.engine.remove(spec.key)
    assert lab.engine.observe(spec.app_id) == ()


def test_two_versions_stand_side_by_side(lab: Lab) -> None:
    old, new = lab.spec(), lab.spec(release=2, env={"GREETING": Secret("good day")})
    lab.engine.apply(new, 1, silent)
    lab.engine.apply(old, 1, silent)
    assert [service.key.release for service in lab.engine.observe(old.app_id)] == [1, 2]
    lab.engine.remove(old.key)
    assert [service.key for service in lab.engine.observe(old.app_id)] == [new.key]


def test_observe_without_an_app_shows_all_and_with_one_only_that(lab: Lab) -> None:
    mine = lab.spec()
    other = lab.spec(app_id="0badcafe", app_name="other", networks=(), process="worker")
    lab.engine.apply(mine, 1, silent)
    lab.engine.apply(other, 1, silent)
    assert [service.key for service in lab.engine.observe(mine.app_id)] == [mine.key]
    assert {service.key for service in lab.engine.observe()} >= {mine.key, other.key}


def test_run_once_passes_output_and_exit_code_and_leaves_nothing(lab: Lab) -> None:
    terminal = Pipe()
    spec = lab.spec("never", process="run", kind="oneoff", command=("sh", "-c", "echo one; exit 9"))
    assert lab.engine.run_once(spec, 30, terminal) == 9
    assert terminal.out == b"one\n"
    assert lab.engine.observe(spec.app_id) == ()


def test_a_command_that_takes_too_long_is_ended(lab: Lab) -> None:
    spec = lab.spec("hangs")
    lab.engine.apply(spec, 1, silent)
    (one,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    with pytest.raises(PlatformError, match=r"took longer than 0\.5 s and was ended"):
        lab.engine.exec(one.id, ["sleep", "1000"], Pipe(interactive=False), timeout=0.5)


def test_exec_in_a_replica_that_is_not_there_says_so(lab: Lab) -> None:
    with pytest.raises(NotFound):
        lab.engine.exec("f" * 64, ["true"], Pipe())


def test_logs_are_those_of_the_asked_process(lab: Lab) -> None:
    web = lab.spec("never", command=("sh", "-c", "echo one; exec sleep 1000"))
    worker = replace(web, process="worker")
    lab.engine.apply(web, 1, silent)
    lab.engine.apply(worker, 2, silent)
    until(lambda: len(list(lab.engine.logs(web.app_id, LogQuery(lines=0)))) == 3)
    lines = list(lab.engine.logs(web.app_id, LogQuery(process="worker", replica=2)))
    assert [(line.process, line.replica, line.text, line.stream) for line in lines] == [("worker", 2, "one", "stdout")]
    assert list(lab.engine.logs("00000000", LogQuery())) == []


def test_forget_leaves_nothing_of_the_app(lab: Lab) -> None:
    spec, worker = lab.spec(), lab.spec("never", process="worker", stop_grace=0.0)
    lab.engine.apply(spec, 2, silent)
    lab.engine.apply(worker, 1, silent)
    lab.engine.forget(spec.app_id)
    lab.engine.forget(spec.app_id)
    assert lab.engine.observe(spec.app_id) == ()


def test_an_addon_is_replaced_in_place_and_keeps_its_volume(lab: Lab) -> None:
    volume = f"{lab.instance}-db"
    write = ("sh", "-c", "echo $GREETING >> /data/log; cat /data/log; exec httpd -f -p 8000 -h /www")
    spec = lab.spec(process="addon", kind="addon", alias="db", command=write, mounts=(Mount(volume, "/data"),))
    lab.engine.apply(spec, 1, silent)
    lab.engine.wait_healthy(spec, 1, 20, silent)
    (before,) = ids(lab.engine, spec)
    changed = replace(spec, env={"GREETING": Secret("changed")})
    lab.engine.apply(changed, 1, silent)
    lab.engine.wait_healthy(changed, 1, 20, silent)
    (service,) = lab.engine.observe(spec.app_id)
    assert service.fingerprint == changed.fingerprint
    assert [one.index for one in service.replicas] == [1]
    assert service.replicas[0].id != before
    lab.engine.remove(spec.key)
    assert lab.engine.volumes() == {volume}
    lab.engine.remove_volume(volume)
    lab.engine.remove_volume(volume)
    assert not lab.engine.volumes()


def test_an_addon_joins_and_leaves_networks_while_it_runs(lab: Lab) -> None:
    first, second = f"{lab.instance}-aaaaaaaa", f"{lab.instance}-bbbbbbbb"
    spec = lab.spec(process="addon", kind="addon", alias="db", networks=(first,))
    lab.engine.apply(spec, 1, silent)
    (before,) = ids(lab.engine, spec)
    for wanted in ((first, second), (second,), ()):
        changed = replace(spec, networks=wanted)
        lab.engine.apply(changed, 1, silent)
        (service,) = lab.engine.observe(spec.app_id)
        assert service.fingerprint == changed.fingerprint
        assert [one.id for one in service.replicas] == [before]
    lab.engine.wait_healthy(changed, 1, 20, silent)


def test_stats_and_connections_cover_each_running_replica(lab: Lab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 2, silent)
    lab.engine.wait_healthy(spec, 2, 20, silent)
    running = set(ids(lab.engine, spec))
    assert {stats.replica for stats in lab.engine.stats(spec.app_id)} == running
    assert all(stats.memory > 0 and stats.cpu_seconds > 0 for stats in lab.engine.stats())
    assert until(lambda: lab.engine.connections(spec.key, 8000) == dict.fromkeys(running, 0))
    assert lab.engine.connections(ServiceKey(spec.app_id, "web", 99), 8000) == {}


def test_watch_tells_of_a_death_and_ends_when_told_to(lab: Lab) -> None:
    spec = lab.spec()
    stop, changes = threading.Event(), list[Change]()
    watcher = threading.Thread(target=lambda: changes.extend(lab.engine.watch(stop)))
    watcher.start()
    try:
        until(lambda: _died(lab, changes, spec))
    finally:
        stop.set()
        watcher.join(10)
    assert not watcher.is_alive()


def _died(lab: Lab, changes: list[Change], spec: ServiceSpec) -> bool:
    """Kill it until the watcher has seen it: nobody can tell when it begins to listen."""
    lab.engine.apply(spec, 1, silent)
    (replica,) = ids(lab.engine, spec)
    lab.kill(replica)
    time.sleep(0.2)
    return _told_of(changes, replica)


def _told_of(changes: list[Change], replica: str) -> bool:
    return any((one.kind, one.replica, one.exit_code) == ("die", replica, 137) for one in changes)


def test_watch_tells_of_what_happened_before_since_a_moment_and_not_twice(lab: Lab) -> None:
    spec = lab.spec()
    began = time.time()
    lab.engine.apply(spec, 2, silent)
    first, second = ids(lab.engine, spec)
    lab.kill(first)

    def watched(since: float, until_told_of: str) -> list[Change]:
        stop, seen = threading.Event(), list[Change]()
        for change in lab.engine.watch(stop, since):
            seen.append(change)
            if _told_of(seen, until_told_of):
                stop.set()
                return seen
        return seen

    died = watched(began, first)[-1]
    assert died.at >= began
    lab.kill(second)
    later = watched(died.at, second)
    assert not _told_of(later, first)


def test_watch_tells_whether_the_engine_was_asked_for_an_end(lab: Lab) -> None:
    spec = lab.spec()
    began = time.time()
    lab.engine.apply(spec, 1, silent)
    (replica,) = ids(lab.engine, spec)
    lab.engine.wait_healthy(spec, 1, 20, silent)
    lab.engine.restart(replica)
    stop = threading.Event()
    died = next(change for change in lab.engine.watch(stop, began) if change.kind == "die")
    stop.set()
    assert died.asked


def test_restart_keeps_the_replica(lab: Lab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    (before,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    lab.engine.restart(before.id)
    (after,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    assert after.id == before.id
    assert after.started_at > before.started_at
    with pytest.raises(NotFound):
        lab.engine.restart("f" * 64)


def test_info_names_the_engine(lab: Lab) -> None:
    info = lab.engine.info()
    assert info.name == lab.name
    assert info.cpus >= 1
    assert info.memory > 0


def test_the_machine_is_that_of_info(lab: Lab) -> None:
    machine = lab.engine.machine()
    assert machine == lab.engine.info().machine
    assert machine.memory > 0
