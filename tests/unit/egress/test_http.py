"""One request out: what URLs are taken, what is not followed, and that it ends in time."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import trustme

from paas.egress.http import checked_url, deadline, post
from paas.egress.policy import Policy, Refused
from paas.errors import UsageError

HERE = Policy.of("127.0.0.0/8, localhost")
Handle = Callable[[http.server.BaseHTTPRequestHandler], None]


@contextmanager
def receiver(handle: Handle, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on loopback; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            handle(self)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def answering(status: int, body: bytes = b"ok", **headers: str) -> Handle:
    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        request.rfile.read(int(request.headers["Content-Length"]))
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return handle


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "ftp://example.com/", "file:///etc/passwd", "gopher://x/", "https://", "https:///x",
        "https://user@example.com/", "https://user:pass@example.com/", "https://example.com@127.0.0.1/",
        "https://example.com/#x", "https://example.com#@127.0.0.1/", "https://example.com\\@127.0.0.1/",
        "https://127.1/", "https://2130706433/", "https://0x7f.1/", "https://[fe80::1%25eth0]/", "https://ex ample/",
        "https://example.com/\r\nX: y", "https://example.com:99999/", "https://example.com:0/", "https://exämple.com/",
        "javascript:alert(1)", f"https://example.com/{'x' * 2000}",
    ],
)  # fmt: skip
def test_a_url_that_hides_something_is_not_taken(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        checked_url(url)
    assert "pass" not in refused.value.message.replace("password", "")


def test_a_request_arrives_with_what_it_was_given() -> None:
    seen: list[tuple[str, str, bytes]] = []

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        seen.append((request.path, request.headers["X-Test"], body))
        request.send_response(202)
        request.end_headers()
        request.wfile.write(b"thanks")

    with receiver(handle) as port:
        answer = post(f"http://127.0.0.1:{port}/a?b=c", b"body", {"X-Test": "1"}, policy=HERE)
    assert (answer.status, answer.text) == (202, "thanks")
    assert seen == [("/a?b=c", "1", b"body")]


def test_loopback_is_refused_without_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            with pytest.raises(Refused):
                post(f"http://{host}:{server.getsockname()[1]}/", b"", {}, policy=Policy())
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_redirect_is_an_answer_and_nothing_else() -> None:
    reached: list[str] = []
    with (
        receiver(lambda request: reached.append(request.path)) as secret,
        receiver(answering(302, Location=f"http://127.0.0.1:{secret}/metadata")) as port,
    ):
        assert post(f"http://127.0.0.1:{port}/", b"", {}, policy=HERE).status == 302
    assert reached == []


def test_proxies_of_the_environment_take_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with receiver(answering(200)) as port:
        assert post(f"http://127.0.0.1:{port}/", b"", {}, policy=HERE).status == 200


def test_a_long_answer_is_cut() -> None:
    with receiver(answering(200, b"x" * 1_000_000)) as port:
        assert len(post(f"http://127.0.0.1:{port}/", b"", {}, policy=HERE).text) == 4096


def test_an_answer_that_drips_ends_with_the_deadline() -> None:
    ended = threading.Event()

    def drip(request: http.server.BaseHTTPRequestHandler) -> None:
        try:
            for _ in range(600):
                request.wfile.write(b"H")
                time.sleep(0.05)
        except OSError:
            pass
        ended.set()

    with receiver(drip) as port:
        with pytest.raises(TimeoutError):
            post(f"http://127.0.0.1:{port}/", b"", {}, policy=HERE, seconds=0.5)
        assert ended.wait(20)


def test_a_body_that_drips_ends_with_the_deadline() -> None:
    ended = threading.Event()

    def drip(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                request.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            ended.set()

    with receiver(drip) as port:
        assert post(f"http://127.0.0.1:{port}/", b"", {}, policy=HERE, seconds=0.5).status == 200
        assert ended.wait(20), "the connection is cut"


def test_what_begins_after_the_deadline_is_cut_as_well() -> None:
    ours, theirs = socket.socketpair()
    found: list[socket.socket] = []

    def late_comer() -> None:
        with deadline(0.01, lambda: found[0] if found else None) as late:
            while not late():
                pass
            found.append(ours)
            ours.settimeout(20)
            ours.recv(1)
            raise OSError

    with ours, theirs, pytest.raises(TimeoutError, match=r"no answer in 0\.01 s"):
        late_comer()


def test_what_is_no_http_is_said_so() -> None:
    def speak(request: http.server.BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"SSH-2.0\r\n")

    with receiver(speak) as port, pytest.raises(OSError, match="no HTTP answer"):
        post(f"http://127.0.0.1:{port}/", b"", {}, policy=HERE)


def test_tls_is_checked_against_the_name_that_was_given() -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    with receiver(answering(200), server) as port:
        assert post(f"https://localhost:{port}/", b"", {}, policy=HERE, tls=client).status == 200
        with pytest.raises(ssl.SSLError):
            post(f"https://127.0.0.1:{port}/", b"", {}, policy=HERE, tls=client)
        with pytest.raises(ssl.SSLError):
            post(f"https://localhost:{port}/", b"", {}, policy=HERE)
