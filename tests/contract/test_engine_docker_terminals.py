"""One-off commands and sessions in real containers: bytes both ways, sizes, exit codes, people who leave."""

from __future__ import annotations

import hashlib
import os
import threading

import pytest

from paas.errors import DeployFailed
from paas.interfaces import Resize
from paas.model.events import silent
from paas.model.secret import Secret
from paas.model.service import ServiceSpec
from tests.contract.engine_lab import MEGABYTE, DockerLab, Pipe, ids, sh
from tests.polling import until

pytestmark = pytest.mark.docker


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
