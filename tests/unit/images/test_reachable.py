"""Whether the Engine reaches a registry: asked of something that answers as an Engine does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from paas.images import DockerBuilder
from paas.settings import Settings


@contextmanager
def engine(status: int, message: str = "") -> Iterator[tuple[str, list[str]]]:
    """Its address, and the paths it was asked for; every question about a registry gets this status."""
    asked: list[str] = []

    class Engine(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            version = self.path.endswith("/version")
            body = {"ApiVersion": "1.41", "MinAPIVersion": "1.12"} if version else {"message": message}
            text = json.dumps(body).encode()
            self.send_response(200 if version else status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "answers"), [(200, True), (401, True), (403, True), (404, False), (500, False)])
def test_asking_for_a_login_is_an_answer(status: int, answers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with engine(status, "dial tcp: lookup registry.example: no such host") as (address, asked):
        assert DockerBuilder(Settings(docker=address)).reachable("library/python") is answers
    assert asked[-1] == "/v1.41/distribution/library/python/json"


def test_an_engine_that_is_away_reaches_nothing() -> None:
    assert DockerBuilder(Settings(docker="unix:///nowhere/docker.sock")).reachable("library/python") is False
