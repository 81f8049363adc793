"""An app whose every request waits in one queue, its health check too: more load than it serves is not an illness."""

from __future__ import annotations

import http.client
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.platform import Platform, eventually

pytestmark = pytest.mark.docker

APP = """
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ONE = threading.Lock()

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        with ONE:
            time.sleep(3600 if self.path == "/hang" else 0.2)
        body = os.environ["PAAS_PROCESS"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

Server(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
CONFIG = """
[processes.web]
memory = "96M"
stop_grace = 1

[processes.web.health]
interval = "1s"
timeout = "1s"
failures = 2
"""
QUEUE = 160
"""Requests at once: at five a second they take longer than an ill replica is left alone."""


def deployed(platform: Platform, folder: Path) -> None:
    folder.mkdir()
    for name, text in (("app.py", APP), ("Procfile", "web: exec python app.py\n"), ("paas.toml", CONFIG)):
        (folder / name).write_text(text)
    (folder / "requirements.txt").write_text("")
    platform.ok("deploy", folder, "-a", "queue")
    platform.ok("scale", "web=1", "-a", "queue")


def ask(platform: Platform, path: str = "/", timeout: float = 120) -> tuple[int, str]:
    """Status and body; 0 when it was not answered."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": "queue.localhost"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()


def replicas(platform: Platform) -> dict[str, dict[str, Any]]:
    (web,) = platform.json("ps", "-a", "queue")["processes"]
    return {one["name"]: one for one in web["replicas"]}


def started_again(platform: Platform) -> list[str]:
    events = platform.json("events", "-a", "queue")
    return [event["message"] for event in events if "started again" in event["message"]]


def test_replicas_come_to_help_an_overloaded_one_and_its_queue_is_not_cut(platform: Platform, tmp_path: Path) -> None:
    deployed(platform, tmp_path / "queue")
    began = replicas(platform)["web.1"]["started_at"]
    with ThreadPoolExecutor(QUEUE) as pool:
        asked: list[Future[tuple[int, str]]] = [pool.submit(ask, platform) for _ in range(QUEUE)]
        eventually(lambda: replicas(platform)["web.1"]["state"] == "unhealthy", seconds=20, what="a failed check")
        platform.ok("scale", "web=3", "-a", "queue")
        assert replicas(platform)["web.1"]["state"] == "unhealthy", "it had caught up before: nothing was shown"
        assert {ask(platform, timeout=5)[1] for _ in range(4)} == {"web.2", "web.3"}
        answers = [one.result() for one in asked]
    assert answers == [(200, "web.1")] * QUEUE
    assert started_again(platform) == []
    eventually(lambda: replicas(platform)["web.1"]["state"] == "healthy", seconds=30, what="health again")
    eventually(lambda: "web.1" in {ask(platform)[1] for _ in range(6)}, seconds=30, what="traffic to web.1")
    assert replicas(platform)["web.1"]["started_at"] == began


@pytest.mark.parametrize("count", [1, 3])
def test_one_that_hangs_with_requests_in_flight_is_started_again(
    platform: Platform, tmp_path: Path, count: int
) -> None:
    deployed(platform, tmp_path / "queue")
    platform.ok("scale", f"web={count}", "-a", "queue")
    before = len(started_again(platform))
    with ThreadPoolExecutor(20) as pool:
        pool.submit(ask, platform, "/hang", 90)
        for _ in range(19):
            pool.submit(ask, platform, "/", 90)
        eventually(lambda: len(started_again(platform)) > before, seconds=60, what="a start")
    eventually(lambda: ask(platform, timeout=5)[0] == 200, seconds=30, what="an answer")
