"""A receiver of webhooks on this machine's loopback."""

from __future__ import annotations

import http.server
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.serving import serving


@dataclass
class Posts:
    """Keeps headers and bodies of what is posted to its port; answers 503 to the first `away` of them."""

    away: int = 0
    port: int = 0
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def receiving(away: int = 0) -> Iterator[Posts]:
    """While the block lasts."""
    found = Posts(away=away)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.seen.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(503 if len(found.seen) <= found.away else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    with serving(server):
        yield found
