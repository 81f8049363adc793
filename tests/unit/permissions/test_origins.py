"""Every route of the server, as the page of another origin makes a browser ask for it: nothing is changed or shown."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2
import pytest

from paas.server.app import Parts, create
from paas.settings import Settings
from paas.usecases.hook_receiver import Received
from tests.unit.permissions.table import ROWS
from tests.unit.server.stub import Door, Operations, Running, running

PAGE = {"Origin": "https://evil.example", "Authorization": "Bearer let-me-in"}
DELIVERED = "/deploy-hooks/{hook_id}"
FIELDS = {(row.request.method, row.request.path): dict(row.fields) for row in ROWS}


HTTP = httpx2.Client(timeout=30)
"""Made once: that loads the authorities this machine trusts."""


class Hosts:
    """Nobody delivers here."""

    def known(self, hook_id: str) -> None:
        raise AssertionError("a page got as far as a deploy hook")

    def receive(self, hook_id: str, headers: Mapping[str, str], body: bytes) -> Received:
        raise AssertionError("a page got as far as a deploy hook")


def routes() -> list[tuple[str, str]]:
    """Method and path of all; a WebSocket begins as a GET."""
    with tempfile.TemporaryDirectory(prefix="paas-t-") as name:
        folder = Path(name)
        parts = Parts(door=Door(folder), operations=Operations(), settings=Settings(home=folder), receiver=Hosts())
        found = {
            (method, str(route.path))  # type: ignore[attr-defined]
            for route in create(parts).routes
            for method in getattr(route, "methods", None) or {"GET"}
        }
    return sorted(found)


ROUTES = routes()
PATHS = sorted({path for _, path in ROUTES})
CHANGING = [(method, path) for method, path in ROUTES if method not in ("GET", "HEAD")]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="paas-t-") as name, running(Path(name), receiver=Hosts()) as found:
        found.operations.go.set()
        yield found
        HTTP.close()


def ask(server: Running, method: str, path: str, headers: dict[str, str]) -> httpx2.Response:
    """With what the request cannot be without, as a form can send it: text/plain."""
    url = f"http://{server.settings.listen}{re.sub(r'{[^}]*}', 'shop', path)}"
    body = json.dumps(FIELDS.get((method, path), {})) if method not in ("GET", "HEAD", "OPTIONS") else None
    given = {"Content-Type": "text/plain", **headers}
    with HTTP.stream(method, url, content=body, headers=given) as answer:
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
        return answer


def test_the_walk_knows_routes_that_change_and_that_show() -> None:
    assert {("POST", "/apps"), ("DELETE", "/apps/{app}"), ("POST", DELIVERED)} <= set(CHANGING)
    assert len(CHANGING) > 60
    assert len(PATHS) > 90


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_a_page_of_another_origin_changes_nothing(server: Running, method: str, path: str) -> None:
    before = len(server.door.seen), len(server.operations.started)
    assert ask(server, method, path, PAGE).status_code == 403
    assert ask(server, method, path, {**PAGE, "Origin": "null"}).status_code == 403
    assert (len(server.door.seen), len(server.operations.started)) == before


@pytest.mark.parametrize("path", PATHS)
def test_no_page_is_told_that_it_may(server: Running, path: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    assert ask(server, "OPTIONS", path, {**PAGE, **asked}).status_code in (403, 404, 405)


@pytest.mark.parametrize("path", PATHS)
def test_what_reads_changes_nothing_whatever_it_says_it_is(server: Running, path: str) -> None:
    before, operations = len(server.door.seen), len(server.operations.started)
    other = {"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "POST", "X-Method-Override": "POST"}
    answer = ask(server, "GET", path, {**PAGE, **other})
    if ("GET", path) not in ROUTES:
        assert answer.status_code == 405
    seen = [request for request, *_ in server.door.seen[before:]]
    assert all(type(request).method == "GET" for request in seen), seen
    assert len(server.operations.started) == operations


def test_the_same_of_the_servers_own_clients_comes_through(server: Running) -> None:
    """What is refused above is refused for where it comes from."""
    before = len(server.door.seen)
    answer = ask(server, "POST", "/apps", {"Authorization": PAGE["Authorization"]})
    assert (answer.status_code, len(server.door.seen)) == (200, before + 1)
