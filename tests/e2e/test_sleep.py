"""An app that sleeps, woken through the real router."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.platform import Platform, eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

APP = "sleeper"
CODE = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(self.path.encode())

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        count = 0
        while count < left:
            count += len(self.rfile.read(min(65536, left - count)))
        self.answer(str(count).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def sleeper(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """An app that may sleep after a minute, and does."""
    folder = tmp_path_factory.mktemp("apps") / APP
    folder.mkdir()
    (folder / "app.py").write_text(CODE)
    (folder / "requirements.txt").write_text("")
    (folder / "Procfile").write_text("web: python app.py\n")
    platform.ok("deploy", folder, "--app", APP)
    platform.ok("sleep", "set", APP, "60s")
    return platform


def asleep(platform: Platform) -> None:
    """Wait until it sleeps."""
    eventually(lambda: platform.json("sleep", "show", APP)["asleep"], seconds=180, what="an app that sleeps")


def starts(platform: Platform) -> int:
    """How often it woke."""
    return platform.ok("events", "--app", APP).count("woke for a request")


def test_a_sleeping_app_is_woken_once_by_many_and_loses_no_body(sleeper: Platform, tmp_path: Path) -> None:
    asleep(sleeper)
    with ThreadPoolExecutor(10) as pool:
        posts = [pool.submit(sleeper.get, APP, "/", data=bytes(5_000_000)) for _ in range(2)]
        gets = [pool.submit(sleeper.get, APP, f"/{number}") for number in range(8)]
        assert [one.result(120).body for one in posts] == ["5000000"] * 2
        assert [one.result(120).body for one in gets] == [f"/{number}" for number in range(8)]
    assert starts(sleeper) == 1
    assert sleeper.get(APP, "/after").body == "/after"
