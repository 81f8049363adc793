"""What a release looks like: build plan, manifest and the release before it come together. Pure.

The rule for each fact: the manifest says → it counts; it does not → what was set by command stays; else the default.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from paas.errors import ConfigError
from paas.model import names, schedule
from paas.model.alert import Alert
from paas.model.app import App, ProcessSpec, Release
from paas.model.build import BuildPlan, Process
from paas.model.cron import CronJob
from paas.model.custom_signal import CustomSignal
from paas.model.manifest import Manifest, ProcessOptions
from paas.model.reviews import Cap
from paas.model.secret import Secret
from paas.model.service import HealthCheck, HealthKind, Limits

DEFAULT_PORT = 8000
WEB_HEALTH = HealthCheck(kind=HealthKind.HTTP, path="/", max_status=499)
"""Any answer below 500: it only proves that the app itself answers. Servers listen before they have loaded the app."""
RUNNING = HealthCheck(kind=HealthKind.RUNNING)
NOT_SAID = ProcessOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a source wants of its release: the build plan and the manifest it came with."""

    plan: BuildPlan
    manifest: Manifest = Manifest()


def reviewed(shape: Shape, cap: Cap, *, fork: bool = False) -> Shape:
    """What the source of a review app may want: its processes within the cap, no hosts (they are its parent's), no
    scheduled jobs (they would run once more in each), no autoscaling. A stranger's (`fork`) has at most the defaults
    where no cap says otherwise."""
    usual = Limits() if fork else Limits(memory=0, cpus=0.0, pids=0)
    most = replace(usual, memory=cap.memory or usual.memory, cpus=cap.cpus or usual.cpus)
    said = shape.manifest.processes
    named = {process.name for process in shape.plan.processes or (Process("web"),)} | said.keys()
    capped = {name: _capped(said.get(name, NOT_SAID), cap.replicas, most, web=name == "web") for name in named}
    return replace(shape, manifest=replace(shape.manifest, processes=capped, domains=(), cron=()))


def _capped(options: ProcessOptions, replicas: int, most: Limits, *, web: bool) -> ProcessOptions:
    started = options.replicas if options.replicas is not None else int(web)
    return replace(
        options,
        replicas=min(started, replicas),
        memory=_least(options.memory, Limits().memory, most.memory),
        cpus=_least(options.cpus, Limits().cpus, most.cpus),
        pids=_least(options.pids, Limits().pids, most.pids),
        autoscale=None,
    )


def ended(manifest: Manifest, now: float) -> tuple[str, ...]:
    """A warning for each schedule whose one time is over. No error, as it is by command: what was right when it was
    written has to deploy again, by a rollback's source or in a branch."""
    return tuple(
        f"{schedule.name(one)} of {name} has ended: it never fires again"
        for name, options in manifest.processes.items()
        for one in (options.autoscale.schedules if options.autoscale else ())
        if schedule.over(one, now)
    )


def _least(said: Any, default: float, most: float) -> Any:
    """What counts where at most so much may be said (0: anything may). To say 0 is to say: no limit."""
    if not most:
        return said
    return min(default if said is None else said, most) or most


def processes(shape: Shape, base: Release) -> tuple[ProcessSpec, ...]:
    """The process types in the order of the source; a source that names none has a `web`, the image's own command."""
    named = shape.plan.processes or (Process("web"),)
    return tuple(_process(process.name, process.command, shape.manifest, base) for process in named)


def _process(name: str, command: str, manifest: Manifest, base: Release) -> ProcessSpec:
    options = manifest.processes.get(name, NOT_SAID)
    before = base.process(name)
    limits = before.limits if before else Limits()
    return ProcessSpec(
        name=names.process_name(name),
        command=command,
        limits=Limits(
            memory=limits.memory if options.memory is None else options.memory,
            cpus=limits.cpus if options.cpus is None else options.cpus,
            pids=limits.pids if options.pids is None else options.pids,
        ),
        health=options.health or (WEB_HEALTH if name == "web" else RUNNING),
        stop_grace=30.0 if options.stop_grace is None else options.stop_grace,
        autoscale=options.autoscale,
    )


