"""Alerts on the platform of memory parts: told once when they begin, once when they are over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from paas.interfaces import Store
from paas.interfaces.signals import NoSignals
from paas.model.alert import Alert
from paas.model.app import ReleaseStatus
from paas.model.scaling import Sample
from paas.requests.alerts import ListAlerts
from paas.usecases.alerts import PERIOD, AlertWatch, list_alerts
from tests.unit.usecases.parts import Unreadable, parts

SLOW = Alert(name="slow", metric="p95", above=0.8, lasts=60.0)


class Now(NoSignals):
    """Every process is measured to be like this."""

    def __init__(self) -> None:
        self.values: dict[str, float] | None = {"p95": 0.1}

    def recent(self, app_id: str, process: str, seconds: float) -> tuple[Sample, ...]:
        return () if self.values is None else (Sample(at=0.0, replicas=1, values=self.values),)


class Lab:
    """An app with alerts."""

    def __init__(self, home: Path, *alerts: Alert) -> None:
        self.platform, self.now = parts(home), Now()
        self.context = replace(self.platform.context, signals=self.now)
        self.app = self.platform.app(web=1)
        self.platform.release(self.app)
        self.declare(*alerts)
        self.watch = AlertWatch(self.context)

    def declare(self, *alerts: Alert, status: ReleaseStatus = ReleaseStatus.SUCCEEDED) -> None:
        """A release with these alerts is wanted."""
        store = self.platform.store
        app = store.app(self.app.id)
        made = store.add_release(replace(store.release(app.id, app.wanted), alerts=alerts))
        store.save_release(replace(made, status=status))
        store.save_app(replace(app, wanted=made.number))

    def after(self, seconds: float, **values: float) -> list[str]:
        """What was told so far, once it has been like this for so long."""
        self.now.values = values or None
        for _ in range(int(seconds / PERIOD)):
            self.platform.clock.sleep(PERIOD)
            self.watch()
        return self.told()

    def told(self) -> list[str]:
        return [event.message for _, event in self.platform.store.events(self.app.id) if "alert." in event.kind]

    def state(self) -> str:
        (line,) = list_alerts(self.context, ListAlerts(app="shop"), self.platform.act)
        return line.state


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path, SLOW)


FIRED = "alert slow: p95 of web is 1.2 s, above 800 ms for 1 min"
ENDED = "alert slow is over: p95 of web is 300 ms"


def test_it_is_told_once_when_it_has_lasted_and_once_when_it_is_over(lab: Lab) -> None:
    assert lab.state() == "ok"
    assert lab.after(55, p95=1.2) == []
    assert lab.state() == "pending"
    assert lab.after(600, p95=1.2) == [FIRED]
    assert lab.state() == "firing"
    assert lab.after(60, p95=0.3) == [FIRED, ENDED]
    assert lab.state() == "ok"


def test_a_server_that_starts_anew_tells_nothing_twice_and_still_sees_the_end(lab: Lab) -> None:
    lab.after(120, p95=1.2)
    lab.watch = AlertWatch(lab.context)
    assert len(lab.after(120, p95=1.2)) == 1
    lab.watch = AlertWatch(lab.context)
    assert lab.after(PERIOD, p95=0.3)[1:] == [ENDED]


def test_while_a_deploy_goes_on_it_stays_as_it_is(lab: Lab) -> None:
    lab.after(120, p95=1.2)
    lab.declare(status=ReleaseStatus.PENDING)
    assert len(lab.after(60, p95=1.2)) == 1
    lab.watch = AlertWatch(lab.context)
    assert len(lab.after(60, p95=1.2)) == 1, "nor does a server that starts anew take it for gone"


def test_one_that_is_declared_no_more_is_over(lab: Lab) -> None:
    lab.after(120, p95=1.2)
    lab.declare()
    assert lab.after(PERIOD, p95=1.2)[1:] == ["alert slow is over: it is declared no more"]
    assert list_alerts(lab.context, ListAlerts(app="shop"), lab.platform.act) == ()


def test_without_metrics_it_is_over_after_a_while(lab: Lab) -> None:
    lab.after(120, p95=1.2)
    assert len(lab.after(290)) == 1
    assert lab.after(30)[1:] == ["alert slow is over: there are no metrics any more"]
    assert lab.state() == "silent"


def test_an_app_that_is_gone_is_no_trouble(lab: Lab) -> None:
    lab.after(120, p95=1.2)
    lab.platform.store.delete_app(lab.app.id)
    lab.platform.clock.sleep(PERIOD)
    lab.watch()
    assert lab.platform.store.firings() == ()


def test_another_bound_begins_to_count_anew(lab: Lab) -> None:
    lab.after(55, p95=1.2)
    lab.declare(replace(SLOW, above=1.0))
    assert lab.after(55, p95=1.2) == []
    assert lab.after(10, p95=1.2) == ["alert slow: p95 of web is 1.2 s, above 1 s for 1 min"]


def test_one_that_fires_is_judged_by_its_new_bound(lab: Lab) -> None:
    lab.after(120, p95=1.2)
    lab.declare(replace(SLOW, above=2.0))
    assert lab.after(5, p95=1.2)[1:] == ["alert slow is over: p95 of web is 1.2 s"]


def test_an_app_whose_release_cannot_be_read_keeps_no_other_from_its_look(lab: Lab) -> None:
    unread = lab.platform.app("a-first", "a0a0a0a0", web=1)
    lab.platform.release(unread)
    lab.watch.context = replace(lab.context, store=cast(Store, Unreadable(lab.platform.store, unread.id)))
    assert lab.after(65, p95=1.2) == [FIRED]
