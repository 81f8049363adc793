"""`cron`: scheduled jobs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paas.cli.connection import ask
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import facts, put, put_json, say, size, table, when
from paas.cli.runs import FollowOption, LimitOption, LinesOption, age, read_logs, show_table
from paas.cli.target import app_of
from paas.errors import NotFound

app = new_app(cls=ListByDefault)

JobArgument = Annotated[str, typer.Argument(metavar="NAME", help="The job, as paas.toml calls it.")]


@app.command("list")
def list_cron(app: AppOption = "", as_json: JsonOption = False) -> None:
    """Show the scheduled jobs: when each runs next, and how it went last."""
    from paas.requests.cron import ListCron

    answer = ask(ListCron(app=app_of(app)))
    if as_json:
        put_json(answer)
        return
    table(
        ["job", "schedule", "zone", "next", "last", "command"],
        [
            (one["name"], one["schedule"], one["zone"], _next(one), age(one["last"]), one["command"].partition("\n")[0])
            for one in answer
        ],
        empty="there are no scheduled jobs: [[cron]] in paas.toml names them",
    )


def _next(one: dict[str, Any]) -> str:
    if one["paused_by"]:
        return f"paused by {one['paused_by']}"
    return when(one["next"][0]) if one["next"] else "never"


@app.command()
def show(name: JobArgument, app: AppOption = "", as_json: JsonOption = False) -> None:
    """Show one job and its next firings, in this machine's time."""
    from paas.requests.cron import ShowCron

    one = ask(ShowCron(app=app_of(app), job=name))
    if as_json:
        put_json(one)
        return
    facts(
        [
            ("job", one["name"]), ("schedule", f"{one['schedule']}  {one['zone']}"), ("command", one["command"]),
            ("process", one["process"]), ("while one goes on", one["overlap"]), ("missed", one["missed"]),
            ("time limit", f"{one['time_limit']:g} s"), ("retries", one["retries"] or ""),
            ("memory", size(one["memory"]) if one["memory"] else ""), ("cpus", one["cpus"] or ""),
            ("env", " ".join(one["env"])), ("paused by", one["paused_by"]), ("last", age(one["last"])),
            ("next", "  ".join(when(at) for at in one["next"])),
        ]
    )  # fmt: skip


@app.command()
def run(name: JobArgument, app: AppOption = "", as_json: JsonOption = False) -> None:
    """Run a job now; prints the run."""
    from paas.requests.cron import RunCron

    one = ask(RunCron(app=app_of(app), job=name))
    if as_json:
        put_json(one)
        return
    put(one["id"])
    say(f"follow it: paas runs logs {one['id']} -f")


@app.command()
def history(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Of one job; else of all.")] = "",
    app: AppOption = "",
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """Show past runs: when, how long, exit code, and why one was left out."""
    from paas.requests.runs import ListRuns

    found = ask(ListRuns(app=app_of(app), job=name, limit=limit))
    show_table([one for one in found if one["job"]], as_json)


@app.command()
def logs(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="A run, or a job: its last run.")] = "",
    app: AppOption = "",
    follow: FollowOption = False,
    lines: LinesOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Show what a scheduled run has said."""
    from paas.requests.runs import ListRuns

    name = app_of(app)
    found = [one for one in ask(ListRuns(app=name, limit=1000)) if one["job"] and one["status"] != "skipped"]
    mine = [one for one in found if not run or one["job"] == run or one["id"].startswith(run)]
    if not mine:
        raise NotFound(f"no run of {run!r}" if run else "no job has run yet", hint="paas cron history")
    read_logs(name, mine[0]["id"], follow=follow, lines=lines, as_json=as_json)


@app.command()
def pause(name: JobArgument, app: AppOption = "") -> None:
    """Let a job not fire until it is resumed."""
    from paas.requests.cron import PauseCron

    ask(PauseCron(app=app_of(app), job=name))
    say(f"{name} is paused")


@app.command()
def resume(name: JobArgument, app: AppOption = "") -> None:
    """Let a job fire again."""
    from paas.requests.cron import ResumeCron

    one = ask(ResumeCron(app=app_of(app), job=name))
    say(f"{name} runs next: {_next(one)}")
