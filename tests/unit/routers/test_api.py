"""Asking Traefik: answers that are long, cut or not what they should be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from paas.routers.traefik import api
from paas.routers.traefik.api import Api, Silent

LINE = b'traefik_router_requests_total{code="200",router="app-0a0a0a0a@file"} 1\n'


class Told(ThreadingHTTPServer):
    """Answers every request with the same."""

    status, body, said = 200, b"", 0
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    server: Told

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.send_header("content-length", str(self.server.said or len(self.server.body)))
        self.end_headers()
        try:
            self.wfile.write(self.server.body)
        except OSError:
            return  # it was too much

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def told() -> Iterator[Told]:
    server = Told(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_long_page_comes_in_pieces_of_whole_lines(told: Told) -> None:
    told.body = LINE * 50_000 + b"last 1"
    pieces = list(Api(told.server_address[1]).metrics())
    assert "".join(pieces).encode() == told.body
    assert len(pieces) > 3
    assert all(piece.endswith("\n") for piece in pieces[:-1])
    assert max(map(len, pieces)) <= api.PIECE + len(LINE)


def test_a_page_without_end_is_not_read_to_it(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "LARGEST", 2 << 20)
    told.body = LINE * 50_000
    with pytest.raises(Silent, match="larger than 2 MiB"):
        list(Api(told.server_address[1]).metrics())


def test_a_page_that_is_cut_is_no_page(told: Told) -> None:
    told.body, told.said = LINE, 10_000
    with pytest.raises(Silent, match="was cut"):
        list(Api(told.server_address[1]).metrics())


def test_another_status_is_no_page(told: Told) -> None:
    told.status = 404
    with pytest.raises(Silent, match="/metrics answered 404"):
        list(Api(told.server_address[1]).metrics())
