"""Signals that apps declare: read in their own time, kept while fresh, and told when they cannot be had."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from paas.errors import PlatformError
from paas.interfaces import Store
from paas.model.app import App, Release, ReleaseStatus
from paas.model.autoscaling import Override
from paas.model.custom_signal import Combine, CustomSignal, Standing
from paas.model.metrics import Look, Series
from paas.model.scaling import Autoscale, Sample, TargetRule
from paas.model.sleep import Sleep
from paas.requests.addons import CreateAddon
from paas.requests.autoscale import SetAutoscale
from paas.usecases.addons import create_addon
from paas.usecases.autoscale import rules_of, set_autoscale
from paas.usecases.custom_signals import OF_DATABASES, OF_REPLICAS, CustomSignals
from paas.usecases.readings import TOLD
from paas.usecases.sampling import Sampler
from tests.unit.usecases.parts import Unreadable, parts

ON_DISK = True

WAITING = CustomSignal(name="waiting", path="/metrics", prometheus="waiting", period=10.0)
JOBS = CustomSignal(name="jobs", query="select 7")


@dataclass
class Web:
    """What replicas answer, by address; asked in which order."""

    answer: Callable[[str], bytes] = lambda address: b"waiting 3\n"
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    held: dict[str, threading.Event] = field(default_factory=dict)
    """Paths that answer when the event is set."""

    def __call__(self, address: str, host: str, path: str, *, limit: int, seconds: float) -> bytes:
        self.asked.append((address, host, path))
        if path in self.held:
            assert self.held[path].wait(20)
        return self.answer(address)


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for what threads do."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Lab:
    """An app that declares signals, and who reads them."""

    def __init__(self, home: Path, *signals: CustomSignal, replicas: int = 2) -> None:
        self.platform = parts(home)
        self.platform.engine.memory = 64 << 30
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


def test_an_app_whose_release_cannot_be_read_keeps_no_other_from_its_signals(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lab = Lab(tmp_path, WAITING)
    unread = lab.platform.app("a-first", "a0a0a0a0", web=1)
    lab.platform.release(unread)
    lab.signals.context = replace(lab.platform.context, store=cast(Store, Unreadable(lab.platform.store, unread.id)))
    assert lab.read(times=4) == {"waiting": 6.0}
    told = [one.getMessage() for one in caplog.records if "a-first" in one.getMessage()]
    assert told == ["a-first: its signals are not read, as its release cannot be: its config cannot be decrypted"]


def test_a_release_that_can_be_read_again_is_though_nothing_was_stored_meanwhile(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WAITING)
    lab.signals.context = replace(lab.platform.context, store=cast(Store, Unreadable(lab.platform.store, lab.app.id)))
    assert lab.read() == {}
    lab.signals.context = lab.platform.context
    assert lab.read() == {"waiting": 6.0}


def silent(lab: Lab, *numbers: int) -> None:
    """From now on these replicas do not answer; the others have 3 waiting."""
    (service,) = lab.platform.engine.observe(lab.app.id)
    addresses = {one.address for one in service.replicas if one.index in numbers}

    def answer(address: str) -> bytes:
        if address in addresses:
            raise PlatformError("GET /metrics: no answer in 3 s")
        return b"waiting 3\n"

    lab.web.answer = answer


def test_a_replica_that_does_not_answer_counts_as_the_others_do_and_is_named(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WAITING, replicas=3)
    silent(lab, 2)
    assert lab.read(times=TOLD) == {"waiting": 9.0}
    why = "1 of 3 replicas gave no number; web.2: GET /metrics: no answer in 3 s"
    assert lab.told() == [("signal.partial", f"signal waiting is read of some replicas alone: {why}")]
    silent(lab)
    lab.read()
    assert lab.told()[1:] == [("signal.works", "signal waiting can be read again")]


def test_when_fewer_than_half_answer_there_is_no_value_once_the_last_is_too_old(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WAITING, replicas=3)
    lab.read()
    silent(lab, 1, 3)
    assert lab.read() == {"waiting": 9.0}, "one answer that was lost blinds nobody"
    assert lab.read(times=2) == {}
    (found,) = lab.platform.context.readings.of(lab.app.id)
    assert found.state is Standing.DEAD
    assert found.why == "2 of 3 replicas gave no number; web.1: GET /metrics: no answer in 3 s"


def test_one_replica_with_nonsense_or_a_bug_of_ours_takes_no_value_from_the_others(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WAITING, replicas=4)
    answers = iter([b"waiting 1\n", b"nonsense", None, b"waiting 3\n"])

    def answer(address: str) -> bytes:
        given = next(answers)
        if given is None:
            raise RuntimeError("a bug")
        return given

    lab.web.answer = answer
    assert lab.read() == {"waiting": 8.0}


def test_replicas_that_take_all_the_time_there_is_leave_the_rest_unasked(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WAITING, replicas=30)

    def answer(address: str) -> bytes:
        lab.platform.clock.sleep(3.0)
        raise PlatformError("GET /metrics: no answer in 3 s")

    lab.web.answer = answer
    assert lab.read() == {}
    assert len(lab.web.asked) < 30


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
    why = "2 of 2 replicas gave no number; web.1: there is no waiting"
    assert lab.told() == [("signal.failed", f"signal waiting cannot be read: {why}")]
    lab.web.answer = lambda address: b"waiting 1\n"
    lab.read(times=2)
    assert lab.told()[1:] == [("signal.works", "signal waiting can be read again")]


def test_one_that_hangs_is_asked_once_and_holds_up_no_other(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WAITING, replace(WAITING, name="other", path="/other"))
    lab.web.held["/metrics"] = threading.Event()

    def read(times: int) -> bool:
        lab.signals()
        return len([one for one in lab.web.asked if one[2] == "/other"]) == 2 * times

    for number in range(1, 6):
        lab.platform.clock.sleep(10)
        until(partial(read, number))
    until(lambda: lab.signals.values(lab.app.id) == {"other": 6.0})
    assert len([one for one in lab.web.asked if one[2] == "/metrics"]) <= 2, "one replica each"
    lab.web.held["/metrics"].set()
    lab.signals.wait()
    assert lab.signals.values(lab.app.id) == {"other": 6.0, "waiting": 6.0}


def test_apps_take_turns_however_many_and_slow_the_signals_of_one_are(tmp_path: Path) -> None:
    lab = Lab(tmp_path, *(replace(WAITING, name=f"s{number}", path=f"/{number}") for number in range(10)), replicas=1)
    go_on, busy = threading.Event(), threading.Semaphore(0)

    def answer(address: str) -> bytes:
        busy.release()
        go_on.wait(20)
        return b"waiting 3\n"

    lab.web.answer = answer
    for number in range(OF_REPLICAS.most - 1):
        other = lab.platform.app(f"other-{number}", f"{number:08x}", web=1)
        lab.platform.release(other)
        store = lab.platform.store
        made = store.add_release(replace(store.release(other.id, store.app(other.id).wanted), signals=(WAITING,)))
        store.save_release(replace(made, status=ReleaseStatus.SUCCEEDED))
    lab.signals()
    for _ in range(OF_REPLICAS.most):
        assert busy.acquire(timeout=20)
    asked = [host for _, host, _ in list(lab.web.asked)]
    assert len(asked) == OF_REPLICAS.most
    assert asked.count("shop.internal") == 1, "one of each app comes before the second of any"
    lab.signals()
    assert len(lab.web.asked) == OF_REPLICAS.most, "no more at once than the bound"
    go_on.set()
    lab.signals.wait()
    lab.signals()
    lab.signals.wait()
    asked = [host for _, host, _ in list(lab.web.asked)]
    assert asked.count("shop.internal") == 1 + OF_REPLICAS.each, "who had to wait comes next, some at once"


def test_queries_of_one_app_are_few_at_once(tmp_path: Path) -> None:
    lab = Lab(tmp_path, *(replace(JOBS, name=f"q{number}") for number in range(5)))
    go_on, busy = threading.Event(), threading.Semaphore(0)
    create_addon(lab.platform.context, CreateAddon(kind="postgres", app="shop"), lab.platform.act)
    lab.declare(*(replace(JOBS, name=f"q{number}") for number in range(5)))

    def slow() -> None:
        busy.release()
        go_on.wait(20)

    lab.platform.engine.during_exec = slow
    lab.platform.clock.sleep(20)
    lab.signals()
    for _ in range(OF_DATABASES.each):
        assert busy.acquire(timeout=20)
    lab.signals()
    assert not busy.acquire(timeout=0.2)
    go_on.set()
    lab.signals.wait()


def test_a_process_that_is_scaled_to_0_is_not_asked_and_is_no_trouble(tmp_path: Path) -> None:
    lab = Lab(tmp_path, WAITING, JOBS, replicas=1)
    lab.read()
    store = lab.platform.store
    store.save_app(replace(store.app(lab.app.id), formation={"web": 0}))
    asked = len(lab.web.asked)
    assert lab.read(times=5) == {}
    assert len(lab.web.asked) == asked
    assert [kind for kind, message in lab.told() if "waiting" in message] == []
    found = {one.name: one for one in lab.platform.context.readings.of(lab.app.id)}
    assert (found["waiting"].state, found["waiting"].why) == (Standing.OFF, "web is scaled to 0")
    assert found["jobs"].state is Standing.DEAD, "a query asks no process"
    store.save_app(replace(store.app(lab.app.id), formation={"web": 1}))
    assert lab.read(apart=1.0) == {"waiting": 3.0}, "at once, not after a period"


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
    assert lab.told() == [
        ("signal.failed", "signal jobs cannot be read: no addon of it answers a SQL query: it has none")
    ]
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