def formation(shape: Shape, app: App, wanted: tuple[ProcessSpec, ...], *, first: bool) -> dict[str, int]:
    """Replicas per process type. What was scaled by command stays; a new process type starts with what the manifest
    says, else one `web`, of others that are scaled by rules their minimum, and none of the rest."""
    found = dict(app.formation)
    for process in wanted:
        if process.name == "release":
            continue
        said = shape.manifest.processes.get(process.name, NOT_SAID).replicas
        if first or process.name not in found:
            found[process.name] = process.start(said)
    return found


def port(shape: Shape, exposed: tuple[int, ...] = ()) -> int:
    """What `web` listens on as $PORT: said, or the one port the image EXPOSEs (own Dockerfile, image), or 8000."""
    said = shape.manifest.port or shape.plan.port
    if said:
        return said
    return exposed[0] if len(exposed) == 1 else DEFAULT_PORT


def config(
    manifest: Manifest, base: Release, generate: Callable[[], str] = lambda: secrets.token_urlsafe(32)
) -> dict[str, Secret]:
    """The base's config, with the manifest's defaults and generated secrets for what it asks for and has not yet."""
    found = dict(base.config)
    for key, asked in manifest.env.items():
        if key in found:
            continue
        if asked.value is not None:
            found[key] = Secret(names.config_value(names.config_key(key), asked.value))
        elif asked.generate:
            found[names.config_key(key)] = Secret(generate())
    return found


def missing(manifest: Manifest, base: Release) -> Mapping[str, str]:
    """What the app requires and nobody has set: key → description."""
    return {key: manifest.env[key].description for key in requires(manifest) if key not in base.config}


def requires(manifest: Manifest) -> tuple[str, ...]:
    """The config vars that somebody must set: no deploy gives them a value."""
    needed = (key for key, asked in manifest.env.items() if asked.required and asked.value is None)
    return tuple(sorted(key for key in needed if not manifest.env[key].generate))


def domains(manifest: Manifest, base: Release) -> tuple[str, ...]:
    """The base's domains and the manifest's."""
    return tuple(dict.fromkeys((*base.domains, *(names.host_name(host) for host in manifest.domains))))


def cron(manifest: Manifest, known: tuple[ProcessSpec, ...]) -> tuple[CronJob, ...]:
    """The scheduled jobs, as the source has them. Raises ConfigError for one of a process that there is not."""
    there = sorted(process.name for process in known)
    for job in manifest.cron:
        if job.process and job.process not in there:
            where = f"paas.toml: cron {job.name}: process"
            raise ConfigError(f"there is no process {job.process!r}", where=where, hint=f"it has: {', '.join(there)}")
    return manifest.cron


def signals(manifest: Manifest, known: tuple[ProcessSpec, ...]) -> tuple[CustomSignal, ...]:
    """The app's own signals, as the source has them. Raises ConfigError for one of a process that there is not."""
    there = sorted(process.name for process in known if process.name != "release")
    for signal in manifest.signals:
        if signal.path and signal.process not in there:
            where = f"paas.toml: signals.{signal.name}.process"
            raise ConfigError(
                f"there is no process {signal.process!r}", where=where, hint=f"it has: {', '.join(there)}"
            )
    return manifest.signals


def alerts(manifest: Manifest, known: tuple[ProcessSpec, ...]) -> tuple[Alert, ...]:
    """The alerts, as the source has them. Raises ConfigError for one of a process that there is not."""
    there = sorted(process.name for process in known if process.name != "release")
    for alert in manifest.alerts:
        if alert.process not in there:
            where = f"paas.toml: alerts.{alert.name}.process"
            raise ConfigError(f"there is no process {alert.process!r}", where=where, hint=f"it has: {', '.join(there)}")
    return manifest.alerts


def timed(release: Release, manifest: Manifest) -> Release:
    """`release` with the manifest's drain, deploy and release timeouts, and the defaults for what it does not say."""
    standard: dict[str, Any] = {field.name: field.default for field in fields(Release)}

    def seconds(name: str, said: float | None) -> float:
        return float(standard[name] if said is None else said)

    return replace(
        release,
        drain=seconds("drain", manifest.drain),
        deploy_timeout=seconds("deploy_timeout", manifest.deploy_timeout),
        release_timeout=seconds("release_timeout", manifest.release_timeout),
    )
