"""A git repository served over HTTP on loopback, by git's own program, with whatever else is asked of it."""

from __future__ import annotations

import http.server
import os
import ssl
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.serving import serving


@dataclass
class GitServer:
    """`/NAME/…` is the repository `folder/NAME`. `moved` maps a first part of a path to where it is redirected.
    `locked`: a password is asked for; `shown` are those that came."""

    port: int
    locked: bool = False
    shown: list[str] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    scheme: str = "http"

    def url(self, name: str, host: str = "127.0.0.1") -> str:
        """The address of a repository."""
        return f"{self.scheme}://{host}:{self.port}/{name}"


@contextmanager
def git_server(
    folder: Path, certificate: Path | None = None, packs: dict[str, tuple[str, Iterable[bytes]]] | None = None
) -> Iterator[GitServer]:
    """Serve all repositories in a folder; by https with the chain and key (PEM) in the file `certificate`. `packs` are
    those that no repository holds: name → the one commit and, in pieces, the pack, given to whoever asks."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            first = self.path.split("/")[1]
            if first in found.moved:
                self.send_response(302)
                self.send_header("Location", found.moved[first] + self.path.removeprefix(f"/{first}"))
                self.end_headers()
                return
            if found.locked and "Authorization" not in self.headers:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="test"')
                self.end_headers()
                return
            found.shown += [self.headers["Authorization"]] if found.locked else []
            if first in (packs or {}):
                self._give(*(packs or {})[first])
            else:
                self._git()

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def _give(self, commit: str, pack: Iterable[bytes]) -> None:
            """The first of git's protocols (gitprotocol-http(5)), for a fetch of depth 1 by who has nothing yet."""
            asked = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind = "result" if asked else "advertisement"
            self.send_response(200)
            self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
            self.end_headers()
            if not asked:
                said = (b"# service=git-upload-pack\n", b"", f"{commit} HEAD\0shallow ofs-delta\n".encode(), b"")
                self.wfile.write(b"".join(map(_packet, said)))
                return
            self.wfile.write(_packet(f"shallow {commit}".encode()) + _packet(b""))
            if b"done" not in asked:
                return
            self.wfile.write(_packet(b"NAK\n"))
            with suppress(OSError):
                for piece in pack:
                    self.wfile.write(piece)

        def _git(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            environ = {
                "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(folder), "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
            }  # fmt: skip
            done = subprocess.run(["git", "http-backend"], env=environ, input=body, capture_output=True, check=False)
            head, _, rest = done.stdout.partition(b"\r\n\r\n")
            lines = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
            self.send_response(int(lines.pop("Status", "200 OK").split()[0]))
            for name, value in lines.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(rest)

        def finish(self) -> None:
            super().finish()
            if certificate is not None:  # some clients take a TLS connection that just breaks off for an attack
                with suppress(OSError):
                    self.connection.unwrap()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    found = GitServer(server.server_address[1], scheme="https" if certificate else "http")
    with serving(server):
        yield found


def _packet(data: bytes) -> bytes:
    """Of git's protocol: its length, then it; nothing is a flush."""
    return b"%04x" % (len(data) + 4) + data if data else b"0000"
