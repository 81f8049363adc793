"""The Engine's events as Changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from paas.engines.docker_client import Connection
from paas.engines.docker_logs import response_of, shut
from paas.engines.docker_spec import APP, INSTANCE, KIND, SERVICES, tags
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


def change(event: Mapping[str, Any]) -> Change | None:
    """The change an event stands for; None for one that is not about a service version."""
    attributes = (event.get("Actor") or {}).get("Attributes") or {}
    kind = KINDS.get(str(event.get("Action")))
    read = tags(attributes)
    if kind is None or read is None or attributes.get(KIND) not in SERVICES:
        return None
    code = str(attributes.get("exitCode", ""))
    return Change(kind, read.key, str(event.get("id", "")), int(code) if kind == "die" and code.isdigit() else None)


def filters(instance: str, app_id: str = "") -> dict[str, list[str]]:
    """Which events to ask for."""
    labels = [f"{INSTANCE}={instance}"] + ([f"{APP}={app_id}"] if app_id else [])
    return {"type": ["container"], "label": labels}


def watch(connection: Connection, instance: str, stop: Stop) -> Iterator[Change]:
    """Changes until `stop` is set or the Engine goes away."""
    ended = threading.Event()
    try:
        with connection.stream() as api:
            stream = api.events(decode=True, filters=filters(instance))
            response = response_of(stream)
            # The read blocks until something happens; this thread ends it when it is time.
            closer = threading.Thread(target=_close, args=(response, stop, ended), name="watch", daemon=True)
            closer.start()
            try:
                for event in stream:
                    if stop.is_set():
                        return
                    if (found := change(event)) is not None:
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
