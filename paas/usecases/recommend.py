"""Right-sizing: what was measured of each process → the proposal, and the commands that apply it. Changes nothing."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from paas.model.app import App, ProcessSpec
from paas.plan.recommend import MIB, RULES, Proposal, Use, propose
from paas.requests.recommend import RecommendSizes
from paas.usecases.apps import wanted_counts
from paas.usecases.autoscale import rules_of
from paas.usecases.context import Act, Context
from paas.usecases.processes import deployed

POINTS = 5000
"""Samples that are looked at, at most: two minutes each over a week, their peaks kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """A process as it is and as it would fit. `memory` bytes, `cpus` cores; 0: no limit. `kills` for memory in that
    time. `commands` apply the proposal; none: it fits, or too little is known, which `proposal.missing` says."""

    process: str
    memory: int
    cpus: float
    replicas: int
    kills: int
    proposal: Proposal
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """All processes of an app, measured between two moments (Unix seconds), and the head-room `rules` in words."""

    app: str
    since: float
    until: float
    rules: tuple[str, ...]
    processes: tuple[Sized, ...]


def recommend_sizes(context: Context, request: RecommendSizes, act: Act) -> Recommendation:
    """What would fit the wanted release. Raises NotFound, Conflict before the first deploy."""
    app = context.store.app(request.app)
    release = deployed(context, app)
    now = context.clock.now()
    since, counts, rules = now - request.last, wanted_counts(app, release), rules_of(context, app, release)
    kills = _kills(context, app, since)
    found = []
    for process in release.processes:
        if process.name != "release":
            use = Use(
                samples=context.signals.history(app.id, process.name, since, now, POINTS),
                limits=process.limits,
                replicas=counts.get(process.name, 0),
                kills=kills.get(process.name, 0),
                by_rules=process.name in rules,
            )
            found.append(_sized(app, process, use))
    return Recommendation(app=app.name, since=since, until=now, rules=RULES, processes=tuple(found))


def _sized(app: App, process: ProcessSpec, use: Use) -> Sized:
    proposal = propose(use)
    return Sized(
        process=process.name, memory=use.limits.memory, cpus=use.limits.cpus, replicas=use.replicas, kills=use.kills,
        proposal=proposal, commands=_commands(app, process.name, use, proposal),
    )  # fmt: skip


def _commands(app: App, process: str, use: Use, proposal: Proposal) -> tuple[str, ...]:
    limits = []
    if proposal.memory != use.limits.memory:
        limits += ["--memory", f"{proposal.memory // MIB}M"]
    if proposal.cpus != use.limits.cpus:
        limits += ["--cpus", f"{proposal.cpus:g}"]
    # More replicas fit the machine more easily once each is smaller.
    asked = [["paas", "limits", process, *limits, "--app", app.name]] if limits else []
    if proposal.replicas != use.replicas:
        asked.append(["paas", "scale", f"{process}={proposal.replicas}", "--app", app.name])
    return tuple(shlex.join(command) for command in asked)


def _kills(context: Context, app: App, since: float) -> dict[str, int]:
    """How often memory ran out since then, by process: under the limits of now, as far as releases tell."""
    began = max([since, *(one.created_at for one in context.store.releases(app.id, limit=20) if one.kind == "limits")])
    found: dict[str, int] = {}
    for _, event in context.store.events(app.id, limit=2000):
        if event.kind == "crash" and event.at >= began and event.data.get("oom"):
            process = str(event.data.get("process", ""))
            found[process] = found.get(process, 0) + 1
    return found
