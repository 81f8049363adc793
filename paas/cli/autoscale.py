"""`paas autoscale`: its commands, and `simulate`: a load trace, or what was recorded, against rules."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paas.cli import autoscale_rules
from paas.cli.connection import ask
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import put, put_json, say, table
from paas.cli.target import app_of
from paas.errors import NotFound, UsageError

if TYPE_CHECKING:
    from paas.model.scaling import Autoscale
    from paas.plan.simulate import Run, Trace, World

app = new_app(cls=ListByDefault)
app.command("list")(autoscale_rules.list_rules)
app.command("show", hidden=True)(autoscale_rules.list_rules)
app.command("set")(autoscale_rules.set_rules)
app.command("unset")(autoscale_rules.unset_rules)
app.command("pause")(autoscale_rules.pause)
app.command("resume")(autoscale_rules.resume)
app.command("explain")(autoscale_rules.explain)

LONG = 2 * 86_400
"""Seconds of a trace from which on it takes a while."""


@app.command()
def simulate(
    *,
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="The app's folder, whose paas.toml has rules.")
    ] = Path(),
    trace: Annotated[
        Path | None, typer.Option("--trace", metavar="FILE", help="CSV of time,requests/s, or an access log.")
    ] = None,
    last: Annotated[
        str, typer.Option("--last", metavar="TIME", help="What was recorded of the app so long: 24h, 7d.")
    ] = "",
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="METRIC=TARGET", help="Instead of those of paas.toml: cpu=80% or requests=30."),
    ] = None,
    process: Annotated[str, typer.Option("--process", metavar="NAME", help="Whose rules.")] = "web",
    least: Annotated[int | None, typer.Option("--min", metavar="N", help="The least replicas.")] = None,
    most: Annotated[int | None, typer.Option("--max", metavar="N", help="The most.")] = None,
    boot: Annotated[float, typer.Option("--boot", metavar="S", help="From start to traffic.")] = 1.0,
    capacity: Annotated[
        float | None, typer.Option("--capacity", metavar="N", help="Requests/s of one replica; else measured, or 40.")
    ] = None,
    latency: Annotated[
        float | None, typer.Option("--latency", metavar="S", help="p95 of an idle replica; else measured, or 0.1.")
    ] = None,
    target_latency: Annotated[float, typer.Option("--target-latency", metavar="S", help="p95 that is good.")] = 0.5,
    hold_gaps: Annotated[bool, typer.Option("--hold-gaps", help="Keep the rate where the trace has a gap.")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="And as hosted platforms would by default.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw it there.")] = None,
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Replay a load trace through the rules: latency, replica-hours, and what to write into paas.toml.

    Without rules in paas.toml or --rule, CPU is kept near 87 %. No platform is asked but with --last.
    """
    from paas.cli.trace_file import load as _load
    from paas.plan.advice import advice
    from paas.plan.simulate import World, ours
    from paas.plan.simulate import simulate as run

    if (trace is None) == (not last):
        raise UsageError("give one of --trace and --last", hint="--trace load.csv, or --last 24h")
    load, measured = (_load(trace, hold=hold_gaps), World()) if trace else _recorded(app, process, last)
    capacity = capacity if capacity is not None else measured.capacity
    latency = latency if latency is not None else measured.latency
    world = World(
        boot=_number(boot, "--boot", least=0), capacity=_number(capacity, "--capacity"),
        latency=_number(latency, "--latency"), target=_number(target_latency, "--target-latency"),
    )  # fmt: skip
    if world.capacity * world.latency < 0.99:
        raise UsageError(
            f"a replica that answers within {latency:g} s serves {1 / latency:g} requests/s at least, not {capacity:g}",
            hint=f"--latency {1 / capacity:.3g} or more, or a higher --capacity",
        )
    rules = _rules(folder, process, rule or [], least, most)
    if (span := load.end - load.times[0]) > LONG:
        say(f"- simulating {span / 86_400:.1f} days, second by second")
    runs = [run(load, ours(rules, "these rules"), world)]
    if compare:
        from paas.plan.hosted import hosted

        runs += [run(load, one, world) for one in hosted(rules.least, rules.most, world)]
    advised = advice(load, rules, world)
    if svg:
        _drawn(svg, runs, world)
    if as_json:
        put_json(_data(runs, world, advised))
        return
    _told(runs, world)
    if advised.run.over > advised.run.seconds / 2:
        say(f"no number of replicas has its p95 within {world.target:g} s most of the time: is --target-latency right?")
        return
    proposal = f"min = {advised.least}, max = {advised.most}, targets = {{ requests = {advised.target:g} }}"
    say(
        f"advice for this trace: {proposal}: {advised.run.over} s over target, "
        f"{advised.run.replica_hours:.2f} replica-hours"
    )


