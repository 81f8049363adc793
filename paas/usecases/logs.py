"""Logs: of an app's replicas, of the router, of builds, of the platform. Lines are raw: who prints them escapes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from paas.errors import NotFound, UsageError
from paas.interfaces import LogQuery
from paas.model.app import App
from paas.model.events import Event
from paas.model.service import LogLine
from paas.requests.platform import PlatformLogs
from paas.requests.processes import ReadLogs
from paas.usecases.context import Act, Context
from paas.usecases.journal import Journals
from paas.usecases.switch import base_release

SERVER_LOG = "server.log"
"""The server's own log in the home folder, where it is not kept by systemd."""


def read_logs(context: Context, request: ReadLogs, act: Act) -> Iterator[LogLine]:
    """Lines of the app's replicas (also source "") or of the router's access log. Raises NotFound, UsageError."""
    app = context.store.app(request.app)
    _check_process(context, app, request.process)
    if request.replica and request.source != "router":
        _check_replica(context, app, request.process, request.replica)
    query = LogQuery(
        lines=request.lines,
        follow=request.follow,
        process=request.process,
        replica=request.replica,
        since=request.since,
    )
    if request.source == "router":
        return context.router.logs(app.id, query)
    return context.engine.logs(app.id, query)


def build_logs(context: Context, journals: Journals, request: ReadLogs) -> Iterator[LogLine]:
    """Output of the app's last build, and of the one that runs now while following. Raises NotFound."""
    app = context.store.app(request.app)
    deploys = [o for o in context.store.operations(app_id=app.id, limit=200) if o.verb == "DeployApp"]
    if not deploys:
        raise NotFound(f"{app.name} was never deployed", hint=f"paas deploy --app {app.name}")
    # A deploy that found everything as it was built nothing: what people mean is the last one that did.
    built = (
        o for o in deploys if o.status == "running" or any(e.kind == "output" for e in of_build(journals.so_far(o.id)))
    )
    operation = next(built, deploys[0])
    events = journals.follow(operation.id)
    if operation.status == "running" and not request.follow:
        events = journals.so_far(operation.id)
    lines = (_line(event) for event in of_build(events) if event.kind in ("step", "output", "warning", "error"))
    if request.follow or not request.lines:
        return lines
    return iter(deque(lines, maxlen=request.lines))


def of_build(events: Iterable[Event]) -> Iterator[Event]:
    """Those of a deploy's events that come before it is rolled out; a step without data.stage `build` ends them."""
    building = True
    for event in events:
        if event.kind == "step":
            building = event.data.get("stage") == "build"
        if building:
            yield event


def platform_logs(context: Context, request: PlatformLogs, act: Act) -> Iterator[LogLine]:
    """The server's last lines, then the router's own log."""
    yield from _server_lines(context, request.lines)
    yield from context.router.logs("", LogQuery(lines=request.lines, follow=request.follow))


def _server_lines(context: Context, most: int) -> Iterator[LogLine]:
    path = context.settings.home / SERVER_LOG
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines: Iterator[str] = iter(deque(file, maxlen=most)) if most else islice(file, None)
            for line in lines:
                yield LogLine(at=0.0, text=line.rstrip("\n"), source="server", process="server")
    except FileNotFoundError:
        return


def _line(event: Event) -> LogLine:
    stream = str(event.data.get("stream", "stdout")) if event.kind == "output" else "stderr"
    return LogLine(at=event.at, text=event.message, source="build", process="build", stream=stream)


def _check_process(context: Context, app: App, process: str) -> None:
    known = [known.name for known in base_release(context.store, app).processes]
    if process and known and process not in (*known, "run"):
        raise UsageError(f"{app.name} has no process {process!r}", hint=f"it has: {', '.join(known)}")


def _check_replica(context: Context, app: App, process: str, replica: int) -> None:
    seen = [one for one in context.engine.observe(app.id) if one.key.process == process]
    known = sorted({found.index for one in seen for found in one.replicas})
    if replica not in known:
        there = ", ".join(f"{process}.{index}" for index in known) or f"no replica of {process}"
        raise NotFound(f"there is no replica {process}.{replica}", hint=f"there is {there}: paas ps -a {app.name}")
