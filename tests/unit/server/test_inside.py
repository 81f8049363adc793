"""What apps reach from inside: a replica speaks for itself, nobody for another, and nothing else is there."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paas.model.events import Event
from paas.requests.processes import Scale
from paas.server.inside import LARGEST, MOST, Inside
from paas.usecases.processes import scale
from tests.unit.usecases.parts import Parts, parts

GATE = "127.0.0.1"


class Lab:
    """A platform with an app of two replicas, whose network is this machine's loopback."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind((GATE, 0))
            self.port = int(probe.getsockname()[1])
        self.platform: Parts = parts(home, api_port=self.port)
        self.platform.engine.network = "127.5"
        self.app = self.platform.app(web=2)
        self.platform.release(self.app)
        self.platform.engine.gates = {self.app.id: GATE}

    def replicas(self) -> dict[str, str]:
        """Address to id."""
        (service,) = self.platform.engine.observe(self.app.id)
        return {replica.address.partition(":")[0]: replica.id for replica in service.replicas}

    def ask(self, method: str, path: str, source: str, body: str | None = None) -> tuple[int, Any]:
        """An answer, asked from this address."""
        with closing(http.client.HTTPConnection(GATE, self.port, timeout=20, source_address=(source, 0))) as made:
            made.request(method, path, body=body)
            answer = made.getresponse()
            return answer.status, json.loads(answer.read())

    def spared(self) -> set[str]:
        now = self.platform.clock.now()
        return {one.replica for one in self.platform.store.protections(self.app.id) if one.until > now}


@contextmanager
def inside(lab: Lab) -> Iterator[None]:
    running = Inside(lab.platform.context)
    running.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if not probe.connect_ex((GATE, lab.port)):
                break
        time.sleep(0.02)
    try:
        yield
    finally:
        running.stop()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    with inside(made):
        yield made


def test_a_replica_is_spared_for_as_long_as_it_asks_and_until_it_asks_no_more(lab: Lab) -> None:
    address, replica = next(iter(lab.replicas().items()))
    status, answer = lab.ask("PUT", "/protect", address, '{"minutes": 30}')
    assert (status, answer["until"]) == (200, lab.platform.clock.now() + 1800)
    assert lab.spared() == {replica}
    assert lab.ask("GET", "/protect", address) == (200, answer)
    assert lab.ask("DELETE", "/protect", address) == (200, {"replica": answer["replica"], "until": 0.0})
    assert lab.ask("DELETE", "/protect", address)[0] == 200
    assert lab.spared() == set()


def test_one_that_drains_already_is_not_promised_to_be_spared(lab: Lab) -> None:
    answers = []

    def during(event: Event) -> None:
        if event.kind == "step" and event.data["step"] == "Drain":
            answers.extend(lab.ask("PUT", "/protect", address) for address in lab.replicas())

    request = Scale(app=lab.app.name, counts={"web": 1})
    scale(lab.platform.context, request, replace(lab.platform.act, emit=during))
    assert [status for status, _ in answers] == [200, 409]
    assert answers[1][1]["message"] == "web.2 is ending already"
    assert lab.spared() == set(lab.replicas().values())
    scale(lab.platform.context, Scale(app=lab.app.name, counts={"web": 2}), lab.platform.act)
    assert all(lab.ask("PUT", "/protect", address)[0] == 200 for address in lab.replicas())


def test_it_ends_by_itself(lab: Lab) -> None:
    address = next(iter(lab.replicas()))
    assert lab.ask("PUT", "/protect?minutes=2", address)[0] == 200
    lab.platform.clock.sleep(121)
    assert lab.ask("GET", "/protect", address)[1]["until"] == 0
    assert lab.spared() == set()


def test_nobody_but_a_replica_of_that_app_is_heard(lab: Lab) -> None:
    mine = next(iter(lab.replicas()))
    lab.ask("PUT", "/protect", mine)
    before = lab.spared()
    other = lab.platform.app("blog", "b1b2b3b4", web=1)
    lab.platform.release(other)
    (service,) = lab.platform.engine.observe(other.id)
    foreign = service.replicas[0].address.partition(":")[0]
    for source in (foreign, GATE, "127.99.99.99"):
        for method in ("PUT", "DELETE", "GET"):
            status, answer = lab.ask(method, "/protect", source)
            assert (status, answer["code"]) == (403, "Denied"), (source, method)
    assert lab.spared() == before
    assert lab.platform.store.protections(other.id) == ()


def test_headers_say_nothing_about_who_asks(lab: Lab) -> None:
    mine = next(iter(lab.replicas()))
    with closing(http.client.HTTPConnection(GATE, lab.port, timeout=20, source_address=("127.99.99.99", 0))) as made:
        made.request("PUT", "/protect", headers={"X-Forwarded-For": mine, "X-Real-Ip": mine, "Host": "paas"})
        assert made.getresponse().status == 403


def test_nothing_else_of_the_platform_is_there(lab: Lab) -> None:
    mine = next(iter(lab.replicas()))
    for path in ("/", "/health", "/apps", "/apps/shop/scale", "/metrics", "/protect/", "/protect/../apps", "/uploads"):
        assert lab.ask("GET", path, mine)[0] == 404, path
    assert lab.ask("POST", "/protect", mine)[0] == 405


@pytest.mark.parametrize(
    "body",
    ["{", '"30"', "[30]", '{"minutes": 0}', '{"minutes": -1}', '{"minutes": NaN}', '{"minutes": true}',
     '{"minutes": "x"}', '{"minutes": 2881}', '{"minutes": 5, "replica": "web.2"}', "[" * 5000,
     '{"minutes": 1' + "0" * 400 + "}"],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_and_changes_nothing(lab: Lab, body: str) -> None:
    mine = next(iter(lab.replicas()))
    assert lab.ask("PUT", "/protect", mine, body)[0] == 422
    assert lab.spared() == set()


def test_what_is_no_http_too_large_or_cut_off_harms_nobody(lab: Lab) -> None:
    mine = next(iter(lab.replicas()))
    for said in (b"\x16\x03\x01\x02\x00\n\n", b"GET " + b"/" * 2 * LARGEST, b"PUT /protect HTTP/1.1\r\n"):
        with socket.create_connection((GATE, lab.port), timeout=20, source_address=(mine, 0)) as made:
            made.sendall(said)
            made.shutdown(socket.SHUT_WR)
            while made.recv(4096):
                pass
    assert lab.ask("PUT", "/protect", mine, "x" * 2 * LARGEST)[0] == 422
    assert lab.ask("GET", "/protect", mine)[0] == 200


def test_connections_that_say_nothing_are_bounded(lab: Lab) -> None:
    mine = next(iter(lab.replicas()))
    silent = [socket.create_connection((GATE, lab.port), source_address=(mine, 0)) for _ in range(MOST + 4)]
    for one in silent:
        one.close()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if lab.ask("GET", "/protect", mine)[0] == 200:
                return
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    pytest.fail("nobody is heard any more")


def test_a_network_that_goes_is_left_and_one_that_cannot_be_listened_on_stops_no_other(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.platform.engine.gates["c1c2c3c4"] = "203.0.113.1"
    with inside(lab):
        assert lab.ask("GET", "/protect", next(iter(lab.replicas())))[0] == 200
        lab.platform.engine.gates = {}
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((GATE, lab.port)):
                    return
            time.sleep(0.05)
        pytest.fail("it still listens")


def test_port_0_is_never_listened_on(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.platform = parts(tmp_path, api_port=0)
    running = Inside(lab.platform.context)
    running.start()
    running.stop()
    with socket.socket() as probe:
        assert probe.connect_ex((GATE, lab.port))
