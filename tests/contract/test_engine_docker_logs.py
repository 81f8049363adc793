"""Logs of real containers: complete, in order, followed through restarts, ended when nobody reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from paas.interfaces import LogQuery
from paas.model.events import silent
from paas.model.service import ServiceSpec
from tests.contract.engine_lab import DockerLab, ids, sh
from tests.polling import until

pytestmark = pytest.mark.docker


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
