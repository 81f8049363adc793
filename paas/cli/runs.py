"""`runs`: commands that run once, of people and of schedules."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paas.cli.connection import ask, connected
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import ago, facts, put_json, say, size, table, when
from paas.cli.target import app_of

app = new_app(cls=ListByDefault)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Its id, or the beginning of it.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=1000, help="The last N.")]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Until it ends.")]
LinesOption = Annotated[int, typer.Option("--lines", "-n", metavar="N", min=0, help="The last N lines; 0: all.")]


@app.command("list")
def list_runs(
    app: AppOption = "",
    limit: LimitOption = 50,
    people: Annotated[bool, typer.Option("--people", help="Without those of schedules.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show who ran what, when, and how it ended, newest first."""
    from paas.requests.runs import ListRuns

    show_table(ask(ListRuns(app=app_of(app), people=people, limit=limit)), as_json)


def show_table(runs: list[dict[str, Any]], as_json: bool) -> None:
    """Runs as a table."""
    if as_json:
        put_json(runs)
        return
    table(
        ["run", "by", "job", "status", "exit", "when", "took", "command", "why"],
        [
            (
                one["id"],
                one["actor"],
                one["job"] or "-",
                one["status"],
                "-" if one["exit_code"] is None else one["exit_code"],
                when(one["started_at"] or one["due_at"]),
                f"{one['seconds']:.1f} s" if one["ended_at"] and one["started_at"] else "-",
                one["command"].partition("\n")[0][:60],
                one["reason"],
            )
            for one in runs
        ],
        empty="nothing was run yet",
    )


@app.command()
def show(run: RunArgument, app: AppOption = "", as_json: JsonOption = False) -> None:
    """Show one run."""
    from paas.requests.runs import ShowRun

    show_one(ask(ShowRun(app=app_of(app), run=run)), as_json)


def show_one(one: dict[str, Any], as_json: bool) -> None:
    """One run in full."""
    if as_json:
        put_json(one)
        return
    facts(
        [
            ("run", one["id"]), ("app", one["app"]), ("job", one["job"]), ("command", one["command"]),
            ("by", one["actor"]), ("status", one["status"]), ("why", one["reason"]),
            ("exit code", one["exit_code"]), ("release", f"v{one['release']}"), ("due", when(one["due_at"])),
            ("started", when(one["started_at"])), ("ended", when(one["ended_at"])),
            ("took", f"{one['seconds']:.1f} s" if one["seconds"] else ""),
            ("time limit", f"{one['time_limit']:g} s" if one["time_limit"] else ""),
            ("memory", size(one["memory"]) if one["memory"] else ""), ("cpus", one["cpus"] or ""),
            ("attempt", one["attempt"] if one["attempt"] > 1 else ""),
        ]
    )  # fmt: skip


@app.command()
def logs(
    run: RunArgument, app: AppOption = "", follow: FollowOption = False, lines: LinesOption = 0,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Show what a run has said."""
    read_logs(app_of(app), run, follow=follow, lines=lines, as_json=as_json)


def read_logs(app: str, run: str, *, follow: bool, lines: int, as_json: bool) -> None:
    """Print its lines: of programs its own, whole, with control characters shown."""
    import json
    from dataclasses import asdict

    from paas.cli.output import put
    from paas.requests.runs import ReadRunLogs

    try:
        with connected() as client:
            for line in client.lines(ReadRunLogs(app=app, run=run, lines=lines, follow=follow)):
                if as_json:
                    print(json.dumps(asdict(line)), flush=True)
                else:
                    put(line.text)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@app.command()
def stop(run: RunArgument, app: AppOption = "") -> None:
    """End a run: SIGTERM, and SIGKILL 10 s later."""
    from paas.requests.runs import StopRun

    one = ask(StopRun(app=app_of(app), run=run))
    say(f"run {one['id']} was stopped" if one["ended_at"] else f"run {one['id']} is being ended")


def age(run: dict[str, Any] | None) -> str:
    """`succeeded 5m` of a job's last run."""
    return f"{run['status']} {ago(run['started_at'] or run['due_at'])}" if run else "-"
