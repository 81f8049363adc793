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
from paas.errors import UsageError

if TYPE_CHECKING:
    from paas.model.scaling import Autoscale
    from paas.plan.advice import Advice
    from paas.plan.recorded import Known
    from paas.plan.simulate import Policy, Run, Trace, World

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
    rules_of: Annotated[
        str, typer.Option("--rules", metavar="WHOSE", help="file: those of paas.toml; server: those that hold now.")
    ] = "file",
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against", metavar="RULES", help="And by these: file, server, a paas.toml, or min=2; cpu=70%; again."
        ),
    ] = None,
    process: Annotated[str, typer.Option("--process", metavar="NAME", help="Whose rules.")] = "web",
    least: Annotated[int | None, typer.Option("--min", metavar="N", help="The least replicas.")] = None,
    most: Annotated[int | None, typer.Option("--max", metavar="N", help="The most.")] = None,
    boot: Annotated[
        float | None, typer.Option("--boot", metavar="S", help="From start to traffic; else measured, or 1.")
    ] = None,
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
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="The same as PNG; needs Pillow: paasctl[plot].")
    ] = None,
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Replay a load trace through the rules: latency, replica-hours, and what to write into paas.toml.

    Without rules in paas.toml or --rule, CPU is kept near 70 % for one replica, 85 % for four, 90 % for nine. A
    platform is asked only with --last, --app, and for the rules that hold there. With --app, what one replica serves
    and how long it boots is what was measured there.
    """
    from paas.cli import picture, rule_sets
    from paas.plan.advice import advice
    from paas.plan.simulate import ours
    from paas.plan.simulate import simulate as run

    if (trace is None) == (not last):
        raise UsageError("give one of --trace and --last", hint="--trace load.csv, or --last 24h")
    place = rule_sets.Place(folder, process, app)
    rules = rule_sets.bounded(rule_sets.given(place, rules_of, rule or []), least, most)
    others = [(text, rule_sets.bounded(rule_sets.named(place, text), None, None)) for text in against or []]
    found = _samples(app, process, last or "7d") if last or app else None
    known = _world(found, {"capacity": capacity, "latency": latency, "boot": boot}, target_latency)
    load = _load(trace, found or {}, hold=hold_gaps)
    for one in (rules, *(other for _, other in others)):
        rule_sets.dated(one, load)
    policies = [ours(rules, "these rules"), *(ours(one, name) for name, one in others)]
    policies += _hosted(rules, known.world) if compare else []
    runs = [run(load, one, known.world) for one in policies]
    advised = advice(load, rules, known.world)
    for path, is_png in ((svg, False), (png, True)):
        if path:
            picture.draw(path, runs, known.world, png=is_png)
            say(f"wrote {path}")
    if as_json:
        put_json(_data(runs, known, advised))
        return
    _told(runs, known)
    _advised(advised, known.world)


def _load(path: Path | None, found: dict[str, Any], *, hold: bool) -> Trace:
    """The trace of a file, else what was recorded; says so where it takes a while."""
    from paas.cli.trace_file import load
    from paas.plan.recorded import trace

    made = load(path, hold=hold) if path else trace(found["samples"], found["app"])
    if (span := made.end - made.times[0]) > LONG:
        say(f"- simulating {span / 86_400:.1f} days, second by second")
    return made


def _hosted(rules: Autoscale, world: World) -> tuple[Policy, ...]:
    """The hosted platforms, within the same bounds."""
    from paas.plan.hosted import hosted

    return hosted(rules.least, rules.most, world)


def _advised(found: Advice, world: World) -> None:
    if found.needed:
        say(
            f"this load takes {found.needed} replicas of {world.capacity:g} requests/s, and {found.most} are the "
            "most there can be: is --capacity right, and is the trace that of one app?"
        )
        return
    if found.run.over > found.run.seconds / 2:
        say(f"no number of replicas has its p95 within {world.target:g} s most of the time: is --target-latency right?")
        return
    proposal = f"min = {found.least}, max = {found.most}, targets = {{ requests = {found.target:g} }}"
    say(
        f"advice for this trace: {proposal}: {found.run.over} s over target, "
        f"{found.run.replica_hours:.2f} replica-hours"
    )


def _told(runs: list[Run], known: Known) -> None:
    from paas.cli import plot

    world, of = known.world, known.sources
    say(f"- one replica: {world.capacity:.3g} requests/s ({of['capacity']})")
    say(f"- p95 when idle: {world.latency:.3g} s ({of['latency']}); boot: {world.boot:.3g} s ({of['boot']})")
    for line in plot.text(runs[0], world):
        put(line)
    put("")
    heads = ("rules", "s over target", "replica-hours", "peak", "changes", "flaps", "failed")
    table(heads, [_row(one) for one in runs])
    for one in runs[0].changes[:3]:
        say(f"at {one.at - runs[0].points[0].at:.0f} s: {one.replicas} → {one.wanted}: {one.why}")


def _row(one: Run) -> tuple[object, ...]:
    return one.policy, one.over, f"{one.replica_hours:.2f}", one.peak, len(one.changes), one.flaps, one.failed


def _data(runs: list[Run], known: Known, advised: Advice) -> dict[str, Any]:
    return {
        "seconds": runs[0].seconds,
        "requests": runs[0].requests,
        "target_latency": known.world.target,
        "replica": {
            name: {"value": getattr(known.world, name), "source": source} for name, source in known.sources.items()
        },
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
            "replica_hours": round(advised.run.replica_hours, 4), "needed": advised.needed or advised.most,
        },
    }  # fmt: skip


# --- what is given -------------------------------------------------------------------------------------------------


def _samples(app: str, process: str, text: str) -> dict[str, Any]:
    """What the platform measured of the process in that time."""
    from paas.build.sizes import seconds
    from paas.requests.autoscale import RecordedLoad

    days = text.strip().removesuffix("d")
    try:
        length = seconds(f"{int(days) * 24}h" if text.endswith("d") and days.isdigit() else text, 60, 8 * 86_400)
    except ValueError:
        raise UsageError(f"--last {text}: a minute to 8 days are kept", hint="such as 24h or 7d") from None
    answer: dict[str, Any] = ask(RecordedLoad(app=app_of(app), process=process, seconds=length))
    return answer


def _world(found: dict[str, Any] | None, given: dict[str, float | None], target: float) -> Known:
    """What is given, else what was measured, else the defaults; with where each comes from. Raises UsageError."""
    from paas.plan.recorded import DEFAULTS, Known, measured
    from paas.plan.simulate import World

    before = measured(found["samples"], _number(target, "--target-latency")) if found else DEFAULTS
    said = {name: getattr(before.world, name) if value is None else value for name, value in given.items()}
    sources = {name: before.sources[name] if value is None else "given" for name, value in given.items()}
    world = World(
        boot=_number(said["boot"], "--boot", least=0), capacity=_number(said["capacity"], "--capacity"),
        latency=_number(said["latency"], "--latency"), target=_number(target, "--target-latency"),
    )  # fmt: skip
    if world.latency > world.timeout:
        raise UsageError(
            f"--latency {world.latency:g}: what takes longer than {world.timeout:g} s counts as failed",
            hint="the p95 of an idle replica, seconds",
        )
    if world.capacity * world.latency < 0.99:
        raise UsageError(
            f"a replica that answers within {world.latency:g} s serves {1 / world.latency:g} requests/s at least, "
            f"not {world.capacity:g}",
            hint=f"--latency {1 / world.capacity:.3g} or more, or a higher --capacity",
        )
    return Known(world, sources)


def _number(value: float, name: str, *, least: float = 0.001) -> float:
    if not math.isfinite(value) or not least <= value <= 100_000:
        raise UsageError(f"{name} {value:g} makes no sense", hint="a number above 0")
    return value
