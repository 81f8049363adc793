"""Connections are held until an app is awake, and it is woken once."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from paas.waker import Waker


class Echo(socketserver.BaseRequestHandler):
    """Sends back what came, until its end."""

    def handle(self) -> None:
        self.server.came.append(self.request.recv(65536, socket.MSG_PEEK))  # type: ignore[attr-defined]
        while piece := self.request.recv(65536):
            self.request.sendall(piece)


@dataclass
class Lab:
    """A waker whose app is an echo behind a door; `error` keeps it from waking, `early` has it answer before that."""

    waker: Waker = field(init=False)
    address: str = ""
    door: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    early: bool = False
    times: int = 0
    came: list[bytes] = field(default_factory=list)

    def wake(self, app_id: str, ready: Callable[[str], None]) -> str:
        self.times += 1
        self.asked.set()
        if self.early:
            ready(self.address)
        assert self.door.wait(20)
        if self.error:
            raise self.error
        return self.address

    def connect(self, app_id: str = "shop") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.waker.listen(app_id)), timeout=20)

    def send(self, data: bytes, app_id: str = "shop") -> bytes:
        """Everything that comes back. As the router does, it ends only when the answer is there."""
        with self.connect(app_id) as link:
            sender = threading.Thread(target=link.sendall, args=(data,))
            sender.start()
            found = b""
            while len(found) < len(data) and (piece := link.recv(65536)):
                found += piece
            sender.join(20)
            link.shutdown(socket.SHUT_WR)
            return found + b"".join(iter(lambda: link.recv(65536), b""))


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    made.waker = Waker(made.wake)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.came = made.came  # type: ignore[attr-defined]
        made.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        made.waker.start()
        yield made
        made.door.set()
        made.waker.stop()
        server.shutdown()
        thread.join()


def test_ten_at_once_wake_the_app_once_and_all_are_answered(lab: Lab) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(lab.send, b"hello %d" % number) for number in range(10)]
        assert lab.asked.wait(20)
        lab.door.set()
        assert sorted(one.result(20) for one in answers) == sorted(b"hello %d" % number for number in range(10))


def test_who_waits_is_answered_as_soon_as_somebody_can_and_so_is_who_comes_until_the_end(lab: Lab) -> None:
    lab.early = True
    assert lab.send(b"first") == b"first"
    assert lab.send(b"second") == b"second"
    assert (lab.times, lab.door.is_set()) == (1, False)


def test_a_waking_that_fails_after_its_first_word_is_not_tried_again_at_once(lab: Lab) -> None:
    lab.early, lab.error = True, RuntimeError("the routes cannot be set")
    assert lab.send(b"first") == b"first"
    lab.door.set()
    deadline = time.monotonic() + 20
    while not (answer := lab.send(b"GET / HTTP/1.1")).startswith(b"HTTP/1.1 503"):
        assert time.monotonic() < deadline, answer
    assert lab.times == 1


def test_a_body_of_many_megabytes_is_held_back_and_then_passed_whole(lab: Lab) -> None:
    data = bytes(range(256)) * 20_000
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lab.send, data)
        assert lab.asked.wait(20)
        lab.door.set()
        assert answer.result(30) == data


def test_a_connection_without_a_byte_wakes_nobody(lab: Lab) -> None:
    with socket.create_connection(("127.0.0.1", lab.waker.listen("shop")), timeout=20) as link:
        link.shutdown(socket.SHUT_WR)
        assert link.recv(1) == b""
    assert lab.times == 0


def test_a_waking_that_fails_is_told_and_not_tried_again_at_once(lab: Lab) -> None:
    lab.error = RuntimeError("DATABASE_URL=secret")
    lab.door.set()
    first, second = lab.send(b"GET / HTTP/1.1\r\n\r\n"), lab.send(b"GET / HTTP/1.1\r\n\r\n")
    for answer in (first, second):
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: " in answer
        assert b"could not be started" in answer
        assert b"secret" not in answer
    assert lab.times == 1


def test_a_refused_head_has_no_body(lab: Lab) -> None:
    lab.error = RuntimeError("no")
    lab.door.set()
    assert lab.send(b"HEAD / HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n")


def test_a_port_that_is_taken_is_replaced_by_another(lab: Lab) -> None:
    first = lab.waker.listen("shop")
    assert lab.waker.listen("shop") == first
    assert lab.waker.listen("blog", first) != first


def test_an_app_that_may_not_sleep_any_more_has_no_port(lab: Lab) -> None:
    port = lab.waker.listen("shop")
    lab.waker.forget_all_but(())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_who_has_waited_long_enough_is_told_that_the_app_is_still_starting(lab: Lab) -> None:
    lab.waker.hold = 0.1
    for _ in range(2):
        answer = lab.send(b"GET / HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 10\r\n" in answer
        assert b"it is still starting" in answer
    assert lab.times == 1, "the waking goes on while nobody waits for it"


@pytest.mark.parametrize("size", [10, 100_000], ids=["read", "waits in the kernel"])
def test_what_a_client_asked_that_has_gone_reaches_nobody(lab: Lab, size: int) -> None:
    with lab.connect() as link:
        link.sendall(b"P" * size)
        assert lab.asked.wait(20)
    lab.door.set()
    assert lab.send(b"stays") == b"stays"
    assert lab.came == [b"stays"]


def test_a_client_that_has_gone_leaves_its_place(lab: Lab) -> None:
    lab.waker.held = 1
    with lab.connect() as link:
        link.sendall(b"POST")
        assert lab.asked.wait(20)
        assert b"too many requests wait" in lab.send(b"GET")
    lab.waker.hold = 0.1
    deadline = time.monotonic() + 20
    while b"it is still starting" not in (answer := lab.send(b"GET")):
        assert b"too many requests wait" in answer
        assert time.monotonic() < deadline, "its place is still taken"


def test_all_apps_together_have_so_many_connections(lab: Lab) -> None:
    lab.waker.room = 2
    with lab.connect() as one, lab.connect() as two:
        one.sendall(b"GET")
        two.sendall(b"GET")
        assert lab.asked.wait(20)
        deadline = time.monotonic() + 20
        while not lab.send(b"GET", "blog").startswith(b"HTTP/1.1 503 "):
            assert time.monotonic() < deadline
    assert lab.times == 1


def test_an_app_for_whose_waking_there_was_no_thread_is_woken_later(lab: Lab) -> None:
    lab.waker.pause = 0.1
    lab.door.set()
    with lab.connect() as link:
        before = threading.stack_size(2**47)  # more than there are addresses
        try:
            link.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert link.recv(65536).startswith(b"HTTP/1.1 503 ")
        finally:
            threading.stack_size(before)
    deadline = time.monotonic() + 20
    while (answer := lab.send(b"again")) != b"again":
        assert b"could not be started" in answer
        assert time.monotonic() < deadline
    assert lab.times == 1
