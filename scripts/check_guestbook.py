"""Writes an entry through the router and reads it back through the other replica; `paas info --json` on stdin."""

from __future__ import annotations

import http.client
import json
import sys
import time
import urllib.parse
import uuid


def ask(url: str, path: str, body: dict[str, str] | None = None) -> tuple[str, str]:
    """The body of one request and the replica that answered it. Asks loopback: `*.localhost` needs no DNS there."""
    parts = urllib.parse.urlsplit(url)
    local = (parts.hostname or "").endswith(".localhost")
    connection = http.client.HTTPConnection("127.0.0.1" if local else str(parts.hostname), parts.port or 80, timeout=10)
    try:
        headers = {"Host": parts.netloc, "Content-Type": "application/json"}
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status >= 400:
            sys.exit(f"{url}{path} answered {answer.status}: {text[:500]}")
        return text, answer.headers.get("X-Replica", "?")
    finally:
        connection.close()


def main() -> None:
    """Exits non-zero, saying why, when the guestbook does not do what it should."""
    url = json.load(sys.stdin)["url"]
    mark = f"hello {uuid.uuid4().hex[:8]}"
    _, writer = ask(url, "/entries", {"text": mark})
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        text, reader = ask(url, "/entries")
        if reader != writer:
            if mark not in text:
                sys.exit(f"{reader} does not see what {writer} wrote")
            print(f"\n{writer} wrote “{mark}”, {reader} read it back\n\n  {url}\n")
            return
    sys.exit(f"only {writer} ever answered at {url}: where is the other replica?")


if __name__ == "__main__":
    main()
