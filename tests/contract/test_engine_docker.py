"""What only real containers show: causes of failures in words, limits, big streams, other people's things."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from docker import APIClient

from paas.engines.docker import DockerEngine
from paas.engines.docker_spec import stopping_name
from paas.engines.docker_stop import stop
from paas.errors import Conflict, DeployFailed, EngineUnavailable, PaasError, PlatformError
from paas.interfaces import LogQuery
from paas.model.events import silent
from paas.model.secret import Secret
from paas.model.service import HealthCheck, HealthKind, Limits, Mount, State
from paas.settings import load
from tests.contract.engine_lab import MEGABYTE, TCP, DockerLab, Events, Pipe, ids, sh
from tests.polling import until

pytestmark = pytest.mark.docker


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
    eat = sh("sleep 1; exec head -c 200m /dev/zero | tail -c 200m > /dev/null")
    spec = lab.spec(command=eat, limits=Limits(memory=16 * MEGABYTE, pids=32))
    lab.engine.apply(spec, 1, silent)
    with pytest.raises(DeployFailed, match=r"web\.1 was killed over its memory limit of 16M"):
        lab.engine.wait_healthy(spec, 1, 20, silent)


def test_a_one_off_over_its_memory_limit_is_told_so(lab: DockerLab) -> None:
    # Not at once: an Engine listens for the kernel's word on memory only a moment after the start.
    eat = ("sh", "-c", "sleep 1; exec tail -c 200m /dev/zero")
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


def test_a_command_that_took_too_long_runs_no_more_and_one_that_did_not_is_not_touched(lab: DockerLab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    (one,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    with pytest.raises(PlatformError, match=r"longer than 0\.5 s"):
        lab.engine.exec(one.id, sh("trap '' HUP; sleep 1001"), Pipe(interactive=False), timeout=0.5)
    until(lambda: not [line for line in lab.api.top(one.id)["Processes"] if "1001" in " ".join(line)])
    terminal = Pipe()
    assert lab.engine.exec(one.id, sh("sleep 1; echo done; exit 3"), terminal, timeout=60.0) == 3
    assert terminal.out == b"done\n"


def test_the_gateway_is_the_address_that_replicas_reach_this_machine_at(lab: DockerLab) -> None:
    spec, terminal = lab.spec(), Pipe()
    lab.engine.apply(spec, 1, silent)
    (one,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    lab.engine.exec(one.id, ["ip", "route", "show", "default"], terminal)
    assert terminal.out.split()[:3] == [b"default", b"via", lab.engine.gateways()[spec.app_id].encode()]


def test_what_a_replica_does_is_what_is_measured(lab: DockerLab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    (one,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    (before,) = lab.engine.measure()
    work = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; wget -qO- http://127.0.0.1:8000/ > /dev/null; true"
    assert lab.engine.exec(one.id, sh(work), Pipe()) == 0
    (after,) = lab.engine.measure()
    assert before.used
    assert after.used
    assert after.used.cpu_seconds > before.used.cpu_seconds + 0.05
    assert 0 < after.used.memory < after.memory_limit


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


def test_who_had_its_stop_signal_gets_no_second_one_when_its_sender_is_gone(lab: DockerLab) -> None:
    script = "trap 'echo asked' TERM; httpd -p 8000; while [ ! -e /tmp/done ]; do sleep 0.2; done"
    spec = lab.spec(command=sh(script), stop_grace=60.0)
    lab.engine.apply(spec, 2, silent)
    first, second = lab.engine.wait_healthy(spec, 2, 20, silent)
    killed = threading.Thread(target=lab.engine.remove, args=(spec.key, (first.id,)), daemon=True)
    killed.start()
    until(lambda: "-stopping-" in lab.api.inspect_container(first.id)["Name"])
    successor = DockerEngine(lab.settings)
    try:

        def ending() -> dict[str, bool]:
            return {one.id: one.ending for service in successor.observe(spec.app_id) for one in service.replicas}

        assert ending() == {first.id: True, second.id: False}
        ends = threading.Thread(target=successor.remove, args=(spec.key, (first.id,)), daemon=True)
        ends.start()
        time.sleep(2)
        assert lab.api.logs(first.id) == b"asked\n"
        lab.api.exec_start(lab.api.exec_create(first.id, ["touch", "/tmp/done"])["Id"])
        ends.join(10)
        killed.join(10)
        assert not ends.is_alive()
        assert ending() == {second.id: False}
    finally:
        successor.close()


@pytest.mark.parametrize("how", ["restart", "apply"])
def test_who_is_started_again_after_its_stop_signal_gets_one_as_all_do(lab: DockerLab, how: str) -> None:
    spec = lab.spec(command=sh("trap 'echo asked; exit' TERM; httpd -p 8000; while :; do sleep 0.2; done"))
    lab.engine.apply(spec, 1, silent)
    (one,) = lab.engine.wait_healthy(spec, 1, 20, silent)
    lab.api.rename(one.id, stopping_name("shop", time.time()))
    if how == "restart":
        lab.engine.restart(one.id)
    else:
        lab.api.stop(one.id)
        lab.engine.apply(spec, 1, silent)
    assert lab.api.inspect_container(one.id)["Name"] == "/shop"
    assert [each.ending for service in lab.engine.observe(spec.app_id) for each in service.replicas] == [False]
    stop(lab.api, one.id, 10.0, "web.1")
    assert lab.api.logs(one.id) == b"asked\nasked\n", "by the test, and now"


def test_a_replica_that_is_frozen_or_loops_is_stopped_too(lab: DockerLab) -> None:
    frozen, loops = lab.spec(), replace(lab.spec(command=sh("exit 3")), process="worker", port=0)
    lab.engine.apply(frozen, 1, silent)
    lab.engine.apply(loops, 1, silent)
    lab.api.pause(ids(lab.engine, frozen)[0])
    until(lambda: lab.api.inspect_container(ids(lab.engine, loops)[0])["State"]["Restarting"])
    lab.engine.remove(frozen.key)
    lab.engine.remove(loops.key)
    assert lab.engine.observe(frozen.app_id) == ()


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


def test_the_engine_is_asked_once_what_its_machine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check for room would else cost what `info` takes, each time."""
    settings = load(home=tmp_path)
    engine, other = DockerEngine(settings), DockerEngine(settings)
    asked: list[str] = []
    info = APIClient.info

    def counted(api: APIClient) -> object:
        asked.append("info")
        return info(api)

    monkeypatch.setattr(APIClient, "info", counted)
    assert engine.machine() == engine.machine()
    assert asked == ["info"]
    other.info()
    assert other.machine() == engine.machine()
    assert asked == ["info", "info"]
    engine.close()
    other.close()


def test_a_socket_that_nobody_listens_on_any_more_is_no_engine(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        server.listen()
        server.close()
    engine = DockerEngine(load(home=tmp_path, docker=f"unix://{tmp_path}/docker.sock"))
    with pytest.raises(EngineUnavailable):
        engine.info()
