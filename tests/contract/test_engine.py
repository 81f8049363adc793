"""What every engine does alike: one suite, run against each of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from paas.errors import DeployFailed, NotFound
from paas.interfaces import LogQuery
from paas.model.events import silent
from paas.model.secret import Secret
from paas.model.service import Change, Mount, ServiceKey, State
from tests.contract.engine_lab import DockerLab, Events, Pipe, docker_lab, ids, until

ENGINES = [pytest.param("docker", marks=pytest.mark.docker)]


@pytest.fixture(params=ENGINES)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DockerLab]:
    with docker_lab(tmp_path) as lab:
        yield lab


def test_apply_starts_the_replicas_and_observe_shows_them(lab: DockerLab) -> None:
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


def test_apply_again_keeps_what_is_there(lab: DockerLab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 2, silent)
    before = ids(lab.engine, spec)
    lab.engine.apply(spec, 2, silent)
    assert ids(lab.engine, spec) == before


def test_apply_adds_what_is_missing_and_leaves_surplus(lab: DockerLab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    (first,) = ids(lab.engine, spec)
    lab.engine.apply(spec, 3, silent)
    three = ids(lab.engine, spec)
    assert len(three) == 3
    assert three[0] == first
    lab.engine.apply(spec, 2, silent)
    assert ids(lab.engine, spec) == three


def test_a_lost_replica_is_made_anew_under_its_index(lab: DockerLab) -> None:
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


def test_a_dead_replica_is_seen_and_started_again(lab: DockerLab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    (one,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    lab.kill(one.id)
    (dead,) = until(lambda: [r for r in lab.engine.observe(spec.app_id)[0].replicas if r.state is State.CRASHED])
    assert (dead.id, dead.exit_code) == (one.id, 137)
    assert "SIGKILL" in dead.detail
    lab.engine.apply(spec, 1, silent)
    (again,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    assert again.id == one.id


def test_wait_healthy_tells_of_each_replica(lab: DockerLab) -> None:
    spec, events = lab.spec(), Events()
    lab.engine.apply(spec, 2, silent)
    found = lab.engine.wait_healthy(spec, 2, 20, events)
    assert [(one.index, one.state) for one in found] == [(1, State.HEALTHY), (2, State.HEALTHY)]
    told = [event.message for event in events.all if event.kind == "note" and "healthy" in event.message]
    assert any("web.1" in message for message in told)
    assert any("web.2" in message for message in told)


def test_wait_healthy_fails_at_the_first_exit_with_cause_and_last_lines(lab: DockerLab) -> None:
    spec = lab.spec("exits")
    lab.engine.apply(spec, 2, silent)
    with pytest.raises(DeployFailed, match=r"web\.[12] exited with code 3") as caught:
        lab.engine.wait_healthy(spec, 2, 20, silent)
    assert any(line.startswith("web.") and line.endswith("| about to fail") for line in caught.value.details)


def test_wait_healthy_fails_at_the_end_of_grace(lab: DockerLab) -> None:
    spec = lab.spec("never")
    lab.engine.apply(spec, 1, silent)
    with pytest.raises(DeployFailed, match="did not become healthy"):
        lab.engine.wait_healthy(spec, 1, 20, silent)
    (service,) = lab.engine.observe(spec.app_id)
    assert not service.healthy


def test_remove_ends_the_named_replicas_or_all_and_may_be_repeated(lab: DockerLab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 3, silent)
    first, second, third = ids(lab.engine, spec)
    lab.engine.remove(spec.key, [second])
    lab.engine.remove(spec.key, [second])
    assert ids(lab.engine, spec) == [first, third]
    lab.engine.remove(spec.key)
    lab.engine.remove(spec.key)
    assert lab.engine.observe(spec.app_id) == ()


def test_two_versions_stand_side_by_side(lab: DockerLab) -> None:
    old, new = lab.spec(), lab.spec(release=2, env={"GREETING": Secret("good day")})
    lab.engine.apply(new, 1, silent)
    lab.engine.apply(old, 1, silent)
    assert [service.key.release for service in lab.engine.observe(old.app_id)] == [1, 2]
    lab.engine.remove(old.key)
    assert [service.key for service in lab.engine.observe(old.app_id)] == [new.key]


def test_observe_without_an_app_shows_all_and_with_one_only_that(lab: DockerLab) -> None:
    mine = lab.spec()
    other = lab.spec(app_id="0badcafe", app_name="other", networks=(), process="worker")
    lab.engine.apply(mine, 1, silent)
    lab.engine.apply(other, 1, silent)
    assert [service.key for service in lab.engine.observe(mine.app_id)] == [mine.key]
    assert {service.key for service in lab.engine.observe()} >= {mine.key, other.key}


def test_run_once_passes_output_and_exit_code_and_leaves_nothing(lab: DockerLab) -> None:
    terminal = Pipe(b"typed\n")
    command = ("sh", "-c", "cat; echo $GREETING; echo trouble >&2; exit 9")
    spec = lab.spec(process="run", kind="oneoff", command=command)
    assert lab.engine.run_once(spec, 30, terminal) == 9
    assert terminal.out == b"typed\nhello\n"
    assert terminal.err == b"trouble\n"
    assert lab.engine.observe(spec.app_id) == ()


def test_run_once_is_killed_when_its_time_is_over(lab: DockerLab) -> None:
    spec = lab.spec("never", process="release", kind="oneoff")
    with pytest.raises(DeployFailed, match="did not end within 1 s"):
        lab.engine.run_once(spec, 1, Pipe())
    assert lab.engine.observe(spec.app_id) == ()


def test_exec_runs_inside_a_replica(lab: DockerLab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    (replica,) = ids(lab.engine, spec)
    terminal = Pipe(b"in")
    command = ["sh", "-c", "cat; echo $GREETING-$EXTRA; echo err >&2; exit 7"]
    assert lab.engine.exec(replica, command, terminal, {"EXTRA": Secret("more")}) == 7
    assert (terminal.out, terminal.err) == (b"inhello-more\n", b"err\n")


def test_exec_in_a_replica_that_is_not_there_says_so(lab: DockerLab) -> None:
    with pytest.raises(NotFound):
        lab.engine.exec("f" * 64, ["true"], Pipe())


def test_logs_are_the_last_lines_of_the_asked_processes(lab: DockerLab) -> None:
    talk = ("sh", "-c", "echo bad >&2; sleep 0.3; for i in 1 2 3 4; do echo line $i; done; exec sleep 1000")
    web, worker = lab.spec(command=talk), lab.spec(process="worker", command=talk)
    lab.engine.apply(web, 1, silent)
    lab.engine.apply(worker, 1, silent)
    until(lambda: len(list(lab.engine.logs(web.app_id, LogQuery(lines=0)))) == 10)
    lines = list(lab.engine.logs(web.app_id, LogQuery(lines=3, process="worker")))
    assert [(line.process, line.replica, line.text) for line in lines] == [
        ("worker", 1, "line 2"),
        ("worker", 1, "line 3"),
        ("worker", 1, "line 4"),
    ]
    everything = list(lab.engine.logs(web.app_id, LogQuery(lines=0)))
    assert {line.text for line in everything if line.stream == "stderr"} == {"bad"}
    assert list(lab.engine.logs(web.app_id, LogQuery(replica=2))) == []


def test_a_followed_log_ends_when_it_is_closed_by_another_thread(lab: DockerLab) -> None:
    spec = lab.spec(command=("sh", "-c", "echo first; exec sleep 1000"))
    lab.engine.apply(spec, 1, silent)
    stream = lab.engine.logs(spec.app_id, LogQuery(follow=True))
    assert next(stream).text == "first"
    threading.Timer(0.3, stream.close).start()  # type: ignore[attr-defined]
    assert list(stream) == []


def test_forget_leaves_nothing_of_the_app(lab: DockerLab) -> None:
    spec, worker = lab.spec(), lab.spec("never", process="worker", stop_grace=0.0)
    lab.engine.apply(spec, 2, silent)
    lab.engine.apply(worker, 1, silent)
    lab.engine.forget(spec.app_id)
    lab.engine.forget(spec.app_id)
    assert lab.engine.observe(spec.app_id) == ()


def test_an_addon_is_replaced_in_place_and_keeps_its_volume(lab: DockerLab) -> None:
    volume = f"{lab.settings.instance}-db"
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
    lab.engine.remove_volume(volume)
    lab.engine.remove_volume(volume)


def test_an_addon_joins_and_leaves_networks_while_it_runs(lab: DockerLab) -> None:
    first, second = f"{lab.settings.instance}-aaaaaaaa", f"{lab.settings.instance}-bbbbbbbb"
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


def test_stats_and_connections_cover_each_running_replica(lab: DockerLab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 2, silent)
    lab.engine.wait_healthy(spec, 2, 20, silent)
    running = set(ids(lab.engine, spec))
    assert {stats.replica for stats in lab.engine.stats(spec.app_id)} == running
    assert all(stats.memory > 0 and stats.cpu_seconds > 0 for stats in lab.engine.stats())
    assert until(lambda: lab.engine.connections(spec.key, 8000) == dict.fromkeys(running, 0))
    assert lab.engine.connections(ServiceKey(spec.app_id, "web", 99), 8000) == {}


def test_watch_tells_of_a_death_and_ends_when_told_to(lab: DockerLab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    (replica,) = ids(lab.engine, spec)
    stop, changes = threading.Event(), list[Change]()
    watcher = threading.Thread(target=lambda: changes.extend(lab.engine.watch(stop)))
    watcher.start()
    try:
        until(lambda: _started(lab, changes, replica))
        lab.kill(replica)
        until(lambda: Change("die", spec.key, replica, 137) in changes)
    finally:
        stop.set()
        watcher.join(10)
    assert not watcher.is_alive()


def _started(lab: DockerLab, changes: list[Change], replica: str) -> bool:
    """Make something happen until the watcher has seen it: only then does it listen for sure."""
    lab.engine.restart(replica)
    return bool(changes)


def test_restart_keeps_the_replica(lab: DockerLab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    (before,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    lab.engine.restart(before.id)
    (after,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    assert after.id == before.id
    assert after.started_at > before.started_at
    with pytest.raises(NotFound):
        lab.engine.restart("f" * 64)


def test_info_names_the_engine(lab: DockerLab) -> None:
    info = lab.engine.info()
    assert info.name == lab.name
    assert info.cpus >= 1
    assert info.memory > 0
