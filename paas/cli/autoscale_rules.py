"""`paas autoscale set`, `unset`, `list`, `pause`, `resume`, `explain`: the rules that hold, and what came of them."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from paas.cli.connection import ask
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import ago, put, put_json, say, table
from paas.cli.target import app_of
from paas.errors import UsageError

NONE = "none"
TOLD = ("requests", "in_flight", "cpu", "memory", "p95")
"""Signals of a sample that are told in any case; --json has all of them."""
ProcessArgument = Annotated[str, typer.Argument(metavar="[PROCESS]", help="The process type.", show_default=True)]

NO_RULES = "no process is scaled by rules: paas autoscale set web --max 5"


def set_rules(
    *,
    process: ProcessArgument = "web",
    least: Annotated[int | None, typer.Option("--min", metavar="N", help="The least replicas.")] = None,
    most: Annotated[int | None, typer.Option("--max", metavar="N", help="The most.")] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="METRIC=VALUE", help="cpu=70%, requests=40, p95=300ms; again for more; none."),
    ] = None,
    step: Annotated[
        list[str] | None,
        typer.Option("--step", metavar="KEY=VALUE;…", help="metric=p95; upper=800ms; add=2; period=1m; or none."),
    ] = None,
    trigger: Annotated[
        str,
        typer.Option(
            "--trigger",
            metavar="KEY=VALUE;…",
            help="MeasureName=CPUUtilization; UpperThreshold=60, as in .ebextensions.",
        ),
    ] = "",
    schedule: Annotated[
        list[str] | None,
        typer.Option("--schedule", metavar="KEY=VALUE;…", help="cron=0 8 * * mon-fri; min=4; lasts=10h; or none."),
    ] = None,
    in_window: Annotated[str, typer.Option("--in-window", metavar="TIME", help="How long fewer must be enough.")] = "",
    out_window: Annotated[str, typer.Option("--out-window", metavar="TIME", help="How long more are wanted.")] = "",
    tolerance: Annotated[
        float | None, typer.Option("--tolerance", metavar="SHARE", help="A target missed by less is met.")
    ] = None,
    warm_up: Annotated[
        str, typer.Option("--warm-up", metavar="TIME", help="For how long after a change latency is not believed.")
    ] = "",
    max_alarm: Annotated[
        str, typer.Option("--max-alarm", metavar="TIME", help="How long at the maximum until an event tells it.")
    ] = "",
    scale_in: Annotated[
        bool | None, typer.Option("--scale-in/--no-scale-in", help="Whether there may ever be fewer.")
    ] = None,
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Set rules over those of paas.toml. What is not given stays as it holds now."""
    from paas.requests.autoscale import SetAutoscale

    said: dict[str, Any] = {
        "min": least, "max": most, "targets": _targets(target), "step": _tables(step, "--step"),
        "trigger": key_values(trigger, "--trigger") or None, "schedule": _tables(schedule, "--schedule"),
        "in_window": in_window or None, "out_window": out_window or None,
        "tolerance": tolerance, "warm_up": warm_up or None, "max_alarm": max_alarm or None, "scale_in": scale_in,
    }  # fmt: skip
    given = {name: value for name, value in said.items() if value is not None}
    if not given:
        raise UsageError("which rule?", hint="--min 2 --max 8 --target cpu=70%; paas autoscale list shows them")
    answer = ask(SetAutoscale(app=app_of(app), process=process, table=given))
    _told(answer, as_json, empty=f"kept for {process} of {answer['app']}: holds from the first deploy that has it")


def unset_rules(process: ProcessArgument = "web", app: AppOption = "", as_json: JsonOption = False) -> None:
    """Forget what was set by command: the rules of paas.toml hold again, if there are any."""
    from paas.requests.autoscale import UnsetAutoscale

    _told(ask(UnsetAutoscale(app=app_of(app), process=process)), as_json)


def pause(process: ProcessArgument = "web", app: AppOption = "", as_json: JsonOption = False) -> None:
    """Leave the number as it is; only minimum and maximum hold."""
    from paas.requests.autoscale import PauseAutoscale

    _told(ask(PauseAutoscale(app=app_of(app), process=process)), as_json)


def resume(process: ProcessArgument = "web", app: AppOption = "", as_json: JsonOption = False) -> None:
    """Follow the rules again."""
    from paas.requests.autoscale import PauseAutoscale

    _told(ask(PauseAutoscale(app=app_of(app), process=process, paused=False)), as_json)


def list_rules(app: AppOption = "", as_json: JsonOption = False) -> None:
    """Show the rules that hold, where they come from, and the last decision."""
    from paas.requests.autoscale import ListAutoscale

    _told(ask(ListAutoscale(app=app_of(app))), as_json)


