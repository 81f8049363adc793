"""Talking to the server: started when it does not run; answers as JSON, operations followed and shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from paas.cli.contexts import chosen, read
from paas.cli.output import say
from paas.cli.progress import shown
from paas.errors import EngineUnavailable

if TYPE_CHECKING:
    from paas.client import Client
    from paas.model.events import Event
    from paas.requests.base import Request


@contextmanager
def connected(*, start: bool = True) -> Iterator[Client]:
    """A client of the server. A platform of this machine that does not run is brought up first."""
    from paas.client import Client

    settings = chosen()
    with Client.connect(settings) as client:
        if start and client.local and not client.version():
            _needed(client)
        yield client


def _needed(client: Client) -> None:
    """Bring up what a command needs. Where no Engine answers, the platform may be one of another machine: that is said,
    and a server that has nothing to look after is not left running here."""
    from paas.cli import daemon
    from paas.requests.apps import ListApps

    try:
        bring_up(client)
    except EngineUnavailable as error:
        if not daemon.systemd(client.settings) and not client.ask(ListApps()):
            daemon.end(client.settings)
        known = next(iter(read().places), "")
        elsewhere = f"paas contexts use {known}" if known else "paas login https://…"
        raise EngineUnavailable(
            error.message, hint=f"{error.hint}. Is the platform on another machine: {elsewhere}", details=error.details
        ) from error


def bring_up(client: Client) -> dict[str, Any]:
    """Start the server and bring the platform up; what PlatformUp answered."""
    from paas.cli import daemon
    from paas.requests.platform import PlatformUp

    daemon.start(client.settings)
    return dict(follow(client, PlatformUp()))


def ask(request: Request) -> Any:
    """The answer of one request."""
    with connected() as client:
        return client.ask(request)


def operate(request: Request, *, quiet: bool = False) -> Any:
    """Start an operation, show what happens, return its answer."""
    with connected() as client:
        return follow(client, request, quiet=quiet)


def follow(client: Client, request: Request, *, quiet: bool = False, detach: bool = False) -> Any:
    """The answer of an operation. Ctrl-C leaves it to the server and says how to come back; so does `detach`."""
    running = ""
    try:
        with shown(quiet=quiet) as show:
            for event in client.follow(request):
                if event.kind == "operation":
                    running = str(event.data["id"])
                    if detach:
                        return {"operation": running}
                show(event)
                if event.kind == "result":
                    return answer_of(event)
    except KeyboardInterrupt:
        if running:
            say(f"\nstill running: paas watch {running}")
        raise typer.Exit(130) from None
    return None


def answer_of(event: Event) -> Any:
    """The answer that a `result` event carries."""
    return event.data.get("answer")
