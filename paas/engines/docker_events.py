"""The Engine's events as Changes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from paas.engines.docker_client import Connection
from paas.engines.docker_logs import response_of, shut
from paas.engines.docker_spec import APP, INSTANCE, KIND, SERVICES, signalled, tags
from paas.errors import EngineUnavailable
from paas.interfaces import Stop
from paas.model.service import Change

KINDS = {
    "start": "start",
    "die": "die",
    "oom": "oom",
    "pause": "health",
    "unpause": "health",
    "destroy": "gone",
}

POLL = 0.2

INSTANT = 1e-6
"""Seconds after an event from which on another one is meant: the Engine's `since` includes its own moment, and a float
of Unix time is exact to a fraction of this."""


def change(event: Mapping[str, Any]) -> Change | None:
    """The change an event stands for; None for one that is not about a service version."""
    attributes = (event.get("Actor") or {}).get("Attributes") or {}
    kind = KINDS.get(str(event.get("Action")))
    read = tags(attributes)
    if kind is None or read is None or attributes.get(KIND) not in SERVICES:
        return None
    code = str(attributes.get("exitCode", ""))
    exit_code = int(code) if kind == "die" and code.isdigit() else None
    asked = kind == "die" and signalled(str(attributes.get("name", "")), 0.0) > 0
    at = int(event.get("timeNano") or 0) / 1e9
    return Change(kind, read.key, str(event.get("id", "")), exit_code, at=at, asked=asked)


def changes(events: Iterable[Mapping[str, Any]]) -> Iterator[Change]:
    """The changes among these events. Before it ends a container by request, the Engine tells of the signal; of one
    that was sent before anybody listened, the container's name does."""
    asked: set[str] = set()
    for event in events:
        id, action = str(event.get("id", "")), event.get("Action")
        if (found := change(event)) is not None:
            yield replace(found, asked=found.asked or id in asked) if found.kind == "die" else found
        if action == "kill":
            asked.add(id)
        elif action in ("die", "start", "destroy"):
            asked.discard(id)


def filters(instance: str, app_id: str = "") -> dict[str, list[str]]:
    """Which events to ask for."""
    labels = [f"{INSTANCE}={instance}"] + ([f"{APP}={app_id}"] if app_id else [])
    return {"type": ["container"], "label": labels}


def watch(connection: Connection, instance: str, stop: Stop, since: float = 0.0) -> Iterator[Change]:
    """Changes until `stop` is set or the Engine goes away; those after `since` first, of the Engine's last 256."""
    after: Any = f"{since + INSTANT:.9f}" if since else None
    ended = threading.Event()
    try:
        with connection.stream() as api:
            stream = api.events(decode=True, filters=filters(instance), since=after)
            response = response_of(stream)
            # The read blocks until something happens; this thread ends it when it is time.
            closer = threading.Thread(target=_close, args=(response, stop, ended), name="watch", daemon=True)
            closer.start()
            try:
                for found in changes(stream):
                    if stop.is_set():
                        return
                    yield found
            finally:
                ended.set()
                shut(response)
                closer.join(2)
    except EngineUnavailable:
        return


def _close(response: Any, stop: Stop, ended: threading.Event) -> None:
    while not ended.wait(POLL):
        if stop.is_set():
            shut(response)
            return
