"""What one address may have open at the platform's own server, by Traefik itself."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.contract.router_lab import Lab, backends, lab
from tests.polling import until

pytestmark = pytest.mark.docker

HOST = "paas.test"


@contextmanager
def asked(traefik: Lab, source: str, path: str, forwarded: str) -> Iterator[http.client.HTTPResponse]:
    """The answer to one request to the server that comes from that address of this machine."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", traefik.settings.https_port), 20, (source, 0))
    connection = http.client.HTTPSConnection("127.0.0.1", context=context)
    connection.sock = context.wrap_socket(plain, server_hostname=HOST)
    try:
        connection.request("GET", path, headers={"Host": HOST, "X-Forwarded-For": forwarded})
        yield connection.getresponse()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("proxies", "one", "another"),
    [
        ("", ("127.0.0.1", "1.1.1.1"), ("127.0.0.2", "1.1.1.1")),
        ("127.0.0.1", ("127.0.0.1", "1.1.1.1"), ("127.0.0.1", "1.1.1.2")),
    ],
)
def test_one_address_takes_the_server_from_no_other_whatever_it_says_its_address_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxies: str, one: tuple[str, str], another: tuple[str, str]
) -> None:
    monkeypatch.setattr("paas.routers.traefik.render.OF_ONE_ADDRESS", 3)

    def status(whose: tuple[str, str]) -> int:
        with asked(traefik, whose[0], "/", whose[1]) as answer:
            return answer.status

    with ExitStack() as stack:
        (server,) = stack.enter_context(backends("server"))
        port = server.server_address[1]
        traefik = stack.enter_context(lab(tmp_path, platform_domain=HOST, server_port=port, trusted_proxies=proxies))
        until(lambda: status(another) == 200)
        for _ in range(3):
            answer = stack.enter_context(asked(traefik, one[0], "/stream", one[1]))
            assert answer.read(5) == b"first"
        assert status(one) == 429
        if not proxies:
            assert status((one[0], "9.9.9.9")) == 429, "what a client says of itself counts for nothing"
        assert status(another) == 200
        server.go_on.set()
        until(lambda: status(one) == 200)
