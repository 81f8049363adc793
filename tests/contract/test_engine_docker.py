"""What only real containers show: causes of failures in words, limits, big streams, other people's things."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from paas.engines.docker import DockerEngine
from paas.errors import Conflict, DeployFailed, EngineUnavailable, PaasError, PlatformError
from paas.interfaces import LogQuery, Resize
from paas.model.events import silent
from paas.model.secret import Secret
from paas.model.service import HealthCheck, HealthKind, Limits, Mount, ServiceSpec, State
from paas.settings import load
from tests.contract.engine_lab import TCP, DockerLab, Events, Pipe, docker_lab, ids, until

pytestmark = pytest.mark.docker

MEGABYTE = 1 << 20


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[DockerLab]:
    with docker_lab(tmp_path) as lab:
        yield lab


def sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def answering(text: str) -> tuple[str, ...]:
    """A server that answers every connection with the same words."""
    return sh(f"printf '%s' '{text}' > /tmp/a; exec nc -ll -p 8000 -e sh -c 'read x; cat /tmp/a'")


HTTP = HealthCheck(kind=HealthKind.HTTP, path="/health", grace=1.0, timeout=0.5)
SHORT = replace(TCP, grace=1.0)

CAUSES = [
    pytest.param(
        sh("exec httpd -f -p 127.0.0.1:8000"),
        SHORT,
        r"listens on 127\.0\.0\.1:8000 only, expected 0\.0\.0\.0:\$PORT \(PORT=8000\)",
        id="loopback",
    ),
    pytest.param(sh("exec httpd -f -p 3000"), SHORT, r"listens on port 3000, expected \$PORT=8000", id="another port"),
    pytest.param(sh("exec sleep 1000"), SHORT, "listens on no port", id="no port"),
    pytest.param(answering("HTTP/1.1 500 oops\r\n\r\n"), HTTP, "GET /health answered 500", id="status 500"),
    pytest.param(
        sh("exec nc -ll -p 8000 -e sleep 1000"), HTTP, r"GET /health did not answer within 0\.5 s", id="hangs"
    ),
    pytest.param(answering("hello\r\n"), HTTP, "GET /health: the answer is not HTTP", id="not HTTP"),
    pytest.param(sh("exec nc -ll -p 8000 -e true"), HTTP, "the connection was closed without an answer", id="closes"),
    pytest.param(
        sh("exec sleep 1000"),
        HealthCheck(kind=HealthKind.COMMAND, command="echo not yet >&2; exit 4", grace=1.0),
        "the health command exited with code 4: not yet",
        id="command",
    ),
    pytest.param(
        sh("exec sleep 1000"),
        HealthCheck(kind=HealthKind.COMMAND, command="sleep 100", grace=1.0, timeout=0.4),
        r"the health command did not end within 0\.4 s",
        id="slow command",
    ),
    pytest.param(sh("kill -SEGV $$"), SHORT, "web.1 was ended by SIGSEGV", id="signal"),
    pytest.param(sh("nosuchprogram"), SHORT, "exited with code 127: its command was not found", id="127"),
]


@pytest.mark.parametrize(("command", "health", "cause"), CAUSES)
def test_the_cause_of_a_failed_boot_is_said_in_words(
    lab: DockerLab, command: tuple[str, ...], health: HealthCheck, cause: str
) -> None:
    spec = lab.spec(command=command, health=health, stop_grace=0.0)
    lab.engine.apply(spec, 1, silent)
    with pytest.raises(DeployFailed, match=cause):
        lab.engine.wait_healthy(spec, 1, 20, silent)


def test_a_command_that_is_not_in_the_image_is_said(lab: DockerLab) -> None:
    spec = lab.spec(command=("nosuchprogram",))
    lab.engine.apply(spec, 1, silent)
    with pytest.raises(DeployFailed, match="exited with code 127: its command was not found") as caught:
        lab.engine.wait_healthy(spec, 1, 20, silent)
    assert "nosuchprogram" in str(caught.value.details)


def test_a_replica_over_its_memory_limit_is_told_so(lab: DockerLab) -> None:
    eat = sh("sleep 0.2; exec head -c 200m /dev/zero | tail -c 200m > /dev/null")
    spec = lab.spec(command=eat, limits=Limits(memory=16 * MEGABYTE, pids=32))
    lab.engine.apply(spec, 1, silent)
    with pytest.raises(DeployFailed, match=r"web\.1 was killed over its memory limit of 16M"):
        lab.engine.wait_healthy(spec, 1, 20, silent)


def test_a_one_off_over_its_memory_limit_is_told_so(lab: DockerLab) -> None:
    eat = ("tail", "-c", "200m", "/dev/zero")
    spec = lab.spec(process="run", kind="oneoff", command=eat, limits=Limits(memory=16 * MEGABYTE))
    terminal = Pipe()
    assert lab.engine.run_once(spec, 60, terminal) == 137
    assert b"memory limit of 16M" in terminal.err


def test_the_redirect_of_a_health_check_is_not_followed(lab: DockerLab) -> None:
    moved = answering("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n")
    spec = lab.spec(command=moved, health=HTTP)
    lab.engine.apply(spec, 1, silent)
    (one,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    assert one.state is State.HEALTHY


def test_a_process_without_a_port_is_healthy_when_it_stays_up(lab: DockerLab) -> None:
    settled = HealthCheck(kind=HealthKind.RUNNING, settle=0.5)
    spec = lab.spec("never", process="worker", port=0, health=settled, stop_grace=0.0)
    lab.engine.apply(spec, 1, silent)
    (one,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    assert time.time() - one.started_at >= 0.5


def test_a_crash_loop_backs_off_and_is_seen(lab: DockerLab) -> None:
    spec = lab.spec("exits")
    lab.engine.apply(spec, 1, silent)

    def crashed() -> bool:
        (service,) = lab.engine.observe(spec.app_id)
        (one,) = service.replicas
        return one.state is State.CRASHED and one.exit_code == 3 and one.restarts >= 1 and "code 3" in one.detail

    until(crashed)


def test_a_replica_that_crashed_long_ago_is_waited_for_like_any_other(lab: DockerLab) -> None:
    spec = lab.spec(command=sh("test -e /tmp/second && exec httpd -f -p 8000 -h /www; touch /tmp/second; exit 1"))
    lab.engine.apply(spec, 1, silent)
    until(lambda: lab.engine.observe(spec.app_id)[0].healthy)
    lab.engine.apply(spec, 1, silent)
    with pytest.raises(DeployFailed, match=r"web\.1 exited with code 1"):
        lab.engine.wait_healthy(spec, 1, 20, silent)
    (one,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    assert one.restarts == 1


def test_a_frozen_replica_is_unhealthy_and_recovers(lab: DockerLab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    (one,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    lab.api.pause(one.id)
    assert lab.engine.observe(spec.app_id)[0].replicas[0].state is State.UNHEALTHY
    lab.api.unpause(one.id)
    assert until(lambda: lab.engine.observe(spec.app_id)[0].healthy)


def test_a_replica_that_stops_answering_becomes_unhealthy_after_its_failures(lab: DockerLab) -> None:
    spec = lab.spec(command=sh("httpd -p 8000 -h /www; sleep 1000"))
    lab.engine.apply(spec, 1, silent)
    (one,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    assert lab.engine.exec(one.id, ["killall", "httpd"], Pipe()) == 0
    sick = until(lambda: [r for r in lab.engine.observe(spec.app_id)[0].replicas if r.state is State.UNHEALTHY])
    assert sick[0].detail == "nothing accepts connections on port 8000"


def test_a_new_engine_knows_the_health_check_from_the_labels(lab: DockerLab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    lab.engine.wait_healthy(spec, 1, 20, silent)
    again = DockerEngine(lab.settings)
    try:
        (service,) = again.observe(spec.app_id)
    finally:
        again.close()
    assert [one.state for one in service.replicas] == [State.HEALTHY]


def test_zombies_are_reaped(lab: DockerLab) -> None:
    spec = lab.spec(command=sh("for i in 1 2 3; do (sleep 0.05 &) ; done; exec httpd -f -p 8000"))
    lab.engine.apply(spec, 1, silent)
    (one,) = lab.engine.wait_healthy(spec, 1, 20, silent)

    def processes() -> list[bytes]:
        terminal = Pipe()
        lab.engine.exec(one.id, ["sh", "-c", "cat /proc/[0-9]*/stat"], terminal)
        return [line for line in terminal.out.splitlines() if b"(sleep)" in line]

    until(lambda: not processes())


def test_a_container_is_limited_and_hardened(lab: DockerLab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    (one,) = ids(lab.engine, spec)
    host = lab.api.inspect_container(one)["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"], host["PidsLimit"]) == (64 << 20, 64 << 20, 10**9, 64)
    assert (host["CapDrop"], host["SecurityOpt"], host["Init"]) == (["ALL"], ["no-new-privileges:true"], True)
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}


def test_a_process_that_ignores_the_stop_signal_is_killed_after_its_grace(
    lab: DockerLab, caplog: pytest.LogCaptureFixture
) -> None:
    spec = lab.spec(command=sh("trap '' TERM; httpd -p 8000; while :; do sleep 1; done"), stop_grace=1.0)
    lab.engine.apply(spec, 2, silent)
    lab.engine.wait_healthy(spec, 2, 20, silent)
    lab.engine.remove(spec.key)
    assert lab.engine.observe(spec.app_id) == ()
    assert "web.1 of shop did not end within 1.0 s" in caplog.text


def test_established_connections_are_counted_until_they_end(lab: DockerLab) -> None:
    spec = lab.spec(command=("nc", "-ll", "-p", "8000", "-e", "cat"))
    lab.engine.apply(spec, 1, silent)
    (one,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    host, _, port = one.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=5):
        until(lambda: lab.engine.connections(spec.key, 8000) == {one.id: 1})
        assert lab.engine.stats(spec.app_id)[0].connections == 1
    until(lambda: lab.engine.connections(spec.key, 8000) == {one.id: 0})


def test_neighbours_reach_an_addon_by_its_alias(lab: DockerLab) -> None:
    network = lab.spec().networks
    addon = lab.spec(process="addon", kind="addon", app_id="dbdbdbdb", alias="mydb", networks=network)
    lab.engine.apply(addon, 1, silent)
    lab.engine.wait_healthy(addon, 1, 20, silent)
    terminal = Pipe()
    spec = lab.spec(process="run", kind="oneoff", command=("wget", "-qO-", "http://mydb:8000/"))
    assert lab.engine.run_once(spec, 30, terminal) == 0
    assert terminal.out == b"ok\n"


# Terminals.


def test_a_one_off_has_input_output_and_errors(lab: DockerLab) -> None:
    terminal = Pipe(b"typed\n")
    command = sh("cat; echo $GREETING; echo trouble >&2; exit 9")
    assert lab.engine.run_once(lab.spec(process="run", kind="oneoff", command=command), 30, terminal) == 9
    assert (terminal.out, terminal.err) == (b"typed\nhello\n", b"trouble\n")
    assert lab.containers() == []


def test_run_once_is_killed_when_its_time_is_over(lab: DockerLab) -> None:
    spec = lab.spec("never", process="release", kind="oneoff")
    with pytest.raises(DeployFailed, match="did not end within 1 s"):
        lab.engine.run_once(spec, 1, Pipe())
    assert lab.containers() == []


def test_exec_runs_inside_a_replica(lab: DockerLab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    (replica,) = ids(lab.engine, spec)
    terminal = Pipe(b"in")
    command = ["sh", "-c", "cat; echo $GREETING-$EXTRA; echo err >&2; exit 7"]
    assert lab.engine.exec(replica, command, terminal, {"EXTRA": Secret("more")}) == 7
    assert (terminal.out, terminal.err) == (b"inhello-more\n", b"err\n")


def test_twenty_megabytes_pass_unharmed_both_ways_at_once(lab: DockerLab) -> None:
    spec = lab.spec("never", stop_grace=0.0)
    lab.engine.apply(spec, 1, silent)
    (one,) = ids(lab.engine, spec)
    data = os.urandom(20 * MEGABYTE)
    terminal = Pipe(*(data[at : at + 70_001] for at in range(0, len(data), 70_001)))
    assert lab.engine.exec(one, ["cat"], terminal) == 0
    assert hashlib.sha256(terminal.out).digest() == hashlib.sha256(data).digest()


def test_the_end_of_input_reaches_the_command(lab: DockerLab) -> None:
    data = os.urandom(20 * MEGABYTE)
    spec = lab.spec(process="run", kind="oneoff", command=("sha256sum",))
    terminal = Pipe(data)
    assert lab.engine.run_once(spec, 60, terminal) == 0
    assert terminal.out.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_a_command_that_reads_no_input_ends_all_the_same(lab: DockerLab) -> None:
    spec = lab.spec("never", stop_grace=0.0)
    lab.engine.apply(spec, 1, silent)
    (one,) = ids(lab.engine, spec)
    assert lab.engine.exec(one, ["true"], Pipe(b"x" * MEGABYTE, b"y" * 8 * MEGABYTE)) == 0
    assert lab.engine.exec(one, ["true"], Pipe(ended=False)) == 0


def test_output_that_comes_at_once_is_complete(lab: DockerLab) -> None:
    spec = lab.spec("never", stop_grace=0.0)
    lab.engine.apply(spec, 1, silent)
    (one,) = ids(lab.engine, spec)
    for number in range(20):
        terminal = Pipe()
        assert lab.engine.exec(one, ["echo", str(number)], terminal) == 0
        assert terminal.out == f"{number}\n".encode()


def test_a_terminal_has_the_persons_size_and_sees_resizes(lab: DockerLab) -> None:
    script = "stty size; read x; stty size; exit 5"
    terminal = Pipe(Resize(41, 123), tty=True, ended=False)
    spec = lab.spec(process="run", kind="oneoff", command=sh("sleep 0.3; " + script))
    results = list[int]()
    runner = threading.Thread(target=lambda: results.append(lab.engine.run_once(spec, 60, terminal)))
    runner.start()
    try:
        until(lambda: b"41 123" in terminal.out)
        terminal.type(Resize(20, 60))
        terminal.type(b"go\n")
        until(lambda: b"20 60" in terminal.out)
    finally:
        terminal.end()
        runner.join(20)
    assert results == [5]


def test_a_terminal_in_exec_has_the_persons_size_too(lab: DockerLab) -> None:
    spec = lab.spec("never", stop_grace=0.0)
    lab.engine.apply(spec, 1, silent)
    (one,) = ids(lab.engine, spec)
    terminal = Pipe(Resize(33, 99), tty=True, ended=False)
    assert lab.engine.exec(one, sh("sleep 0.3; stty size"), terminal) == 0
    assert b"33 99" in terminal.out


class Gone(Exception):
    """The person has gone."""


class BrokenWriter(Pipe):
    def write(self, data: bytes, stream: str = "stdout") -> None:
        raise Gone


class BrokenReader(Pipe):
    def read(self) -> bytes | Resize | None:
        raise Gone


@pytest.mark.parametrize("terminal", [BrokenWriter(ended=False), BrokenReader()])
def test_a_one_off_ends_with_the_person_who_ran_it(lab: DockerLab, terminal: Pipe) -> None:
    spec = lab.spec(process="run", kind="oneoff", command=sh("while :; do echo on; sleep 0.1; done"))
    with pytest.raises(Gone):
        lab.engine.run_once(spec, 60, terminal)
    assert lab.containers() == []


@pytest.mark.parametrize("terminal", [BrokenWriter(ended=False), BrokenReader()])
def test_a_command_in_a_replica_ends_with_the_person_who_ran_it(lab: DockerLab, terminal: Pipe) -> None:
    spec = lab.spec("never", stop_grace=0.0)
    lab.engine.apply(spec, 1, silent)
    (one,) = ids(lab.engine, spec)
    with pytest.raises(Gone):
        lab.engine.exec(one, sh("trap '' HUP; while :; do echo on; sleep 0.1; done"), terminal)
    until(lambda: "while" not in str(lab.api.top(one)["Processes"]))


def test_a_one_off_whose_command_is_missing_exits_like_a_shell(lab: DockerLab) -> None:
    terminal = Pipe()
    spec = lab.spec(process="run", kind="oneoff", command=("nosuchprogram", "x"))
    assert lab.engine.run_once(spec, 60, terminal) == 127
    assert b"nosuchprogram" in terminal.err
    assert lab.containers() == []


def test_leftovers_of_a_killed_server_are_swept(lab: DockerLab) -> None:
    spec = lab.spec(process="run", kind="oneoff", command=("true",))
    body = {"Image": spec.image, "Cmd": ["sleep", "1000"], "Labels": _labels(lab, spec, until=1)}
    lab.api.start(lab.api.create_container_from_config(body)["Id"])
    assert lab.engine.run_once(spec, 60, Pipe()) == 0
    assert lab.containers() == []


def _labels(lab: DockerLab, spec: ServiceSpec, until: int) -> dict[str, str]:
    return {
        "paas.instance": lab.settings.instance,
        "paas.app": spec.app_id,
        "paas.process": "run",
        "paas.kind": "oneoff",
        "paas.until": str(until),
    }


# Logs.


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


def test_long_lines_are_cut_with_a_mark_and_nothing_is_lost(lab: DockerLab) -> None:
    script = "head -c 1000000 /dev/zero | tr '\\0' 'x'; echo; echo after; exec sleep 1000"
    spec = lab.spec(command=sh(script), stop_grace=0.0)
    lab.engine.apply(spec, 1, silent)
    lines = until(lambda: _ending(lab, spec, "after"))
    long = [line.text for line in lines if line.text != "after"]
    assert len(long) > 1
    assert all(text.endswith("…") for text in long[:-1])
    assert all(text.startswith("…") for text in long[1:])
    assert "".join(text.strip("…") for text in long) == "x" * 1_000_000


def test_bytes_that_are_no_text_are_replaced(lab: DockerLab) -> None:
    spec = lab.spec(command=sh("printf 'a\\377b\\033[31m\\r\\n'; echo after; exec sleep 1000"), stop_grace=0.0)
    lab.engine.apply(spec, 1, silent)
    lines = until(lambda: _ending(lab, spec, "after"))
    assert lines[0].text == "a\ufffdb\x1b[31m"


def _ending(lab: DockerLab, spec: ServiceSpec, text: str) -> list[object]:
    lines = list(lab.engine.logs(spec.app_id, LogQuery(lines=0)))
    return lines if lines and lines[-1].text == text else []


def test_lines_of_several_replicas_come_in_the_order_of_their_time(lab: DockerLab) -> None:
    spec = lab.spec(command=sh("for i in 1 2 3 4 5; do date; usleep 20000; done; exec sleep 1000"), stop_grace=0.0)
    lab.engine.apply(spec, 3, silent)
    lines = until(lambda: _count(lab, spec, 15))
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    assert {line.replica for line in lines} == {1, 2, 3}
    newest = list(lab.engine.logs(spec.app_id, LogQuery(lines=4)))
    assert newest == lines[-4:]


def _count(lab: DockerLab, spec: ServiceSpec, count: int) -> list[object]:
    lines = list(lab.engine.logs(spec.app_id, LogQuery(lines=0)))
    return lines if len(lines) == count else []


def test_a_followed_log_goes_on_with_restarts_and_later_replicas(lab: DockerLab) -> None:
    talk = sh("echo begin $PAAS_PROCESS; trap 'exit 0' TERM; while :; do usleep 50000; done")
    spec = lab.spec(command=talk, stop_grace=2.0)
    lab.engine.apply(spec, 1, silent)
    (one,) = ids(lab.engine, spec)
    before = _threads()
    stream = lab.engine.logs(spec.app_id, LogQuery(follow=True))
    heard = list[str]()
    reader = threading.Thread(target=lambda: heard.extend(line.text for line in _heard(stream, heard)))
    reader.start()
    try:
        until(lambda: heard.count("begin web.1") == 1)
        until(lambda: len(_threads()) > len(before))
        lab.engine.restart(one)
        until(lambda: heard.count("begin web.1") == 2)
        lab.engine.apply(spec, 2, silent)
        until(lambda: "begin web.2" in heard)
    finally:
        stream.close()  # type: ignore[attr-defined]
        reader.join(10)
    assert not reader.is_alive()
    assert heard.count("begin web.1") == 2
    until(lambda: not _threads())


def _heard(stream: Iterator[object], heard: list[str]) -> Iterator[object]:
    for line in stream:
        heard.append(line.text)  # type: ignore[attr-defined]
    yield from ()


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "logs"]


def test_a_followed_log_that_is_dropped_ends_its_threads(lab: DockerLab) -> None:
    spec = lab.spec(command=sh("while :; do echo on; usleep 10000; done"), stop_grace=0.0)
    lab.engine.apply(spec, 1, silent)
    stream = lab.engine.logs(spec.app_id, LogQuery(lines=1, follow=True))
    for _ in range(5):
        next(stream)
    assert _threads()
    del stream
    until(lambda: not _threads())


def test_a_burst_of_log_lines_arrives_in_full(lab: DockerLab) -> None:
    spec = lab.spec(command=sh("seq 1 100000; exec sleep 1000"), stop_grace=0.0)
    stream = lab.engine.logs(spec.app_id, LogQuery(lines=0, follow=True))
    threading.Timer(0.2, lab.engine.apply, (spec, 1, silent)).start()
    wanted = iter(range(1, 100001))
    for line in stream:
        assert int(line.text) == next(wanted)
        if line.text == "100000":
            break
    stream.close()  # type: ignore[attr-defined]


# Networks, names, other people's things.


def test_networks_made_at_once_never_overlap(lab: DockerLab) -> None:
    engines = [DockerEngine(lab.settings) for _ in range(2)]
    specs = [lab.spec(app_id=f"0000000{n}", networks=(), app_name=f"n{n}") for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: engines[n % 2].apply(specs[n], 1, silent), range(4)))
    for engine in engines:
        engine.close()
    assert lab.networks() == [f"{lab.settings.instance}-0000000{n}" for n in range(4)]
    with pytest.raises(PlatformError, match="no address range is left"):
        lab.engine.apply(lab.spec(app_id="0000000f", networks=()), 1, silent)


def test_forget_takes_the_network_from_what_is_still_connected(lab: DockerLab) -> None:
    spec = lab.spec()
    addon = lab.spec(process="addon", kind="addon", app_id="dbdbdbdb", alias="db")
    lab.engine.apply(spec, 1, silent)
    lab.engine.apply(addon, 1, silent)
    lab.engine.forget(spec.app_id)
    assert lab.networks() == []
    assert len(ids(lab.engine, addon)) == 1


def test_a_name_that_is_taken_gets_the_apps_id(lab: DockerLab) -> None:
    spec = lab.spec()
    other = replace(spec, app_id="deadbeef")
    lab.engine.apply(spec, 1, silent)
    lab.engine.apply(other, 1, silent)
    names = {one["Names"][0] for one in lab.containers()}
    assert names == {f"/{lab.settings.instance}-shop-web-v1-1", f"/{lab.settings.instance}-shop-web-v1-1-deadbeef"}


def test_what_lacks_our_label_is_never_touched(lab: DockerLab) -> None:
    volume, network = f"{lab.settings.instance}-foreign", f"{lab.settings.instance}-foreign1"
    stranger = lab.api.create_container_from_config({"Image": lab.image, "Cmd": ["sleep", "1000"]})["Id"]
    lab.api.create_volume(volume)
    lab.api.create_network(network, ipam={"Config": [{"Subnet": lab.settings.subnets.replace("/24", "/28")}]})
    try:
        with pytest.raises(PaasError, match="there is no replica"):
            lab.engine.exec(stranger, ["true"], Pipe())
        with pytest.raises(PaasError, match="there is no replica"):
            lab.engine.restart(stranger)
        with pytest.raises(Conflict, match="belongs to something else"):
            lab.engine.remove_volume(volume)
        with pytest.raises(Conflict, match="belongs to something else"):
            lab.engine.apply(lab.spec(mounts=(Mount(volume, "/data"),)), 1, silent)
        with pytest.raises(Conflict, match="belongs to something else"):
            lab.engine.apply(lab.spec(networks=(network,)), 1, silent)
    finally:
        lab.api.remove_container(stranger, force=True)
        lab.api.remove_volume(volume)
        lab.api.remove_network(network)


def test_a_missing_image_is_named(lab: DockerLab) -> None:
    with pytest.raises(PlatformError, match="image nosuch:1 of web is not on this Engine"):
        lab.engine.apply(lab.spec(image="nosuch:1"), 1, silent)


def test_secrets_stay_out_of_labels_errors_and_events(lab: DockerLab) -> None:
    secret, events = f"S3CR3T-{lab.app_id}", Events()
    spec = lab.spec(env={"KEY": Secret(secret), "": Secret(secret)})
    with pytest.raises(PaasError) as caught:
        lab.engine.apply(spec, 1, events)
    assert secret not in f"{caught.value} {caught.value.hint} {caught.value.details} {events.all}"
    good = lab.spec(env={"KEY": Secret(secret)})
    lab.engine.apply(good, 1, events)
    assert secret not in str([one["Labels"] for one in lab.containers()])


@pytest.mark.parametrize("value", ["two\nlines", "quo'\"tes $HOME {{ x }} `id`", "ümlaut ✓ 🎈", ""])
def test_any_value_reaches_the_process_byte_for_byte(lab: DockerLab, value: str) -> None:
    terminal = Pipe()
    spec = lab.spec(process="run", kind="oneoff", env={"V": Secret(value)}, command=sh('printf %s "$V"'))
    assert lab.engine.run_once(spec, 60, terminal) == 0
    assert terminal.out == value.encode()


# The Engine itself.


def test_an_engine_that_is_not_there_is_said_with_a_hint(tmp_path: Path) -> None:
    engine = DockerEngine(load(home=tmp_path, docker=f"unix://{tmp_path}/none.sock"))
    with pytest.raises(EngineUnavailable, match="does not answer") as caught:
        engine.observe()
    assert "DOCKER_HOST" in caught.value.hint
    assert list(engine.watch(threading.Event())) == []
    with pytest.raises(EngineUnavailable):
        list(engine.logs("00000000", LogQuery(follow=True)))
    engine.close()


def test_a_socket_that_nobody_listens_on_any_more_is_no_engine(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        server.listen()
        server.close()
    engine = DockerEngine(load(home=tmp_path, docker=f"unix://{tmp_path}/docker.sock"))
    with pytest.raises(EngineUnavailable):
        engine.info()
