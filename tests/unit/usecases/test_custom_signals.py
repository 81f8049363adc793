"""Signals that apps declare: read in their own time, kept while fresh, and told when they cannot be had."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from paas.errors import PlatformError
from paas.model.app import App, Release, ReleaseStatus
from paas.model.autoscaling import Override
from paas.model.custom_signal import Combine, CustomSignal
from paas.model.metrics import Look, Series
from paas.model.scaling import Autoscale, Sample, TargetRule
from paas.model.sleep import Sleep
from paas.requests.addons import CreateAddon
from paas.requests.autoscale import SetAutoscale
from paas.usecases.addons import create_addon
from paas.usecases.autoscale import rules_of, set_autoscale
from paas.usecases.custom_signals import TOLD, CustomSignals
from paas.usecases.sampling import Sampler
from tests.unit.usecases.parts import parts

WAITING = CustomSignal(name="waiting", path="/metrics", prometheus="waiting", period=10.0)
JOBS = CustomSignal(name="jobs", query="select 7")


@dataclass
class Web:
    """What replicas answer, by address; asked in which order."""

    answer: Callable[[str], bytes] = lambda address: b"waiting 3\n"
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, address: str, host: str, path: str, *, limit: int, seconds: float) -> bytes:
        self.asked.append((address, host, path))
        return self.answer(address)


class Lab:
    """An app that declares signals, and who reads them."""

    def __init__(self, home: Path, *signals: CustomSignal, replicas: int = 2) -> None:
        self.platform = parts(home)
        self.app: App = self.platform.app(web=replicas)
        self.platform.release(self.app)
        self.declare(*signals)
        self.web = Web()
        self.signals = CustomSignals(self.platform.context, self.web)

    def declare(self, *signals: CustomSignal) -> Release:
        store = self.platform.store
        made = store.add_release(replace(store.release(self.app.id, store.app(self.app.id).wanted), signals=signals))
        done = replace(made, status=ReleaseStatus.SUCCEEDED)
        store.save_release(done)
        return done

    def read(self, times: int = 1, apart: float = 10.0) -> dict[str, float]:
        for _ in range(times):
            self.platform.clock.sleep(apart)
            self.signals()
            self.signals.wait()
        return self.signals.values(self.app.id)

    def told(self) -> list[tuple[str, str]]:
        events = self.platform.store.events(self.app.id)
        return [(event.kind, event.message) for _, event in events if event.kind.startswith("signal.")]


def test_every_healthy_replica_is_asked_at_its_own_address(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WAITING)
    assert lab.read() == {"waiting": 6.0}
    (service,) = lab.platform.engine.observe(lab.app.id)
    asked = {(one.address, "shop.internal", "/metrics") for one in service.replicas}
    assert set(lab.web.asked) == asked
    assert len(asked) == 2


@pytest.mark.parametrize(("how", "value"), [(Combine.AVERAGE, 2.0), (Combine.MAXIMUM, 3.0)])
def test_replicas_are_combined_as_the_app_says(tmp_path: Path, how: Combine, value: float) -> None:
    lab = Lab(tmp_path, replace(WAITING, combine=how))
    answers = iter([b"waiting 1\n", b"waiting 3\n"])
    lab.web.answer = lambda address: next(answers)
    assert lab.read() == {"waiting": value}


def test_another_port_is_asked_where_one_is_said(tmp_path: Path) -> None:
    lab = Lab(tmp_path, replace(WAITING, port=9100), replicas=1)
    lab.read()
    assert lab.web.asked[0][0].endswith(":9100")


def test_a_replica_that_does_not_answer_leaves_no_sum_and_the_last_value_is_soon_too_old(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WAITING)
    lab.read()

    def answer(address: str) -> bytes:
        if address == lab.web.asked[0][0]:
            raise PlatformError("GET /metrics: no answer in 3 s")
        return b"waiting 3\n"

    lab.web.answer = answer
    assert lab.read() == {"waiting": 6.0}, "one answer that was lost blinds nobody"
    assert lab.read(times=2) == {}


@pytest.mark.parametrize("answer", [b"", b"waiting NaN\n", b"waiting {{{\n", b"\xff", b"x" * 2_000_000])
def test_what_is_no_number_is_no_value(tmp_path: Path, answer: bytes) -> None:
    lab = Lab(tmp_path, WAITING)
    lab.web.answer = lambda address: answer
    assert lab.read(times=3) == {}


def test_a_signal_that_fails_is_told_once_with_the_reason_and_once_when_it_works(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WAITING)
    lab.web.answer = lambda address: b"other 1\n"
    lab.read(times=TOLD - 1)
    assert lab.told() == []
    lab.read(times=5)
    assert lab.told() == [("signal.failed", "signal waiting cannot be read: there is no waiting")]
    lab.web.answer = lambda address: b"waiting 1\n"
    lab.read(times=2)
    assert lab.told()[1:] == [("signal.works", "signal waiting can be read again")]


def test_one_that_hangs_is_asked_once_and_holds_up_no_other(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WAITING, replace(WAITING, name="other", path="/other"))
    go_on = threading.Event()

    def answer(address: str) -> bytes:
        if lab.web.asked[-1][2] == "/metrics":
            go_on.wait(20)
        return b"waiting 3\n"

    lab.web.answer = answer
    for _ in range(5):
        lab.platform.clock.sleep(10)
        lab.signals()
    assert len([one for one in lab.web.asked if one[2] == "/metrics"]) <= 2, "one replica each"
    go_on.set()
    lab.signals.wait()
    assert lab.signals.values(lab.app.id) == {"waiting": 6.0, "other": 6.0}


def test_nothing_is_asked_before_its_period_is_over_nor_of_an_app_that_sleeps(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WAITING, replicas=1)
    lab.read(times=10, apart=1.0)
    assert len(lab.web.asked) == 1
    lab.platform.store.put_sleep(Sleep(app_id=lab.app.id, after=60.0, asleep=True))
    lab.read(times=3)
    assert len(lab.web.asked) == 1


def test_what_is_declared_no_more_is_forgotten(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WAITING)
    lab.read()
    lab.declare()
    assert lab.read() == {}


def test_a_database_is_asked_as_the_app_without_a_shell(tmp_path: Path) -> None:
    lab = Lab(tmp_path, JOBS)
    assert lab.read(times=TOLD, apart=20.0) == {}
    assert lab.told() == [("signal.failed", "signal jobs cannot be read: say which addon: it has none")]
    create_addon(lab.platform.context, CreateAddon(kind="postgres", app="shop"), lab.platform.act)
    lab.declare(JOBS)
    lab.read(times=2, apart=20.0)
    assert any(call.startswith("exec addon.") for call in lab.platform.engine.calls)
    # The engine in memory answers with the command: no number.
    assert lab.signals.values(lab.app.id) == {}


def test_a_database_that_is_not_attached_is_named(tmp_path: Path) -> None:
    lab = Lab(tmp_path, replace(JOBS, addon="REPORTS"))
    lab.read(times=TOLD, apart=20.0)
    assert lab.told()[0][1].endswith("there is no addon REPORTS: it has none")


def test_sampling_keeps_them_with_the_samples_of_every_process(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WAITING)
    lab.read()
    kept: dict[Series, Sample] = {}

    class Kept:
        def add(self, samples: dict[Series, Sample], look: Look | None = None) -> None:
            kept.update(samples)

    Sampler(lab.platform.context, Kept(), lab.signals.values)()  # type: ignore[arg-type]
    assert kept[Series(lab.app.id, "web")].values["waiting"] == 6.0
    assert "waiting" not in kept[Series(lab.app.id, "web.1")].values


def test_rules_know_how_the_signals_of_the_release_are_combined(tmp_path: Path) -> None:
    lab = Lab(tmp_path, replace(WAITING, combine=Combine.AVERAGE))
    context, store = lab.platform.context, lab.platform.store
    with pytest.raises(Exception, match="did you mean waiting"):
        set_autoscale(context, SetAutoscale(app="shop", table={"targets": {"wating": 3}}), lab.platform.act)
    set_autoscale(context, SetAutoscale(app="shop", table={"targets": {"waiting": 3}}), lab.platform.act)
    release = store.release(lab.app.id, store.app(lab.app.id).wanted)
    (rule,) = rules_of(context, lab.app, release)["web"].rules
    assert rule == TargetRule(metric="waiting", target=3.0, declared="average")
    assert (rule.signal.average, rule.signal.shared) == (True, False)
    lab.declare(WAITING)
    release = store.release(lab.app.id, store.app(lab.app.id).wanted)
    rules = Autoscale(rules=(TargetRule(metric="waiting", target=3.0),))
    store.put_override(Override(app_id=lab.app.id, process="web", at=1.0, actor="ann", rules=rules))
    assert rules_of(context, lab.app, release)["web"].rules[0].signal.shared
