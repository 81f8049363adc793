"""An app that sleeps, woken through the real router."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.e2e.platform import Answer, Platform, eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

APP = "sleeper"
CODE = """
import base64, hashlib, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if time.time() > float(os.environ.get("DIES_AFTER", "inf")):
    raise SystemExit("its time is over")

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("Upgrade", "").lower() == "websocket":
            return self.echo()
        self.answer(self.path.encode())

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "12345")
        self.send_header("X-Method", "HEAD")
        self.end_headers()

    def do_POST(self):
        self.answer(str(sum(map(len, self.parts()))).encode())

    def parts(self):
        left = int(self.headers.get("Content-Length", 0))
        while left:
            part = self.rfile.read(min(65536, left))
            left -= len(part)
            yield part
        while "chunked" in self.headers.get("Transfer-Encoding", ""):
            size = int(self.rfile.readline(), 16)
            part = self.rfile.read(size)
            self.rfile.readline()
            if not size:
                return
            yield part

    def echo(self):
        # One short text frame of the client, which masks it, and back.
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        _, length = self.rfile.read(2)
        mask = self.rfile.read(4)
        text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.rfile.read(length & 127)))
        self.wfile.write(bytes([0x81, len(text)]) + text)
        self.close_connection = True

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
TOML = '[sleep]\nafter = "1m"\n[deploy]\ntimeout = 20\n'


def made(folder: Path, toml: str = TOML) -> Path:
    folder.mkdir(exist_ok=True)
    files = {"app.py": CODE, "requirements.txt": "", "Procfile": "web: python app.py\n", "paas.toml": toml}
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def sleeper(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """An app that may sleep, as its file says."""
    platform.ok("deploy", made(tmp_path_factory.mktemp("apps") / APP), "--app", APP)
    shown = platform.json("sleep", "show", APP)
    assert (shown["after"], shown["by_file"]) == (60.0, True)
    return platform


def asleep(platform: Platform, app: str = APP) -> None:
    """Have it sleep now, and nothing of it run."""
    eventually(lambda: platform.run("sleep", "now", app).code == 0, what="an app that sleeps")
    assert platform.json("info", "-a", app)["status"] == "asleep"
    assert not platform.containers(f"label=paas.app={platform.json('info', '-a', app)['id']}", "status=running")


def starts(platform: Platform, app: str = APP) -> int:
    """How often a request woke it."""
    return platform.ok("events", "--app", app).count("a request woke it")


def plain(platform: Platform, app: str = APP) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(f"{app}.localhost", platform.port, timeout=60)


def opened(platform: Platform, app: str = APP) -> http.client.HTTPConnection:
    """To this machine, whatever resolves the name."""
    connection = plain(platform, app)
    connection.sock = socket.create_connection(("127.0.0.1", platform.port), timeout=60)
    return connection


def test_an_idle_app_falls_asleep_by_itself(sleeper: Platform) -> None:
    assert sleeper.get(APP).status == 200
    eventually(lambda: sleeper.json("sleep", "show", APP)["asleep"], seconds=180, what="an app that sleeps")
    assert "asleep: the next request starts it" in sleeper.run("ps", "-a", APP).said


def test_a_sleeping_app_is_woken_once_by_many_and_loses_no_body(sleeper: Platform) -> None:
    before = starts(sleeper)
    asleep(sleeper)
    with ThreadPoolExecutor(10) as pool:
        posts = [pool.submit(sleeper.get, APP, "/", data=bytes(5_000_000)) for _ in range(2)]
        gets = [pool.submit(sleeper.get, APP, f"/{number}") for number in range(8)]
        assert [one.result(120).body for one in posts] == ["5000000"] * 2
        assert [one.result(120).body for one in gets] == [f"/{number}" for number in range(8)]
    assert starts(sleeper) == before + 1
    assert sleeper.get(APP, "/after").body == "/after"


def test_a_websocket_a_head_and_a_body_in_chunks_wake_it_as_they_are(sleeper: Platform) -> None:
    asleep(sleeper)
    with (
        socket.create_connection(("127.0.0.1", sleeper.port), timeout=60) as line,
        connect(
            f"ws://{APP}.localhost:{sleeper.port}/", sock=line, open_timeout=60, compression=None, proxy=None
        ) as web,
    ):
        web.send("first")
        assert web.recv(30) == "first"
    asleep(sleeper)
    connection = opened(sleeper)
    connection.request("HEAD", "/", headers={"Host": f"{APP}.localhost"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["X-Method"], answer.headers["Content-Length"]) == (200, "HEAD", "12345")
    assert answer.read() == b""
    connection.close()
    asleep(sleeper)
    connection = opened(sleeper)
    parts = (b"x" * 1000 for _ in range(50))
    connection.request("POST", "/", body=parts, headers={"Host": f"{APP}.localhost"}, encode_chunked=True)
    assert connection.getresponse().read() == b"50000"
    connection.close()


def test_a_client_that_goes_away_leaves_an_app_that_is_awake(sleeper: Platform) -> None:
    asleep(sleeper)
    with socket.create_connection(("127.0.0.1", sleeper.port), timeout=60) as line:
        line.sendall(f"GET / HTTP/1.1\r\nHost: {APP}.localhost\r\n\r\n".encode())
        time.sleep(0.2)
    eventually(lambda: sleeper.json("info", "-a", APP)["status"] == "running", what="the app")
    assert sleeper.get(APP).status == 200


def test_it_sleeps_on_over_a_restart_of_the_server_and_still_wakes(sleeper: Platform) -> None:
    asleep(sleeper)
    pid = sleeper.server_pid()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists(), what="the server's end")
    assert sleeper.get(APP).status in (502, 503), "nobody can wake it, and nobody is told otherwise"
    sleeper.ok("up")
    assert sleeper.json("info", "-a", APP)["status"] == "asleep"
    assert eventually(lambda: sleeper.get(APP).status == 200, seconds=60, what="its answer")


def test_a_crash_on_waking_is_an_honest_page_and_no_loop(
    sleeper: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    over = time.time() + 25
    sleeper.ok("create", "broken")
    sleeper.ok("config", "set", f"DIES_AFTER={over}", "-a", "broken")
    sleeper.ok("deploy", made(tmp_path_factory.mktemp("apps") / "broken"), "--app", "broken")
    asleep(sleeper, "broken")
    eventually(lambda: time.time() > over, what="the end of its time")
    answers: list[Answer] = [sleeper.get("broken") for _ in range(4)]
    assert [one.status for one in answers] == [503] * 4
    assert all(int(one.headers["Retry-After"]) >= 1 for one in answers)
    events = sleeper.ok("events", "-a", "broken")
    assert events.count("could not be woken") == 1, "who comes before the back-off is over starts nothing"
    assert sleeper.json("info", "-a", "broken")["status"] == "asleep"
    assert not sleeper.containers("name=broken", "status=running")