def _told(runs: list[Run], world: World) -> None:
    from paas.cli import plot

    for line in plot.text(runs[0], world):
        put(line)
    put("")
    heads = ("rules", "s over target", "replica-hours", "peak", "changes", "flaps", "failed")
    table(heads, [_row(one) for one in runs])
    for one in runs[0].changes[:3]:
        say(f"at {one.at - runs[0].points[0].at:.0f} s: {one.replicas} → {one.wanted}: {one.why}")


def _row(one: Run) -> tuple[object, ...]:
    return one.policy, one.over, f"{one.replica_hours:.2f}", one.peak, len(one.changes), one.flaps, one.failed


def _data(runs: list[Run], world: World, advised: Any) -> dict[str, Any]:
    return {
        "seconds": runs[0].seconds,
        "requests": runs[0].requests,
        "target_latency": world.target,
        "runs": [
            {
                "rules": one.policy, "over": one.over, "replica_hours": round(one.replica_hours, 4), "peak": one.peak,
                "flaps": one.flaps, "failed": one.failed,
                "changes": [
                    {"at": change.at, "from": change.replicas, "to": change.wanted, "why": change.why,
                     "limits": list(change.limits)}
                    for change in one.changes
                ],
            }
            for one in runs
        ],
        "advice": {
            "min": advised.least, "max": advised.most, "requests": advised.target, "over": advised.run.over,
            "replica_hours": round(advised.run.replica_hours, 4),
        },
    }  # fmt: skip


# --- what is given -------------------------------------------------------------------------------------------------


def _rules(folder: Path, process: str, texts: list[str], least: int | None, most: int | None) -> Autoscale:
    """The rules of `--rule`, else of paas.toml, else the default one; bounds of the options over those of the file."""
    from dataclasses import replace

    from paas.model.scaling import Autoscale

    rules = _written(folder, process) or Autoscale()
    if texts:
        rules = replace(rules, rules=tuple(_target(text) for text in texts))
    elif not rules.rules:
        from paas.model.scaling import DEFAULT

        rules = replace(rules, rules=(DEFAULT,))
    rules = replace(rules, least=least or rules.least, most=most or max(rules.most, least or 0))
    if not 1 <= (least if least is not None else 1) <= rules.most or rules.least > rules.most or rules.most > 1000:
        raise UsageError(
            f"min {rules.least}, max {rules.most}: no number lies between", hint="1 ≤ --min ≤ --max ≤ 1000"
        )
    _simulated(rules)
    return rules


def _written(folder: Path, process: str) -> Autoscale | None:
    """The table of paas.toml; None when there is none."""
    from paas.build import manifest
    from paas.build.files import Files

    if not folder.is_dir():
        raise NotFound(f"{folder} is no folder", hint="name the folder of the app")
    if not (folder / manifest.TOML).is_file():
        return None
    said = manifest.load(Files.of(folder)).processes.get(process)
    return said.autoscale if said else None


def _target(text: str) -> Any:
    from paas.build.autoscale import target

    metric, found, value = text.partition("=")
    if not found:
        raise UsageError(f"{text!r} is no rule", hint="METRIC=TARGET: cpu=80%, requests=30, p95=400ms")
    try:
        return target(metric.strip(), value.strip())
    except ValueError as error:
        raise UsageError(f"--rule {text}: {error}") from None


def _simulated(rules: Autoscale) -> None:
    """Refuse rules by what a trace of requests says nothing about."""
    from paas.plan.simulate import SIMULATED

    for one in rules.rules:
        if one.metric not in SIMULATED:
            raise UsageError(
                f"a trace of requests says nothing about {one.metric}", hint=f"simulated are {', '.join(SIMULATED)}"
            )


def _recorded(app: str, process: str, text: str) -> tuple[Trace, World]:
    """What the platform measured of the process in that time, and what it says about one replica."""
    from paas.build.sizes import seconds
    from paas.plan.recorded import measured, trace
    from paas.requests.autoscale import RecordedLoad

    days = text.strip().removesuffix("d")
    try:
        length = seconds(f"{int(days) * 24}h" if text.endswith("d") and days.isdigit() else text, 60, 8 * 86_400)
    except ValueError:
        raise UsageError(f"--last {text}: a minute to 8 days are kept", hint="such as 24h or 7d") from None
    answer = ask(RecordedLoad(app=app_of(app), process=process, seconds=length))
    world = measured(answer["samples"])
    say(f"- one replica serves {world.capacity:.3g} requests/s, p95 {world.latency:.3g} s idle (measured)")
    return trace(answer["samples"], answer["app"]), world


def _number(value: float, name: str, *, least: float = 0.001) -> float:
    if not math.isfinite(value) or not least <= value <= 100_000:
        raise UsageError(f"{name} {value:g} makes no sense", hint="a number above 0")
    return value


def _drawn(path: Path, runs: list[Run], world: World) -> None:
    from paas.cli import plot

    try:
        path.write_text(plot.svg(runs, world), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    say(f"wrote {path}")