def explain(
    process: Annotated[str, typer.Argument(metavar="[PROCESS]", help="Only this one.")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="N", min=1, max=500, help="How many.")] = 10,
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Tell the last decisions that changed something or were held back, with the samples that led to them."""
    from paas.requests.autoscale import ExplainAutoscale

    answer = ask(ExplainAutoscale(app=app_of(app), process=process, limit=lines))
    if as_json:
        put_json(answer)
        return
    for one in answer["decisions"]:
        _explained(one)
    for line in troubled(answer["signals"]):
        say(line)
    if not answer["decisions"]:
        say("no decision changed anything yet; paas autoscale list shows the rules")


def _explained(one: dict[str, Any]) -> None:
    decision = one["decision"]
    moved = decision["wanted"] != decision["replicas"]
    count = f"{decision['replicas']} → {decision['wanted']}" if moved else f"{decision['replicas']} held"
    limits = f" [{', '.join(decision['limits'])}]" if decision["limits"] else ""
    put(f"{_clock(decision['at'])} {one['process']} {count}: {decision['why']}{limits}")
    if whole := one.get("summary"):  # an older server sends none
        ranges = "  ".join(
            f"{name} {found['lowest']:.3g} to {found['highest']:.3g}, {found['average']:.3g} on average"
            for name, found in _shown(decision, whole["values"])
        )
        put(f"    {whole['count']} samples in {whole['seconds']:g} s  {ranges}; the last:")
    for sample in one["samples"]:
        values = "  ".join(f"{name} {value:.3g}" for name, value in _shown(decision, sample["values"]))
        put(f"    {_clock(sample['at'])} {sample['replicas']} replicas  {values}")


def _shown(decision: dict[str, Any], values: dict[str, Any]) -> list[tuple[str, Any]]:
    """What is told of a sample: some signals in any case, and those that the decision names."""
    return sorted((name, value) for name, value in values.items() if name in TOLD or name in decision["why"])


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


# --- what is given -------------------------------------------------------------------------------------------------


def _targets(texts: list[str] | None) -> dict[str, str] | None:
    """`cpu=70%` → {"cpu": "70%"}; `none` → {}; None: not given."""
    if texts is None:
        return None
    if texts == [NONE]:
        return {}
    found: dict[str, str] = {}
    for text in texts:
        metric, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not metric or not value:
            raise UsageError(f"{text!r} is no target", hint="METRIC=VALUE: cpu=70%, requests=40, p95=300ms")
        if metric in found:
            raise UsageError(f"{metric} is given twice", hint="one target a metric")
        found[metric] = value
    return found


def _tables(texts: list[str] | None, option: str) -> list[dict[str, Any]] | None:
    """`metric=p95; upper=1` → a table as in paas.toml, its numbers as numbers; `none` → no table."""
    if texts is None:
        return None
    return [] if texts == [NONE] else [key_values(text, option) for text in texts]


def key_values(text: str, option: str) -> dict[str, Any]:
    """`min=2; in_window=60s` → a table, its numbers as numbers. Raises UsageError."""
    found: dict[str, Any] = {}
    for part in text.split(";"):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not part.strip():
            continue
        if not equals or key in found:
            raise UsageError(f"{option}: {part.strip()!r} is no KEY=VALUE, or there twice", hint="KEY=VALUE;KEY=VALUE")
        found[key] = int(value) if value.isascii() and value.removeprefix("-").isdigit() else value
    return found


# --- what is shown -------------------------------------------------------------------------------------------------


def _told(answer: dict[str, Any], as_json: bool, *, empty: str = NO_RULES) -> None:
    if as_json:
        put_json(answer)
        return
    for warning in answer.get("warnings", ()):  # an older server sends none
        say(f"warning: {warning}")
    table(
        ["process", "replicas", "min", "max", "rules", "from", "state"],
        [_row(line) for line in answer["processes"]],
        empty=empty,
    )
    if answer["signals"]:
        put("")
        table(["signal", "value", "read", "state"], [_signal(one) for one in answer["signals"]])
    for line in answer["processes"]:
        if last := line["last"]:
            say(f"{line['process']}: {ago(last['at'])} ago {last['replicas']} → {last['wanted']}: {last['why']}")


def _row(line: dict[str, Any]) -> tuple[object, ...]:
    from paas.model.scaling import written

    alone = " (one alone)" if line.get("pooled") else ""
    rules = [f"{metric}={written(metric, value)}{alone}" for metric, value in line["targets"].items()]
    rules += [_stepped(step) for step in line["steps"]]
    rules += [_scheduled(one) for one in line["schedules"]]
    state = [word for word, is_so in (("paused", line["paused"]), ("no scale-in", not line["scale_in"])) if is_so]
    state += [] if line["replicas"] else [f"stopped (paas scale {line['process']}=1)"]
    state += [f"bounds by {line['scheduled']}"] if line["scheduled"] else []
    origin = f"{line['origin']} ({line['actor']})" if line["actor"] else line["origin"]
    return (
        line["process"], line["replicas"], line["least"], line["most"], ", ".join(rules), origin,
        ", ".join(state) or "on",
    )  # fmt: skip


def _scheduled(one: dict[str, Any]) -> str:
    from paas.plan.alerts import lasting

    bounds = [f"{word} {one[name]}" for word, name in (("min", "least"), ("max", "most")) if one[name] is not None]
    length = f" for {lasting(one['lasts'])}" if one["lasts"] else ""
    return f"schedule {one['cron'] or one['at']} {one['time_zone']}: {' '.join(bounds)}{length}"


def _stepped(step: dict[str, Any]) -> str:
    from paas.model.scaling import written

    metric, upper, lower = step["metric"], step["upper"], step["lower"]
    more = f" over {written(metric, upper)}: +{step['add']}" if upper is not None else ""
    fewer = f" under {written(metric, lower)}: -{step['remove']}" if lower is not None else ""
    return f"{metric}{more}{fewer}"


def _signal(one: dict[str, Any]) -> tuple[object, ...]:
    value = "-" if one["value"] is None else f"{one['value']:.6g}"
    return one["name"], value, f"{ago(one['at'])} ago" if one["at"] else "-", _standing(one)


def _standing(one: dict[str, Any]) -> str:
    return f"{one['state']}: {one['why']}" if one["why"] else str(one["state"])


def troubled(signals: list[dict[str, Any]]) -> list[str]:
    """A line for each signal of the app's own that is not read as it should be, with the cause."""
    words = {"dead": "has no value", "failing": "failed; the value before it stands", "partial": "is read in part"}
    return [f"signal {one['name']} {words[one['state']]}: {one['why']}" for one in signals if one["state"] in words]
