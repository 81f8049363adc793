"""Alerts: numbers of an app that somebody wants to hear of once they have been beyond a bound for a while.

What is beyond is `plan/alerts.py`'s business. Told are the beginning and the end, each once, as events, which
notifications follow. What fires is kept, so a server that starts anew tells nothing twice; how long something that
does not fire yet has been beyond is not, so that time begins anew.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from paas.errors import NotFound, PaasError
from paas.model.alert import Alert, Firing, Standing
from paas.model.app import App, Release, ReleaseStatus
from paas.model.events import Event
from paas.plan import alerts
from paas.requests.alerts import ListAlerts
from paas.usecases.context import Act, Context

log = logging.getLogger("paas.alerts")

PERIOD = 5.0
"""Seconds between two looks."""
HOLDER = "alerts"

Key = tuple[str, str]
"""App id and name of the alert."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLine:
    """One alert. `state` is ok, pending (beyond its bound, not for long enough), firing, or silent (no metrics).
    `since` is when a firing one went beyond (Unix seconds, else 0). `value` as in `paas metrics`."""

    name: str
    metric: str
    process: str
    above: float | None
    below: float | None
    lasts: float
    state: str
    value: float | None
    since: float


def list_alerts(context: Context, request: ListAlerts, act: Act) -> tuple[AlertLine, ...]:
    """Those of the release that serves, in the order of the file. Raises NotFound."""
    app = context.store.app(request.app)
    release = _serving(context, app)
    firing = {one.name: one.since for one in context.store.firings(app.id)}
    return tuple(_line(context, app, alert, firing.get(alert.name)) for alert in (release.alerts if release else ()))


def _line(context: Context, app: App, alert: Alert, since: float | None) -> AlertLine:
    found = _value(context, app.id, alert)
    now = alerts.judged(alert, Standing(), found, context.clock.now())
    state = "silent" if found is None else "ok" if now.since is None else "pending"
    return AlertLine(
        name=alert.name, metric=alert.metric, process=alert.process, above=alert.above, below=alert.below,
        lasts=alert.lasts, state=state if since is None else "firing", value=found, since=since or 0.0,
    )  # fmt: skip


@dataclass(slots=True)
class AlertWatch:
    """One per server; a call looks at every alert."""

    context: Context
    _standings: dict[Key, tuple[Alert, Standing]] = field(default_factory=dict)
    _releases: dict[str, Release] = field(default_factory=dict)

    def __call__(self) -> None:
        """Judge every alert, and tell what began and what is over."""
        store, now = self.context.store, self.context.clock.now()
        firing = {(one.app_id, one.name): one for one in store.firings()}
        apps = {app.id: app for app in store.apps()}
        standings: dict[Key, tuple[Alert, Standing]] = {}
        for app, alert in self._declared(apps):
            key = (app.id, alert.name)
            known, before = self._standings.get(key, (None, Standing()))
            if known != alert:  # what another bound came to says nothing of this one
                before = _known(firing.get(key), now)
            standing = alerts.judged(alert, before, _value(self.context, app.id, alert), now)
            standings[key] = (alert, standing)
            self._tell(app, alert, firing.get(key), standing)
        self._standings = standings
        for key, one in firing.items():
            if key not in standings and key[0] in self._releases:
                self._over(apps[key[0]], one, "it is declared no more")

    def _declared(self, apps: dict[str, App]) -> Iterator[tuple[App, Alert]]:
        """By the release that serves; while another one takes over, by that which did."""
        self._releases = {app_id: one for app_id, one in self._releases.items() if app_id in apps}
        for app in apps.values():
            known = self._releases.get(app.id)
            if known is None or known.number != app.wanted:
                known = self._read(app) or known
            if known is not None:
                self._releases[app.id] = known
                yield from ((app, alert) for alert in known.alerts)

    def _read(self, app: App) -> Release | None:
        """One that cannot be read keeps no other app from its look."""
        try:
            return _serving(self.context, app)
        except PaasError as error:
            log.debug("%s: its release cannot be read: %s", app.name, error.message)
            return None

    def _tell(self, app: App, alert: Alert, told: Firing | None, now: Standing) -> None:
        if now.firing and told is None and now.value is not None:
            words = f"{alert.metric} of {alert.process} is {alerts.amount(alert.metric, now.value)}"
            bound = f"{alerts.bound(alert, now.value)} for {alerts.lasting(alert.lasts)}"
            if _event(self.context, app, "alert.fired", f"alert {alert.name}: {words}, {bound}", _data(alert, now)):
                self.context.store.put_firing(Firing(app_id=app.id, name=alert.name, since=now.since or 0.0))
        elif told is not None and not now.firing:
            known = now.value is not None
            why = f"{alert.metric} of {alert.process} is {alerts.amount(alert.metric, now.value or 0.0)}"
            self._over(app, told, why if known else "there are no metrics any more", _data(alert, now))

    def _over(self, app: App, told: Firing, why: str, data: dict[str, object] | None = None) -> None:
        if _event(self.context, app, "alert.ended", f"alert {told.name} is over: {why}", data or {"alert": told.name}):
            self.context.store.delete_firing(app.id, told.name)


def _known(firing: Firing | None, now: float) -> Standing:
    """Where one begins that is looked at for the first time since the start."""
    return Standing(seen=now) if firing is None else Standing(since=firing.since, firing=True, seen=now)


def _value(context: Context, app_id: str, alert: Alert) -> float | None:
    return alerts.value(alert, context.signals.recent(app_id, alert.process, alerts.window(alert)))


def _serving(context: Context, app: App) -> Release | None:
    if not app.wanted:
        return None
    try:
        release = context.store.release(app.id, app.wanted)
    except NotFound:
        return None
    return release if release.image and release.status is ReleaseStatus.SUCCEEDED else None


def _data(alert: Alert, now: Standing) -> dict[str, object]:
    return {"alert": alert.name, "metric": alert.metric, "process": alert.process, "value": now.value}


def _event(context: Context, app: App, kind: str, message: str, data: dict[str, object]) -> bool:
    """Whether it is kept; else the next look tries again."""
    event = Event(kind=kind, app=app.name, message=message, at=context.clock.now(), data=data)
    try:
        context.store.add_event(event, app_id=app.id, actor=HOLDER)
    except PaasError as error:
        log.warning("%s: %s could not be kept: %s", app.name, kind, error.message)
        return False
    return True
