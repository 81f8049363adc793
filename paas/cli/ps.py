"""`ps`, `scale`, `limits`, `restart`: processes and their replicas."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paas.cli.connection import ask, operate
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import ago, put, put_json, say, size, table, when
from paas.cli.target import app_of
from paas.errors import UsageError

app = new_app(cls=ListByDefault)


@app.command("list")
def list_replicas(app: AppOption = "", as_json: JsonOption = False) -> None:
    """Show processes and replicas: state, release, age, restarts, CPU and memory."""
    from paas.requests.processes import ListReplicas

    answer = ask(ListReplicas(app=app_of(app)))
    replicas = [
        {**replica, "process": process["process"], "memory_limit": process["memory_limit"]}
        for process in answer["processes"]
        for replica in process["replicas"]
    ]
    if as_json:
        put_json({**answer, "replicas": replicas})
        return
    for process in answer["processes"]:
        command = process["command"] or "(the image's own command)"
        limits = f"{size(process['memory_limit'])}, {process['cpus']:g} CPUs"
        say(f"{process['process']}: {len(process['replicas'])} of {process['wanted']}  {limits}  {command}")
    if answer.get("asleep") and replicas:
        say(f"{_nothing(answer)}; what is left ends")
    table(
        ["replica", "state", "release", "age", "restarts", "cpu", "memory", "detail"],
        [_row(replica) for replica in replicas],
        empty=_nothing(answer),
    )


def _nothing(answer: dict[str, Any]) -> str:
    if answer.get("asleep"):
        return "asleep: the next request starts it, or paas sleep wake"
    return "no replica runs" + ("" if answer["release"] else ": paas deploy")


def _row(replica: dict[str, Any]) -> tuple[object, ...]:
    return (
        replica["name"],
        replica["state"],
        f"v{replica['release']}",
        ago(replica["started_at"]),
        replica["restarts"],
        "-" if replica["cpu"] is None else f"{replica['cpu'] * 100:.0f}%",
        size(replica["memory"]),
        "; ".join(filter(None, (replica["detail"], _spared(replica.get("protected_until"))))),
    )


def _spared(until: float | None) -> str:
    return f"asked to be spared by scale-ins until {when(until)}" if until else ""


@app.command()
def scale(
    counts: Annotated[list[str], typer.Argument(metavar="PROCESS=N…", help="For example web=3 worker=1.")],
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Set how many replicas each process has; 0 stops it. No release: a rollback does not bring the number back."""
    from paas.requests.processes import Scale

    answer = operate(Scale(app=app_of(app), counts=_counts(counts)), quiet=as_json)
    if as_json:
        put_json(answer)
        return
    if not answer["changed"]:
        say("nothing to change")
    put(" ".join(f"{name}={count}" for name, count in answer["processes"].items()))


def _counts(texts: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for text in texts:
        name, _, number = text.partition("=")
        if not name or not (number.isascii() and number.isdigit()) or int(number) > 100:
            raise UsageError(
                f"{text!r} is no number of replicas", hint="PROCESS=N with N from 0 to 100: web=3 worker=1"
            )
        if name in counts:
            raise UsageError(f"{name} is given twice", hint="one number a process")
        counts[name] = int(number)
    return counts


@app.command()
def limits(
    *,
    process: Annotated[str, typer.Argument(metavar="[PROCESS]", help="The process type.")] = "web",
    memory: Annotated[str, typer.Option(metavar="SIZE", help="For example 512M or 1.5G; 0: no limit.")] = "",
    cpus: Annotated[float | None, typer.Option(metavar="N", help="Cores, for example 0.5.")] = None,
    pids: Annotated[int | None, typer.Option(metavar="N", help="Processes and threads.")] = None,
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Set what one replica of a process may use. A release, rolled out with no gap."""
    from paas.requests.processes import SetLimits

    if not memory and cpus is None and pids is None:
        raise UsageError("which limit?", hint="--memory 512M, --cpus 1, --pids 1024; paas ps shows them")
    request = SetLimits(app=app_of(app), process=process, memory=memory, cpus=cpus, pids=pids)
    changed(operate(request, quiet=as_json), as_json)


@app.command()
def restart(
    process: Annotated[str, typer.Argument(metavar="[PROCESS]", help="The process type; else all.")] = "",
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Start every replica anew, new ones first, with no gap."""
    from paas.requests.processes import Restart

    answer = operate(Restart(app=app_of(app), process=process), quiet=as_json)
    if as_json:
        put_json(answer)
    else:
        say("restarted")


def changed(answer: dict[str, Any], as_json: bool) -> None:
    """What a change came to: `Changed` of the use cases."""
    if as_json:
        put_json(answer)
        return
    if answer["message"]:
        say(answer["message"])
    if answer["changed"]:
        runs = "is live" if answer.get("runs", True) else "counts from the first deploy on"
        say(f"{answer['app']} v{answer['release']} {runs}")
    elif not answer["message"]:
        say(f"nothing to change: {answer['app']} stays at v{answer['release']}")
