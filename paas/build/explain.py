"""An inspection as text for people: which buildpack, which version, which command, and why, file by file. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from paas.build.detect import Examined, Inspection
from paas.model.build import Reason, Runtime


def text(inspection: Inspection, *, full: bool = False) -> str:
    """A few lines; with `full` the reasons and what every buildpack looked for. Ends with a line break."""
    return "\n".join([*_short(inspection), *(_full(inspection) if full else ())]) + "\n"


def data(inspection: Inspection) -> dict[str, Any]:
    """The same as JSON values, in a stable shape."""
    plan = inspection.plan
    return {
        "buildpack": plan.buildpack,
        "runtimes": {stage: _runtime_data(runtime) for stage, runtime in plan.runtimes.items()},
        "processes": {process.name: process.command for process in plan.processes},
        "port": plan.port,
        "dockerfile": plan.dockerfile,
        "reasons": [_reason_data(reason) for reason in plan.reasons],
        "warnings": list(plan.warnings),
        "examined": [
            {
                "buildpack": one.buildpack,
                "chosen": one.chosen,
                "looked_for": list(one.looked_for),
                "found": [_reason_data(reason) for reason in one.reasons],
            }
            for one in inspection.examined
        ],
    }


def _short(inspection: Inspection) -> Iterator[str]:
    plan = inspection.plan
    yield f"buildpack  {plan.buildpack}"
    for stage, runtime in plan.runtimes.items():
        note = " (to build)" if stage == "build" else ""
        yield f"runtime    {runtime.name} {runtime.version}{note}"
    width = max(len(process.name) for process in plan.processes)
    for index, process in enumerate(plan.processes):
        label = "processes" if index == 0 else ""
        yield f"{label:<10} {process.name:<{width}}  {process.command or '(what the image starts by itself)'}"
    if plan.port:
        yield f"port       {plan.port}"
    for warning in plan.warnings:
        yield f"warning    {warning}"


def _full(inspection: Inspection) -> Iterator[str]:
    yield ""
    yield "why"
    places = [_place(reason) for reason in inspection.plan.reasons]
    width = max((len(place) for place in places), default=0)
    for place, reason in zip(places, inspection.plan.reasons, strict=True):
        yield f"  {place:<{width}}  {reason.text}"
    yield ""
    yield "buildpacks, in the order they are asked"
    for one in inspection.examined:
        yield from _asked(one)


def _asked(one: Examined) -> Iterator[str]:
    mark = "→" if one.chosen else " "
    if one.reasons:
        found = ", ".join(dict.fromkeys(reason.file for reason in one.reasons))
        yield f"{mark} {one.buildpack:<10}  found {found}" + ("" if one.chosen else "; another one comes first")
    else:
        yield f"{mark} {one.buildpack:<10}  looked for {', '.join(one.looked_for)}"


def _place(reason: Reason) -> str:
    return f"{reason.file}:{reason.line}" if reason.line else reason.file or "-"


def _runtime_data(runtime: Runtime) -> Mapping[str, str]:
    return {
        "name": runtime.name,
        "version": runtime.version,
        "requested": runtime.requested,
        "source": runtime.source,
    }


def _reason_data(reason: Reason) -> Mapping[str, object]:
    return {"file": reason.file, "line": reason.line, "text": reason.text}
