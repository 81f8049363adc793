"""Rules of autoscaling: which ones hold for a process, changing them by command, and telling what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from paas.build.autoscale import AutoscaleTable, answerable, consistent
from paas.build.manifest import validated
from paas.errors import ConfigError, PaasError, UsageError
from paas.model import schedule
from paas.model.app import App, Release
from paas.model.autoscaling import Override, Recorded
from paas.model.custom_signal import Reading
from paas.model.scaling import DEFAULT, Autoscale, Decision, Sample, ScheduleRule, StepRule, TargetRule
from paas.requests.autoscale import (
    ExplainAutoscale,
    ListAutoscale,
    PauseAutoscale,
    RecordedLoad,
    SetAutoscale,
    UnsetAutoscale,
)
from paas.usecases import room
from paas.usecases.apps import wanted_counts
from paas.usecases.context import Act, Context
from paas.usecases.switch import base_release

BY_FILE, BY_COMMAND = "paas.toml", "set by command"
SPARED = ("least", "most", "rules", "schedules", "paused")
"""Fields that are shown in words of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesLine:
    """The rules of one process. `origin` is `paas.toml` or `set by command`; `rules` and `schedules` are tables as in
    `paas.toml`. `least` and `most` are those of now, `scheduled` the schedule they come from (empty: none), `base`
    those without a schedule. `pooled`: the target of CPU is that of one replica alone (the default rule). Seconds."""

    process: str
    replicas: int
    origin: str
    least: int
    most: int
    scheduled: str
    targets: Mapping[str, float]
    steps: tuple[StepRule, ...]
    schedules: tuple[ScheduleRule, ...]
    tolerance: float
    out_window: float
    in_window: float
    warm_up: float
    max_alarm: float
    scale_in: bool
    paused: bool
    base: tuple[int, int]
    actor: str = ""
    at: float = 0.0
    last: Decision | None = None
    pooled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRules:
    """All processes of an app that are scaled by rules, and the signals that the app declares, as they are now.
    `warnings` are sentences about rules that were just set."""

    app: str
    processes: tuple[RulesLine, ...]
    signals: tuple[Reading, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Decisions of an app, oldest first, and the signals that it declares, as they are now."""

    app: str
    decisions: tuple[Recorded, ...]
    signals: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What was measured of a process, oldest first."""

    app: str
    process: str
    samples: tuple[Sample, ...]


def effective(release: Release, overrides: Sequence[Override]) -> dict[str, Autoscale]:
    """The rules that hold, by process: those set by command over those of the release. Processes without rules are
    not there."""
    found: dict[str, Autoscale] = {}
    for process in release.processes:
        if process.name == "release":
            continue
        override = next((one for one in overrides if one.process == process.name), None)
        rules = override.rules if override and override.rules else process.autoscale
        if rules and override and override.paused is not None:
            rules = replace(rules, paused=override.paused)
        if rules:
            found[process.name] = _declared(release, rules)
    return found


def _declared(release: Release, rules: Autoscale) -> Autoscale:
    """The rules, which know of the app's own signals how they are combined."""
    ways = {one.name: one.combine.value for one in release.signals}
    if not ways:
        return rules
    return replace(rules, rules=tuple(replace(one, declared=ways.get(one.metric, "")) for one in rules.rules))


def rules_of(context: Context, app: App, release: Release) -> dict[str, Autoscale]:
    """The rules that hold for an app's processes."""
    return effective(release, context.store.overrides(app.id))


def beyond_addresses(context: Context, app: App, rules: Mapping[str, Autoscale]) -> tuple[str, ...]:
    """A sentence for each process whose maximum is more than the addresses of the app's network will ever allow. It is
    no fault: fewer addons make it more. None while the Engine does not answer."""
    wanted = {name: max([one.most, *(at.most or 0 for at in one.schedules)]) for name, one in rules.items()}
    try:
        found = room.places(context, app.id) if wanted else None
    except PaasError:
        return ()
    return tuple(
        f"{name} will not reach its maximum of {most}: {found.in_words()}"
        for name, most in wanted.items()
        if found and most > found.most
    )


def resting(base: Release, coming: Release, counts: Mapping[str, int]) -> tuple[str, ...]:
    """A sentence for each process that gets its first rules with this release and has 0 replicas: rules leave it at
    that, which looks as if they did nothing."""
    known = {one.name for one in base.processes if not one.autoscale}
    return tuple(
        f"{one.name} has rules now and runs nothing: they begin with paas scale {one.name}=1"
        for one in coming.processes
        if one.autoscale and one.name in known and not counts.get(one.name)
    )


# --- the handlers --------------------------------------------------------------------------------------------------


def list_autoscale(context: Context, request: ListAutoscale, act: Act) -> AppRules:
    """The rules that hold; empty where nothing is scaled by rules."""
    app = context.store.app(request.app)
    return _shown(context, app)


def set_autoscale(context: Context, request: SetAutoscale, act: Act) -> AppRules:
    """Keep rules over those of the release. Raises UsageError naming what is wrong of them."""
    app, before = _process(context, request.app, request.process)
    own = tuple(one.name for one in base_release(context.store, app).signals)
    given = parsed(request.table, own)
    _never(request.process, given, context.clock.now())
    merged = _merged(before or Autoscale(rules=(DEFAULT,)), given, request.table)
    known = _override(context, app.id, request.process)
    paused = None if "paused" in request.table else known.paused if known else None
    override = Override(
        app_id=app.id, process=request.process, at=context.clock.now(), actor=act.actor, rules=merged, paused=paused
    )
    context.store.put_override(override)
    return replace(_shown(context, app), warnings=beyond_addresses(context, app, {request.process: merged}))


def unset_autoscale(context: Context, request: UnsetAutoscale, act: Act) -> AppRules:
    """What the release says holds again. Idempotent."""
    app, _ = _process(context, request.app, request.process)
    context.store.delete_override(app.id, request.process)
    return _shown(context, app)


def pause_autoscale(context: Context, request: PauseAutoscale, act: Act) -> AppRules:
    """Nothing but the bounds holds, or everything again. Raises UsageError where nothing is scaled by rules."""
    app, rules = _process(context, request.app, request.process)
    if rules is None:
        raise UsageError(
            f"{app.name} {request.process} is not scaled by rules", hint=f"paas autoscale set {request.process} --max 5"
        )
    known = _override(context, app.id, request.process)
    override = Override(
        app_id=app.id, process=request.process, at=context.clock.now(), actor=act.actor,
        rules=known.rules if known else None, paused=request.paused,
    )  # fmt: skip
    context.store.put_override(override)
    return _shown(context, app)


def explain_autoscale(context: Context, request: ExplainAutoscale, act: Act) -> Explained:
    """The last decisions that are kept."""
    app = context.store.app(request.app)
    decisions = context.store.decisions(app.id, request.process, request.limit)
    return Explained(app=app.name, decisions=decisions, signals=context.readings.of(app.id))


def recorded_load(context: Context, request: RecordedLoad, act: Act) -> Load:
    """The history of a process; empty where nothing was measured."""
    app = context.store.app(request.app)
    now = context.clock.now()
    samples = context.signals.history(app.id, request.process, now - request.seconds, now, request.points)
    return Load(app=app.name, process=request.process, samples=samples)


# --- rules that are given ------------------------------------------------------------------------------------------


def parsed(table: Mapping[str, Any], own: Sequence[str] = ()) -> Autoscale:
    """The rules of a table as in `paas.toml`, of an app that declares its `own` signals. Raises UsageError with the key
    and the rule it breaks."""
    try:
        found = validated(AutoscaleTable, table, "autoscale", own)
        return consistent(found).rules()
    except ConfigError as error:
        raise UsageError(error.message, hint=error.hint, details=error.details) from None
    except ValueError as error:
        raise UsageError(f"autoscale: {error}") from None


def _never(process: str, given: Autoscale, now: float) -> None:
    """Raise UsageError for what never has an effect."""
    try:
        answerable(process, given)
    except ValueError as error:
        raise UsageError(f"autoscale: {error}") from None
    if ended := next((one for one in given.schedules if schedule.over(one, now)), None):
        raise UsageError(f"{schedule.name(ended)} has ended: it never fires again", hint="a later at")


def _merged(before: Autoscale, given: Autoscale, table: Mapping[str, Any]) -> Autoscale:
    """`before`, with what the table says. Raises UsageError where both do not fit together."""
    trigger = table.get("trigger") or {}
    changes: dict[str, Any] = {
        name: getattr(given, name) for name in Autoscale.__slots__ if name in table and name not in SPARED
    }
    if "min" in table or "MinSize" in trigger:
        changes["least"] = given.least
    if "max" in table or "MaxSize" in trigger:
        changes["most"] = given.most
    if "schedule" in table:
        changes["schedules"] = given.schedules
    changes["paused"] = given.paused if "paused" in table else before.paused
    changes["rules"] = _rules(before, given, table)
    merged = replace(before, **changes)
    if merged.least > merged.most:
        raise UsageError(f"min ({merged.least}) is more than max ({merged.most})", hint="give both: --min and --max")
    if words := schedule.fight(merged.schedules):
        raise UsageError(words)
    return merged


def _rules(before: Autoscale, given: Autoscale, table: Mapping[str, Any]) -> tuple[TargetRule | StepRule, ...]:
    """Targets that are given replace all targets, steps all steps; without any rule CPU is followed."""
    chosen = given if "targets" in table else before
    targets = [one for one in chosen.rules if isinstance(one, TargetRule)] if chosen.rules else []
    if "targets" in table and not table["targets"]:
        targets = []
    chosen = given if "step" in table or "trigger" in table else before
    steps = [one for one in chosen.rules if isinstance(one, StepRule)]
    if steps and "targets" not in table and targets == [DEFAULT]:
        targets = []
    return (*targets, *steps) or (DEFAULT,)


def _process(context: Context, name: str, process: str) -> tuple[App, Autoscale | None]:
    """The app and the rules that hold for a process of it. Raises UsageError where the release has no such process."""
    app = context.store.app(name)
    release = base_release(context.store, app)
    known = [one.name for one in release.processes if one.name != "release"]
    if release.image and process not in known:
        raise UsageError(f"{app.name} has no process {process!r} that stays up", hint=f"it has: {', '.join(known)}")
    if process == "release":
        raise UsageError("release runs once and is not scaled")
    if not release.image:
        override = _override(context, app.id, process)
        return app, override.rules if override else None
    return app, rules_of(context, app, release).get(process)


def _override(context: Context, app_id: str, process: str) -> Override | None:
    return next((one for one in context.store.overrides(app_id) if one.process == process), None)


# --- what is shown -------------------------------------------------------------------------------------------------


def _shown(context: Context, app: App) -> AppRules:
    release = base_release(context.store, app)
    counts = wanted_counts(app, release)
    lines = [
        _line(context, app, process, rules, counts.get(process, 0))
        for process, rules in rules_of(context, app, release).items()
    ]
    return AppRules(app=app.name, processes=tuple(lines), signals=context.readings.of(app.id))


def _line(context: Context, app: App, process: str, rules: Autoscale, replicas: int) -> RulesLine:
    override = _override(context, app.id, process)
    least, most, scheduled = schedule.bounds(rules, context.clock.now())
    last = context.store.decisions(app.id, process, 1)
    return RulesLine(
        process=process, replicas=replicas, origin=BY_COMMAND if override and override.rules else BY_FILE,
        least=least, most=most, scheduled=scheduled,
        targets={one.metric: one.target for one in rules.rules if isinstance(one, TargetRule)},
        steps=tuple(one for one in rules.rules if isinstance(one, StepRule)), schedules=rules.schedules,
        tolerance=rules.tolerance, out_window=rules.out_window, in_window=rules.in_window, warm_up=rules.warm_up,
        max_alarm=rules.max_alarm, scale_in=rules.scale_in, paused=rules.paused, base=(rules.least, rules.most),
        actor=override.actor if override else "", at=override.at if override else 0.0,
        last=last[-1].decision if last else None, pooled=DEFAULT in rules.rules,
    )  # fmt: skip
