"""Whether a registry answers."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from paas.stacks import choice


def test_a_host_that_does_not_exist_does_not_answer() -> None:
    assert choice.reachable("nosuch.invalid") is False


@pytest.mark.parametrize(("status", "answers"), [(200, True), (401, True), (403, True), (404, False), (503, False)])
def test_asking_for_a_login_is_an_answer(status: int, answers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with HTTPServer(("127.0.0.1", 0), Registry) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        found = choice.reachable(f"127.0.0.1:{server.server_port}", scheme="http")
        thread.join()
    assert found is answers
