"""Nobody fills the server for others: neither who shows no login, nor who has one."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from paas.client import Client
from paas.requests.apps import ListApps
from paas.server.listen import CONNECTIONS
from paas.settings import Settings
from tests.ports import free_port
from tests.unit.server.stub import Running, eventually, running
from tests.unit.server.test_process import COMMAND, environ

TOKEN = {"Authorization": "Bearer let-me-in"}
LOGIN = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
UPGRADE = (
    b"GET /apps/shop/run HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
NEVER_TAKEN = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20


@contextmanager
def files(wanted: int) -> Iterator[None]:
    """Room for so many open files in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def stranger(listen: str, says: bytes = b"") -> socket.socket:
    host, port = listen.split(":")
    found = socket.create_connection((host, int(port)), timeout=30)
    found.sendall(says)
    return found


def test_strangers_who_keep_a_real_server_waiting_keep_nobody_out() -> None:
    listen = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="paas-t-") as name, files(CONNECTIONS + 500), ExitStack() as stack:
        home = Path(name)
        env = environ(home, PAAS_LISTEN=listen, PAAS_TOKEN="let-me-in")
        process = stack.enter_context(subprocess.Popen(COMMAND, env=env, stdout=sys.stderr, stderr=sys.stderr))
        stack.callback(process.kill)
        local = stack.enter_context(Client.connect(Settings(home=home)))
        eventually(lambda: local.version() or process.poll() is not None, seconds=60)
        for number in range(CONNECTIONS + 100):
            stack.enter_context(stranger(listen, (b"", LOGIN, UPGRADE, b"GET / HT", NEVER_TAKEN)[number % 5]))
        with httpx2.Client(base_url=f"http://{listen}", headers=TOKEN, timeout=60) as http:
            assert http.get("/apps").status_code == 200
        with Client.connect(Settings(home=home)) as client:
            assert client.ask(ListApps()) == []


@pytest.fixture
def few(server: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A server whose doors have room for four."""
    monkeypatch.setattr("paas.server.listen.CONNECTIONS", 4)
    return server


@contextmanager
def logs(server: Running) -> Iterator[httpx2.Response]:
    """Follow a log of somebody who is logged in."""
    with (
        httpx2.Client(base_url=f"http://{server.settings.listen}", headers=TOKEN, timeout=30) as http,
        http.stream("GET", "/apps/shop/logs", params={"follow": "true"}) as answer,
    ):
        yield answer


def test_who_is_known_keeps_their_connection_and_strangers_give_way_the_oldest_first(few: Running) -> None:
    with logs(few) as followed, ExitStack() as stack:
        lines = followed.iter_lines()
        assert json.loads(next(lines))["text"] == "only line"
        first, *_, last = [stack.enter_context(stranger(few.settings.listen, LOGIN)) for _ in range(10)]
        with pytest.raises((ConnectionError, EOFError)):
            ended(first)
        last.sendall(b"}" * 99)
        assert last.recv(1 << 16).startswith(b"HTTP/1.1 422 "), "the last one is still listened to"
        few.door.endless[-1].close()
        assert json.loads(list(lines)[-1])["kind"] == "result"


def ended(connection: socket.socket) -> None:
    """Raises EOFError or ConnectionError when the other side ended it without an answer."""
    if not connection.recv(1 << 16):
        raise EOFError


def test_where_people_have_all_the_room_others_are_told_so_and_the_machine_itself_gets_in(few: Running) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            assert stack.enter_context(logs(few)).status_code == 200
        for says in (b"GET /apps HTTP/1.1\r\nHost: localhost\r\n\r\n", UPGRADE):
            with stranger(few.settings.listen, says) as late:
                said = late.recv(1 << 16)
            assert said.startswith(b"HTTP/1.1 503 ")
            assert b"too many people" in said
        with Client.connect(replace(few.settings, listen="")) as client:
            assert client.ask(ListApps())


@pytest.fixture
def three(server: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A server that gives each person three places."""
    monkeypatch.setattr("paas.server.crowd.OF_ONE", 3)
    return server


def kept_out(server: Running) -> Iterator[Callable[[], tuple[int, str]]]:
    """Ways in of the same person: each answers with its status and what was said."""
    with httpx2.Client(base_url=f"http://{server.settings.listen}", headers=TOKEN, timeout=30) as http:
        for method, path in (("GET", "/openapi.json"), ("POST", "/apps/shop/scale"), ("PUT", "/uploads")):
            answer = http.request(method, path, content=b"{}" if method != "GET" else None)
            yield lambda answer=answer: (answer.status_code, answer.text)
    for says in (UPGRADE, b"GET /git/shop.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        with stranger(server.settings.listen, says[:-2] + b"Authorization: Bearer let-me-in\r\n\r\n") as one:
            said = one.recv(1 << 16).decode()
        yield lambda said=said: (int(said.split()[1]), said)


def test_one_person_has_so_many_open_and_takes_no_more_by_any_way_in(three: Running) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            assert stack.enter_context(logs(three)).status_code == 200
        for refused in kept_out(three):
            status, said = refused()
            assert status == 429, said
        assert httpx2.get(f"http://{three.settings.listen}/apps", headers=TOKEN).status_code == 200, "it soon ends"
        with Client.connect(three.settings) as local:
            assert local.ask(ListApps()), "the machine's own socket is no way in of theirs"
    for one in three.door.endless:
        one.close()
    eventually(lambda: httpx2.get(f"http://{three.settings.listen}/openapi.json", headers=TOKEN).status_code == 200)


def test_whoever_delivers_to_one_hook_does_not_fill_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.unit.server.test_deploy_hooks import Receiver

    monkeypatch.setattr("paas.server.crowd.OF_ONE", 2)
    head = b"POST /deploy-hooks/%s HTTP/1.1\r\nHost: localhost\r\nX-Signature: right\r\nContent-Length: 100\r\n\r\n"
    with (
        tempfile.TemporaryDirectory(prefix="paas-t-") as name,
        running(Path(name), receiver=Receiver()) as server,
        ExitStack() as stack,
    ):
        said = []

        def refused() -> bool:
            one = stack.enter_context(stranger(server.settings.listen, head % b"there"))
            one.settimeout(0.2)
            try:
                said.append(one.recv(1 << 16))
            except TimeoutError:
                return False
            return True

        eventually(refused, 30)
        assert said[0].startswith(b"HTTP/1.1 429 ")
        other = stack.enter_context(stranger(server.settings.listen, head % b"there-too" + b"x" * 100))
        assert other.recv(1 << 16).startswith(b"HTTP/1.1 202 ")
