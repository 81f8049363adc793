"""Settings → the wired platform. The only file that constructs a concrete engine, router, builder or store."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from inspect import signature
from typing import Any

from paas.clock import SystemClock
from paas.controller import Controller
from paas.egress import replicas
from paas.errors import ConfigError
from paas.images import DockerBuilder
from paas.loops import Loop, Loops
from paas.model.events import Emit
from paas.settings import Settings
from paas.signals.ring import Ring
from paas.stacks import build_env, choose
from paas.store.sql import SqlStore
from paas.usecases import (
    alerts,
    autoscaling,
    backup_watch,
    custom_signals,
    fetch,
    hook_receiver,
    notify,
    presence,
    repository,
    uploads,
)
from paas.usecases.addon_service import reconcile_addons
from paas.usecases.certificate_watch import CertificateWatch
from paas.usecases.clone import ClonesLeft
from paas.usecases.context import Context, Locks
from paas.usecases.custom_signals import CustomSignals
from paas.usecases.doctor import Check, checks
from paas.usecases.door import Door
from paas.usecases.operations import Operations
from paas.usecases.readings import Readings
from paas.usecases.review_watch import PERIOD as REVIEW_PERIOD
from paas.usecases.review_watch import ReviewWatch
from paas.usecases.sampling import Sampler
from paas.usecases.scheduler import Scheduler
from paas.usecases.sleep import PERIOD as SLEEP_PERIOD
from paas.usecases.sleep import Sleeper, listen, wake
from paas.usecases.switch import world
from paas.waker import Waker

TICK = 5.0
"""Seconds of the usual tick, which the periods of loops are chosen for."""


@dataclass(frozen=True, slots=True)
class Platform:
    """The parts of a running server. `start` once, `stop` at its end."""

    context: Context
    door: Door
    operations: Operations
    controller: Controller
    loops: Loops
    waker: Waker
    scheduler: Scheduler

    def start(self) -> None:
        """Tidy up after a server that was killed, then look after the apps."""
        fetch.clear(self.context.settings)
        repository.tidy(self.context.settings)
        self.operations.interrupt()
        self.scheduler.open()
        uploads.expire(self.context)
        self.waker.start()
        listen(self.context, self.waker)
        self.controller.start()
        self.loops.start()

    def stop(self, seconds: float = 30.0) -> None:
        """Look after nothing more, and give running operations `seconds` to end; what they leave is recovered."""
        self.loops.stop()
        self.controller.stop()
        self.operations.wait(seconds)
        self.waker.stop()


@dataclass(slots=True)
class AddonRepair:
    """Has every addon run; the first time it also mends what a killed server left half restored."""

    context: Context
    emit: Emit
    mend: bool = True

    def __call__(self) -> None:
        """One look at all addons."""
        mend, self.mend = self.mend, False
        reconcile_addons(self.context, self.emit, mend=mend)


def wire(
    settings: Settings, *, engine: str = "docker", router: str = "traefik", environ: Mapping[str, str] | None = None
) -> Platform:
    """The platform of these settings; nothing is started. Raises ConfigError, PlatformError.

    Engines and routers are found by entry point (`paas.engines`, `paas.routers`).
    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    clock = SystemClock()
    builder = DockerBuilder(settings)
    given = {"settings": settings, "clock": clock, "builder": builder}
    signals = Ring(settings.home, now=clock.now)
    context = Context(
        settings=settings,
        store=SqlStore.open(settings.home),
        engine=part("paas.engines", engine, **given),
        builder=builder,
        stack=choose(settings, builder),
        router=part("paas.routers", router, **given),
        clock=clock,
        locks=Locks(clock),
        build_env=build_env(os.environ if environ is None else environ),
        signals=signals,
        readings=Readings(clock),
    )
    door = Door.of(context)
    operations = Operations(door)
    repair = AddonRepair(context, operations.keep)
    controller = Controller(context, world(context), recover=operations.recover, repair_addons=repair)
    scheduler = Scheduler(context)
    waker = Waker(lambda app_id, ready: wake(context, app_id, ready=ready))
    sleeping = Loop("sleep", SLEEP_PERIOD, Sleeper(context, waker))
    cron = Loop("cron", scheduler.period, scheduler.step)
    own = CustomSignals(context, replicas.fetch)
    sampled = threading.Event()
    sampling = Loop("signals", settings.sample, Sampler(context, signals, own.values, sampled.set))
    # A decision that waited for its own turn would be made from what was measured up to a period before.
    scaling = Loop("autoscale", autoscaling.PERIOD, autoscaling.Autoscaler(context), sampled)
    reading = Loop("custom-signals", custom_signals.PERIOD, own)
    again = Loops((*loops(context, operations), cron, sleeping, sampling, scaling, reading))
    return Platform(
        context=context,
        door=door,
        operations=operations,
        controller=controller,
        loops=again,
        scheduler=scheduler,
        waker=waker,
    )


def loops(context: Context, operations: Operations) -> tuple[Loop, ...]:
    """What the platform does by itself beside the controller."""
    return (
        Loop("presence", presence.PERIOD, operations.door.review),
        Loop("certificates", often(context.settings, 60.0), CertificateWatch(context)),
        Loop("notifications", notify.PERIOD, notify.Notifier(context).step),
        Loop("backup-silence", backup_watch.PERIOD, backup_watch.BackupWatch(context)),
        Loop("deploy-hooks", hook_receiver.SECONDS, hook_receiver.Dispatcher(context, operations.start).step),
        Loop("clones", 10.0, ClonesLeft(context, operations.keep)),
        Loop("reviews", often(context.settings, REVIEW_PERIOD), ReviewWatch(context)),
        Loop("easing", 1.0, context.router.ease),
        Loop("alerts", alerts.PERIOD, alerts.AlertWatch(context)),
    )


def often(settings: Settings, period: float) -> float:
    """So many seconds by the usual tick; who has the controller look more often has these look more often, too."""
    return period * min(1.0, max(0.2, settings.tick / TICK))


def examined(settings: Settings, *, build: bool) -> tuple[Check, ...]:
    """What the doctor finds without a server and without a store: for when the server is what does not start."""
    clock, builder = SystemClock(), DockerBuilder(settings)
    given = {"settings": settings, "clock": clock, "builder": builder}
    engine, router = part("paas.engines", "docker", **given), part("paas.routers", "traefik", **given)
    stack = choose(settings, builder)
    return checks(settings, engine, router, builder, stack, clock=clock, build_env=build_env(os.environ), build=build)


def part(group: str, name: str, **parts: object) -> Any:
    """What an entry point names, made from those of `parts` that its parameters ask for by name.

    Raises ConfigError listing the names there are.
    """
    found = {entry.name: entry for entry in entry_points(group=group)}
    if name not in found:
        raise ConfigError(f"no {name!r} among {group}", hint=f"installed: {', '.join(sorted(found))}")
    make = found[name].load()
    return make(**{key: parts[key] for key in signature(make).parameters if key in parts})
