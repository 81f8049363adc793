"""`logs` and `events`: what apps, router and builds say, and what happened."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from typing import Annotated

import typer

from paas.cli.connection import ask, connected
from paas.cli.lazy import new_app
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import escaped, put_json, say, table, when
from paas.cli.target import app_of
from paas.errors import UsageError
from paas.model.service import LogLine

app = new_app()


@app.command()
def logs(
    *,
    app: AppOption = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", "--tail", "-t", help="Wait for more.")] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", "--num", metavar="N", min=0, help="The last N lines; 0: all.")
    ] = 100,
    process: Annotated[
        str, typer.Option("--process", "-p", "--ps", metavar="PROCESS", help="Only this process type.")
    ] = "",
    replica: Annotated[str, typer.Option("--replica", metavar="REPLICA", help="Only this one: web.2.")] = "",
    source: Annotated[
        str,
        typer.Option(
            "--source", "-s", metavar="SOURCE", help="app, router (its access log) or build (the last one); else app."
        ),
    ] = "",
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="Not older than: 90s, 10m, 2h, 1d.")] = "",
    platform: Annotated[bool, typer.Option("--platform", help="The server's and the router's own logs.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the last log lines of an app, or follow them. Control characters are shown, not obeyed."""
    from paas.requests.base import Request
    from paas.requests.platform import PlatformLogs
    from paas.requests.processes import ReadLogs

    request: Request
    if platform:
        request = PlatformLogs(lines=lines, follow=follow)
    else:
        if source not in ("", "app", "router", "build"):
            raise UsageError(f"there is no source {source!r}", hint="app, router or build")
        name, number = _replica(replica, process)
        request = ReadLogs(
            app=app_of(app), lines=lines, follow=follow, process=name, replica=number,
            source=source, since=_since(since),  # type: ignore[arg-type]
        )  # fmt: skip
    try:
        with connected() as client:
            if not _show(client.lines(request), as_json) and not platform and source in ("", "app"):
                say("no lines: what a replica said goes with it; paas logs --source router has the requests")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _show(lines: Iterable[LogLine], as_json: bool) -> bool:
    """Whether there was any."""
    from dataclasses import asdict

    some = False
    for line in lines:
        print(json.dumps(asdict(line)) if as_json else _text(line), flush=True)
        some = True
    return some


def _text(line: LogLine) -> str:
    """`2026-11-23T10:00:00.123 web.2 | text`; our own words before the bar, the app's after it."""
    if line.source == "server":
        return _server_line(line.text)
    stamp = _stamp(line.at)
    name = f"{line.process}.{line.replica}" if line.replica else (line.process or line.source)
    return f"{stamp} {escaped(name)} | {escaped(line.text)}".lstrip()


def _server_line(text: str) -> str:
    try:
        facts = json.loads(text)
        first = f"{_stamp(facts['at'])} server | {facts['level']}: {escaped(facts['message'])}"
        trace = [f"    {escaped(line)}" for line in facts.get("trace", "").splitlines()]
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"server | {escaped(text)}"
    return "\n".join([first, *trace])


def _stamp(at: float) -> str:
    if not at:
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at)) + f".{int(at % 1 * 1000):03d}"


def _replica(text: str, process: str) -> tuple[str, int]:
    """`web.2` → `("web", 2)`."""
    if not text:
        return process, 0
    name, _, number = text.rpartition(".")
    if not name or not (number.isascii() and number.isdigit()) or int(number) < 1 or process not in ("", name):
        raise UsageError(f"{text!r} is no replica", hint="a process type and a number: web.2; paas ps lists them")
    return name, int(number)


def _since(text: str) -> float:
    if not text:
        return 0.0
    found = re.fullmatch(r"(\d{1,9})([smhd]?)", text)
    if not found:
        raise UsageError(f"{text!r} is no time span", hint="90s, 10m, 2h or 1d")
    seconds = int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]]
    return max(0.0, time.time() - seconds)


@app.command()
def events(
    app: AppOption = "",
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=10_000, help="The last N.")] = 100,
    after: Annotated[
        int, typer.Option(metavar="N", min=0, help="Only those after this serial number, oldest first.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Show what happened to an app: releases, crashes, scaling; when, and who did it."""
    from paas.requests.processes import ListEvents

    answer = ask(ListEvents(app=app_of(app), limit=limit, after=after))
    if as_json:
        put_json(answer)
        return
    table(
        ["serial", "when", "kind", "what"],
        [(one["serial"], when(one["at"]), one["kind"], one["message"].partition("\n")[0]) for one in answer],
        empty="nothing happened yet",
    )
