"""A certificate authority that speaks ACME: Debian's `pebble`, and the name server it asks (`pebble-challtestsrv`)."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.e2e.platform import eventually
from tests.ports import free_port

VALID = 10 * 86400
"""Seconds its certificates last: so short that Traefik renews them whenever it starts."""


@dataclass
class Pebble:
    """Issues what the two ports prove. `stop` and `start` it at will; its root stays the same while it runs."""

    folder: Path
    http_port: int
    tls_port: int
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.port, self.management, self.dns, self.names = free_port(), free_port(), free_port(), free_port()
        self.ca = self.folder / "ca.pem"
        _certify(self.folder)
        config = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(self.ca),
            "privateKey": str(self.folder / "ca.key"),
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "certificateValidityPeriod": VALID,
        }
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": config}))

    @property
    def directory(self) -> str:
        """Its ACME URL."""
        return f"https://127.0.0.1:{self.port}/dir"

    def start(self) -> None:
        """Have it answer. An account it knew before is gone, as is its root."""
        quick = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
        names = ["pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01",
                 f"127.0.0.1:{self.dns}", "-management", f"127.0.0.1:{self.names}", "-http01", "", "-https01", "",
                 "-tlsalpn01", ""]  # fmt: skip
        issues = ["pebble", "-config", str(self.folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{self.dns}"]
        for argv in (names, issues):
            with (self.folder / f"{argv[0]}.log").open("ab") as log:
                self._running.append(
                    subprocess.Popen(argv, env={**os.environ, **quick}, stdout=log, stderr=log, cwd=self.folder)
                )
        eventually(self._answers, what="pebble")

    def stop(self) -> None:
        """Answer no more."""
        while self._running:
            process = self._running.pop()
            process.terminate()
            process.wait(20)

    def lead(self, host: str, address: str) -> None:
        """Have its name server say that a host is at this address."""
        body = json.dumps({"host": f"{host}.", "addresses": [address]}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.names}/add-a", data=body, timeout=10):
            pass

    def forget(self, host: str) -> None:
        """The host is where all others are again: here."""
        body = json.dumps({"host": f"{host}."}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.names}/clear-a", data=body, timeout=10):
            pass

    def say(self, what: str, **facts: str) -> None:
        """Change what its name server tells: `set-txt` with host and value, `clear-txt` with host."""
        body = json.dumps(facts).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.names}/{what}", data=body, timeout=10):
            pass

    def roots(self) -> str:
        """The root of what it issues, PEM."""
        trust = ssl.create_default_context(cafile=str(self.ca))
        with urllib.request.urlopen(
            f"https://127.0.0.1:{self.management}/roots/0", context=trust, timeout=10
        ) as answer:
            return str(answer.read().decode())

    def _answers(self) -> bool:
        with suppress(OSError):
            return bool(self.roots())
        return False


def _certify(folder: Path) -> None:
    """A certificate for 127.0.0.1 that is its own authority."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pebble of a test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "ca.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@dataclass
class Provider:
    """A DNS provider whose customer the platform is (Traefik's `httpreq`), with pebble's name server behind it. `asked`
    are the names it was given; `closed`: it refuses."""

    pebble: Pebble
    password: str
    asked: list[str] = field(default_factory=list)
    closed: bool = False
    port: int = 0

    def answer(self, path: str, authorization: str, facts: Mapping[str, str]) -> int:
        """The status."""
        name, _, given = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if (name, given) != ("paas", self.password):
            return 401
        if self.closed:
            return 503
        if path == "/present":
            self.asked.append(facts["fqdn"])
            self.pebble.say("set-txt", host=facts["fqdn"], value=facts["value"])
        else:
            self.pebble.say("clear-txt", host=facts["fqdn"])
        return 200


@contextmanager
def provider(pebble: Pebble, password: str) -> Iterator[Provider]:
    """One that answers by http on this machine."""
    made = Provider(pebble, password)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            facts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(made.answer(self.path, self.headers.get("Authorization", ""), facts))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Tests read what was asked, not this."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield made
        finally:
            server.shutdown()


@contextmanager
def proxy(ports: Mapping[str, int]) -> Iterator[str]:
    """A proxy (`CONNECT`) by which each of these hosts is on this machine at its port; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, ports), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, ports: Mapping[str, int]) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_connect, args=(client, ports), daemon=True).start()


def _connect(client: socket.socket, ports: Mapping[str, int]) -> None:
    head = b""
    with client, suppress(OSError):
        while b"\r\n\r\n" not in head and (part := client.recv(4096)):
            head += part
        host = head.split()[1].decode().partition(":")[0]
        if host not in ports:
            client.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", ports[host])) as server:
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(1 << 16):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
