"""Which rules a simulation goes by: those of a file, of the server, or written on the command line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paas.cli.autoscale_rules import key_values
from paas.cli.connection import ask
from paas.cli.target import app_of
from paas.errors import ConfigError, NotFound, UsageError

if TYPE_CHECKING:
    from paas.model.scaling import Autoscale, TargetRule
    from paas.plan.simulate import Trace

FILE, SERVER = "file", "server"
_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """Where rules are looked for: the app's folder, the process, and the app on the server (empty: the folder's)."""

    folder: Path
    process: str
    app: str


def given(place: Place, whose: str, texts: list[str]) -> Autoscale:
    """The rules of `--rules`, their targets those of `--rule` where there are any; without any, the default one."""
    if whose not in (FILE, SERVER):
        raise UsageError(f"--rules {whose}: there are {FILE} and {SERVER}")
    rules = _held(place) if whose == SERVER else _written(place.folder, place.process)
    return replace(rules, rules=tuple(_target(text, _own(place.folder)) for text in texts)) if texts else rules


def named(place: Place, text: str) -> Autoscale:
    """The rules of one `--against`: `file`, `server`, a path, or `min=2; cpu=70%`. Raises UsageError, ConfigError."""
    if text == SERVER:
        return _held(place)
    if text == FILE:
        return _written(place.folder, place.process)
    if "=" in text:
        return _inline(text, _own(place.folder))
    if not Path(text).exists():
        hint = f"{FILE}, {SERVER}, the path of a paas.toml, or KEY=VALUE;KEY=VALUE: min=2; max=8; cpu=70%"
        raise UsageError(f"--against {text}: there are no such rules", hint=hint)
    path = Path(text)
    return _written(path.parent if path.is_file() else path, place.process)


def bounded(rules: Autoscale, least: int | None, most: int | None) -> Autoscale:
    """The rules between the bounds of the options, and simulated at all. Raises UsageError."""
    least, most = (rules.least if least is None else least), (max(rules.most, least or 0) if most is None else most)
    rules = replace(rules, least=least, most=most)
    if least < 1 or rules.least > rules.most or rules.most > _LIMIT:
        raise UsageError(
            f"min {rules.least}, max {rules.most}: no number lies between", hint=f"1 ≤ --min ≤ --max ≤ {_LIMIT}"
        )
    _simulated(rules)
    return rules


def dated(rules: Autoscale, load: Trace) -> None:
    """Refuse schedules where the trace has seconds alone. Raises UsageError."""
    if rules.schedules and not load.dated:
        raise UsageError(
            "schedules fire at times of the day, and the trace has seconds from its start",
            hint="times such as 2026-11-23T08:00:00; or rules without schedules",
        )


def _written(folder: Path, process: str) -> Autoscale:
    """Those of paas.toml, or the default ones."""
    from paas.build import manifest
    from paas.build.files import Files
    from paas.model.scaling import DEFAULT, Autoscale

    if not folder.is_dir():
        raise NotFound(f"{folder} is no folder", hint="name the folder of the app")
    said = None
    if (folder / manifest.TOML).is_file():
        said = manifest.load(Files.of(folder)).processes.get(process)
    return said.autoscale if said and said.autoscale else Autoscale(rules=(DEFAULT,))


def _held(place: Place) -> Autoscale:
    """Those that hold on the server now, whoever set them. Raises NotFound where there are none."""
    from paas.requests.autoscale import ListAutoscale

    name = app_of(place.app)
    lines = ask(ListAutoscale(app=name))["processes"]
    line = next((one for one in lines if one["process"] == place.process), None)
    if line is None:
        raise NotFound(f"{name} {place.process} is not scaled by rules on the server", hint="paas autoscale list")
    return _rules(line)


def _rules(line: dict[str, Any]) -> Autoscale:
    """The rules of an answer."""
    from paas.model.scaling import Autoscale, ScheduleRule, Statistic, StepRule, TargetRule

    pooled = ("cpu",) if line.get("pooled") else ()
    targets = [
        TargetRule(metric=metric, target=value, pooled=metric in pooled) for metric, value in line["targets"].items()
    ]
    steps = [StepRule(**{**one, "statistic": Statistic(one["statistic"])}) for one in line["steps"]]
    alike = ("tolerance", "out_window", "in_window", "warm_up", "max_alarm", "scale_in", "paused")
    least, most = line["base"]
    return Autoscale(
        least=least, most=most, rules=(*targets, *steps),
        schedules=tuple(ScheduleRule(**one) for one in line["schedules"]), **{name: line[name] for name in alike},
    )  # fmt: skip


def _own(folder: Path) -> tuple[str, ...]:
    """The signals that the app in the folder declares: rules may name them, if only to be told what becomes of it."""
    from paas.build import manifest
    from paas.build.files import Files

    if not (folder / manifest.TOML).is_file():
        return ()
    return tuple(one.name for one in manifest.load(Files.of(folder)).signals)


def _inline(text: str, own: tuple[str, ...]) -> Autoscale:
    """`min=2; max=8; cpu=70%; in_window=60s`: keys of the table; what is none of them is a target."""
    from paas.build.autoscale import AutoscaleTable, consistent
    from paas.build.manifest import validated

    said = key_values(text, "--against")
    table = {key: value for key, value in said.items() if key in AutoscaleTable.model_fields}
    targets = {key: value for key, value in said.items() if key not in table}
    if targets:
        table["targets"] = targets
    try:
        return consistent(validated(AutoscaleTable, table, "--against", own)).rules()
    except ConfigError as error:
        raise UsageError(f"--against {text}: {error.message}", hint=error.hint) from None
    except ValueError as error:
        raise UsageError(f"--against {text}: {error}") from None


def _target(text: str, own: tuple[str, ...]) -> TargetRule:
    from paas.build.autoscale import target

    metric, found, value = text.partition("=")
    if not found:
        raise UsageError(f"{text!r} is no rule", hint="METRIC=TARGET: cpu=80%, requests=30, p95=400ms")
    try:
        return target(metric.strip(), value.strip(), own)
    except ValueError as error:
        raise UsageError(f"--rule {text}: {error}") from None


def _simulated(rules: Autoscale) -> None:
    """Refuse rules by what a trace of requests says nothing about: without one of its rules a set decides otherwise,
    and what came out would be true of nobody."""
    from paas.model.scaling import SIGNALS
    from paas.plan.simulate import SIMULATED

    for one in rules.rules:
        if one.metric not in SIMULATED:
            whose = "" if one.metric in SIGNALS else ", which only the app knows"
            raise UsageError(
                f"a trace of requests says nothing about {one.metric}{whose}: rules by it cannot be simulated",
                hint=f"simulated are {', '.join(SIMULATED)}; the bounds with other rules: --rule cpu=80%",
            )
