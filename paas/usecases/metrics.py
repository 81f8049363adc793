"""What was measured, for people and for Prometheus. Measures nothing itself: see `sampling.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import paas
from paas.errors import NotFound
from paas.model.custom_signal import Reading
from paas.model.metrics import ABSOLUTE, BOOT, STATUS
from paas.model.scaling import SIGNALS, Sample
from paas.plan import exposition
from paas.requests.metrics import ScrapeMetrics, ShowMetrics
from paas.usecases.context import Act, Context

UNITS: Mapping[str, str] = {
    **{name: signal.unit.removesuffix(" per replica") for name, signal in SIGNALS.items()},
    **dict.fromkeys(STATUS, "answers/s"),
    **ABSOLUTE,
    BOOT: "s",
}
"""The unit of each value of a sample; values of all replicas together where `model/scaling.py` says shared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Samples of one process or replica, oldest first. `name` is `web` or `web.1`."""

    name: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppMetrics:
    """Samples between two moments (Unix seconds), and the unit of each value in them. `measured` are all names there
    is something known of, `signals` those that the app declares, as they are now."""

    app: str
    since: float
    until: float
    units: Mapping[str, str]
    measured: tuple[str, ...]
    series: tuple[Measurements, ...]
    signals: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """An answer that is text, not JSON."""

    text: str
    media_type: str


def show_metrics(context: Context, request: ShowMetrics, act: Act) -> AppMetrics:
    """Samples of an app. Raises NotFound for a process that was never measured."""
    app = context.store.app(request.app)
    known = context.signals.names(app.id)
    if request.process and request.process not in known:
        raise NotFound(
            f"nothing was measured of {request.process!r} in {app.name}",
            hint=f"known are {', '.join(known)}" if known else "it is measured once it runs, every few seconds",
        )
    now = context.clock.now()
    names = [request.process] if request.process else [name for name in known if "." not in name]
    found = tuple(
        Measurements(name=name, samples=context.signals.history(app.id, name, now - request.last, now, request.points))
        for name in names
    )
    seen = dict.fromkeys(value for one in found for sample in one.samples for value in sample.values)
    return AppMetrics(
        app=app.name, since=now - request.last, until=now, units={name: _unit(name) for name in seen}, measured=known,
        series=found, signals=context.readings.of(app.id),
    )  # fmt: skip


def scrape_metrics(context: Context, request: ScrapeMetrics, act: Act) -> Page:
    """The page that Prometheus asks for, with the apps one may see."""
    names = {app.id: app.name for app in context.store.apps() if act.may(app.id)}
    text = exposition.text(
        context.signals.look(), context.signals.last(), names, version=paas.__version__, now=context.clock.now(),
        readings={app_id: context.readings.of(app_id) for app_id in names},
    )  # fmt: skip
    return Page(text, exposition.MEDIA_TYPE)


def _unit(name: str) -> str:
    return UNITS.get(name.removesuffix("_max"), "")
