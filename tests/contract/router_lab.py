"""A Traefik of a test's own on free ports, apps that are threads of the test, and requests to them."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from docker import APIClient

from paas.model.events import silent
from paas.model.route import Route
from paas.routers.traefik import TraefikRouter
from paas.settings import Settings, load
from tests.ports import free_ports


class Backend(ThreadingHTTPServer):
    """An app: answers JSON with its name and what it was asked. Not ready for anything a test does not ask."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.open = 0
        self.go_on = threading.Event()
        self.guard = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        self.go_on.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Backend

    def setup(self) -> None:
        super().setup()
        with self.server.guard:
            self.server.open += 1

    def finish(self) -> None:
        super().finish()
        with self.server.guard:
            self.server.open -= 1

    def do_GET(self) -> None:
        if self.path == "/stream":
            self._stream()
            return
        if self.path.startswith("/status/"):
            self.send_response(int(self.path.removeprefix("/status/")))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._answer({"name": self.server.name, "path": self.path, "headers": self.headers.items()})

    def do_POST(self) -> None:
        left = size = int(self.headers["Content-Length"])
        while left and (data := self.rfile.read(min(left, 1 << 16))):
            left -= len(data)
        self._answer({"name": self.server.name, "got": size - left})

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        self.server.go_on.wait(20)
        self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")

    def _answer(self, what: object) -> None:
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests read answers, not this."""


@contextmanager
def backends(*names: str) -> Iterator[list[Backend]]:
    """Apps of these names."""
    made = [Backend(name) for name in names]
    try:
        yield made
    finally:
        for each in made:
            each.close()


@dataclass(frozen=True)
class Answer:
    """What a request got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def name(self) -> str:
        return str(json.loads(self.body)["name"]) if self.status == 200 else ""

    @property
    def seen(self) -> dict[str, str]:
        """The headers the app saw."""
        return dict(json.loads(self.body)["headers"])


@dataclass
class Lab:
    """A platform's router with its settings."""

    settings: Settings
    router: TraefikRouter = field(init=False)

    def __post_init__(self) -> None:
        self.router = TraefikRouter(self.settings)

    @property
    def container(self) -> str:
        return f"{self.settings.instance}-traefik"

    def route(self, *servers: Backend | str, host: str = "", **facts: Any) -> Route:
        """A route of an app of its own."""
        app_id = facts.pop("app_id", secrets.token_hex(4))
        addresses = tuple(server if isinstance(server, str) else server.address for server in servers)
        return Route(app_id=app_id, app_name="app", hosts=(host or f"{app_id}.localhost",), servers=addresses, **facts)

    def ask(
        self, host: str, path: str = "/", *, method: str = "GET", body: bytes | None = None,
        trust: ssl.SSLContext | None = None, **headers: str,
    ) -> Answer:  # fmt: skip
        """One request on a connection of its own; with `trust` by https."""
        connection = self.connect(host, trust)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Host": host, **given})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def connect(self, host: str, trust: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
        """A connection to Traefik; over TLS with the host as server name."""
        if trust is None:
            return http.client.HTTPConnection("127.0.0.1", self.settings.http_port, timeout=20)
        connection = http.client.HTTPSConnection("127.0.0.1", self.settings.https_port, timeout=20, context=trust)
        plain = socket.create_connection(("127.0.0.1", self.settings.https_port), timeout=20)
        connection.sock = trust.wrap_socket(plain, server_hostname=host)
        return connection

    @contextmanager
    def docker(self) -> Iterator[APIClient]:
        client = APIClient(base_url=self.settings.docker)
        try:
            yield client
        finally:
            client.close()


@contextmanager
def lab(home: Path, *, up: bool = True, **settings: Any) -> Iterator[Lab]:
    """A Traefik that is taken away at the end."""
    http_port, https_port, traefik_port = free_ports(3)
    made = Lab(
        replace(
            load({}),
            **{
                "home": home, "instance": f"t-{secrets.token_hex(4)}", "bind": "127.0.0.1", "http_port": http_port,
                "https_port": https_port, "traefik_port": traefik_port, **settings,
            },
        )
    )  # fmt: skip
    try:
        if up:
            made.router.up(silent)
        yield made
    finally:
        made.router.down()
