"""Health: from answers to a state."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.engines.probe import Answer, History, Prober, Target, asked, boot, judged, told
from paas.model.service import HealthCheck, HealthKind, State

GOOD, BAD = Answer(good=True), Answer(good=False, detail="sick")
CHECK = HealthCheck(kind=HealthKind.TCP, passes=2, failures=3, grace=10, interval=5)


def after(*answers: Answer, up: float = 1.0) -> State:
    history = History(run=100.0)
    for answer in answers:
        history = told(history, answer, CHECK, 100.0 + up)
    return judged(history, CHECK, 100.0 + up)[0]


def test_it_is_healthy_after_its_passes_in_a_row() -> None:
    assert after(GOOD) is State.STARTING
    assert after(GOOD, BAD, GOOD) is State.STARTING
    assert after(GOOD, GOOD) is State.HEALTHY


def test_it_is_unhealthy_after_its_failures_in_a_row_and_recovers() -> None:
    well = (GOOD, GOOD)
    assert after(*well, BAD, BAD) is State.HEALTHY
    assert after(*well, BAD, BAD, GOOD, BAD, BAD) is State.HEALTHY
    assert after(*well, BAD, BAD, BAD) is State.UNHEALTHY
    assert after(*well, BAD, BAD, BAD, GOOD) is State.UNHEALTHY
    assert after(*well, BAD, BAD, BAD, GOOD, GOOD) is State.HEALTHY


def test_bad_answers_do_not_count_within_grace_and_do_after_it() -> None:
    assert after(*[BAD] * 20, up=9.9) is State.STARTING
    assert after(*[BAD] * 20, up=10.0) is State.UNHEALTHY
    assert after(*[BAD] * 20, GOOD, GOOD, up=10.0) is State.HEALTHY


@given(st.lists(st.booleans()))
def test_the_last_answers_alone_decide(answers: list[bool]) -> None:
    tail = [GOOD, GOOD]
    given_answers = [GOOD if good else BAD for good in answers]
    assert after(*given_answers, *tail, up=50) is State.HEALTHY
    assert after(*given_answers, BAD, BAD, BAD, up=50) is State.UNHEALTHY


def test_a_running_check_is_healthy_once_it_has_settled() -> None:
    check = HealthCheck(kind=HealthKind.RUNNING, settle=2)
    assert judged(History(run=100.0), check, 101.9)[0] is State.STARTING
    assert judged(History(run=100.0), check, 102.0)[0] is State.HEALTHY


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on a port of its own; `serve` handles one connection after another."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def run() -> None:
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    if not stop.is_set():
                        try:
                            serve(connection)
                        except OSError:
                            continue

        thread = threading.Thread(target=run)
        thread.start()
        port = listener.getsockname()[1]
        try:
            yield port
        finally:
            stop.set()
            socket.create_connection(("127.0.0.1", port), 5).close()
            thread.join(10)


def target(port: int, health: HealthCheck, run: float = 0.0) -> Target:
    return Target(id="r", name="web.1", host="127.0.0.1", port=port, started_at=run, health=health, app_name="shop")


def never(container: str, argv: object, timeout: float) -> tuple[int | None, str]:
    raise AssertionError("no command was asked for")


HTTP = HealthCheck(kind=HealthKind.HTTP, path="/up?x=1", timeout=1.0)


def test_the_request_names_the_app_and_ends_the_connection() -> None:
    heard: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        heard.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with server(serve) as port:
        assert asked(target(port, HTTP), never) == Answer(good=True)
    assert heard[0].startswith(b"GET /up?x=1 HTTP/1.1\r\nHost: shop.internal\r\n")
    assert b"Connection: close" in heard[0]


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"HTTP/1.1 399 x\r\n\r\n", ""),
        (b"HTTP/1.0 200\r\n\r\n", ""),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "GET /up?x=1 answered 404"),
        (b"HTTP/1.1 99999 x\r\n\r\n", "GET /up?x=1 answered 99999"),
        (b"SSH-2.0-OpenSSH_9\r\n", "GET /up?x=1: the answer is not HTTP"),
        (b"\x16\x03\x01" * 3000, "GET /up?x=1: the answer is not HTTP"),
        (b"", "GET /up?x=1: the connection was closed without an answer"),
    ],
)
def test_answers_are_judged_by_their_status(answer: bytes, detail: str) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    with server(serve) as port:
        found = asked(target(port, HTTP), never)
    assert (found.good, found.detail) == (not detail, detail)


def test_a_server_that_sends_one_byte_at_a_time_holds_nobody_up() -> None:
    def serve(connection: socket.socket) -> None:
        for _ in range(200):
            connection.sendall(b"x")
            time.sleep(0.05)

    began = time.monotonic()
    with server(serve) as port:
        found = asked(target(port, HealthCheck(kind=HealthKind.HTTP, timeout=0.3)), never)
        waited = time.monotonic() - began
    assert found.detail == "GET / did not answer within 0.3 s"
    assert waited < 5


def test_a_hostile_path_cannot_add_a_header() -> None:
    heard: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        heard.append(connection.recv(4096))

    with server(serve) as port:
        asked(target(port, HealthCheck(kind=HealthKind.HTTP, path="/a b\r\nX: y", timeout=1)), never)
    assert heard[0].splitlines()[0] == b"GET /abX:y HTTP/1.1"


def test_a_closed_port_is_a_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = asked(target(port, HealthCheck(timeout=1)), never)
    assert (found.good, found.refused) == (False, True)
    assert found.detail == f"nothing accepts connections on port {port}"


def test_a_replica_without_an_address_is_not_asked() -> None:
    nowhere = Target(id="r", name="web.1", host="", port=1, started_at=0, health=HealthCheck())
    assert asked(nowhere, never).detail == "has no address"


@pytest.mark.parametrize(
    ("result", "good", "detail"),
    [
        ((0, ""), True, ""),
        ((None, ""), False, "did not end within 3 s"),
        ((2, "no\nsuch table\n"), False, "exited with code 2: such table"),
    ],
)
def test_a_command_is_judged_by_its_exit_code(result: tuple[int | None, str], good: bool, detail: str) -> None:
    check = HealthCheck(kind=HealthKind.COMMAND, command="pg_isready -q")
    seen: list[tuple[str, object, float]] = []

    def execute(container: str, argv: object, timeout: float) -> tuple[int | None, str]:
        seen.append((container, argv, timeout))
        return result

    found = asked(target(0, check), execute)
    assert found.good is good
    assert detail in found.detail
    assert seen == [("r", ("/bin/sh", "-c", "pg_isready -q"), 3.0)]


class Count:
    """An Execute that counts and answers as it is told."""

    def __init__(self) -> None:
        self.calls, self.code = 0, 0

    def __call__(self, container: str, argv: object, timeout: float) -> tuple[int | None, str]:
        self.calls += 1
        return self.code, ""


def test_a_replica_is_asked_again_only_when_its_interval_is_over() -> None:
    count = Count()
    prober = Prober(count)
    check = HealthCheck(kind=HealthKind.COMMAND, interval=1000)
    one = target(0, check, run=time.time())
    assert prober.look([one]) == {"r": (State.HEALTHY, "")}
    assert prober.look([one]) == {"r": (State.HEALTHY, "")}
    assert count.calls == 1


def test_a_replica_that_never_passed_is_asked_at_every_look() -> None:
    count = Count()
    count.code = 1
    prober = Prober(count)
    one = target(0, HealthCheck(kind=HealthKind.COMMAND, interval=1000), run=time.time())
    prober.look([one])
    count.code = 0
    assert prober.look([one])["r"][0] is State.HEALTHY


def test_a_restart_and_forgetting_begin_anew() -> None:
    count = Count()
    prober = Prober(count)
    check = HealthCheck(kind=HealthKind.COMMAND, interval=1000, grace=1000)
    now = time.time()
    prober.look([target(0, check, run=now - 5)])
    prober.look([target(0, check, run=now)])
    assert count.calls == 2
    prober.keep(["other"])
    prober.look([target(0, check, run=now)])
    assert count.calls == 3
    prober.forget("r")
    prober.look([target(0, check, run=now)])
    assert count.calls == 4


def booted(*looks: tuple[float, bool]) -> float | None:
    """The boot of a run that began at 100 and was looked at so long after that."""
    history = History(run=100.0)
    for later, good in looks:
        history = told(history, Answer(good=good), HealthCheck(), 100.0 + later)
    return boot(history)


def test_a_boot_lasts_from_the_start_to_the_first_good_health() -> None:
    assert booted((0.1, False), (0.6, False), (1.4, True), (6.0, True), (9.0, False), (40.0, True)) == pytest.approx(
        1.4
    )
    assert booted((0.1, False)) is None
    assert booted((0.1, False), (3.2, False), (6.4, False), (9.0, True)) == pytest.approx(9.0)  # it hung in its check


def test_a_boot_that_nobody_looked_at_is_not_known() -> None:
    assert booted((5000.0, True)) is None  # the server began after the replica
    assert booted((5000.0, False), (5001.0, True)) is None
    assert booted((-3.0, True)) is None  # the clock was set back
