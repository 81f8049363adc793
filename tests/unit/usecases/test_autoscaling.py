"""The loop: what it does with decisions, on a platform in memory. Which number is right is tested in plan/."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from paas.clock import FakeClock
from paas.engines.memory import MemoryEngine
from paas.errors import Conflict, PlatformError
from paas.interfaces import NoSignals, Store
from paas.model.app import App, ProcessSpec, Release, ReleaseKind
from paas.model.autoscaling import Override, Protection, Recorded
from paas.model.custom_signal import CustomSignal
from paas.model.events import Event
from paas.model.scaling import Autoscale, Sample, ScheduleRule, StepRule, TargetRule
from paas.model.service import ServiceKey
from paas.model.sleep import Sleep
from paas.requests.autoscale import ExplainAutoscale
from paas.requests.config import ChangeConfig
from paas.requests.processes import Scale
from paas.usecases.autoscale import explain_autoscale
from paas.usecases.autoscaling import ANEW, BLIND, FIRST_WAIT, LONGEST_WAIT, PERIOD, Autoscaler
from paas.usecases.config import change_config
from paas.usecases.processes import scale
from paas.usecases.releases import change_release
from paas.usecases.sleep import wake
from tests.unit.usecases.parts import BAD, GOOD, HTTP, Parts, Unreadable, parts

RULES = Autoscale(least=1, most=6, rules=(TargetRule(metric="requests", target=10.0),))


MAIL = CustomSignal(name="mail", path="/m", prometheus="mail")
BY_MAIL = Autoscale(least=1, most=9, rules=(TargetRule(metric="mail", target=5.0),))


class Fed(NoSignals):
    """Signals that a test writes, `requests` per second for all replicas together."""

    def __init__(self, platform: Parts) -> None:
        self.platform = platform
        self.kept: list[Sample] = []

    def recent(self, app_id: str, process: str, seconds: float) -> tuple[Sample, ...]:
        since = self.platform.clock.now() - seconds
        return tuple(one for one in self.kept if one.at > since)

    def history(self, app_id: str, process: str, since: float, until: float, points: int = 0) -> tuple[Sample, ...]:
        return tuple(one for one in self.kept if since <= one.at <= until)


class Lab:
    """An app with rules, its load, and the loop."""

    def __init__(self, home: Path, rules: Autoscale = RULES, image: str = GOOD) -> None:
        made = parts(home)
        self.signals = Fed(made)
        self.platform = replace(made, context=replace(made.context, signals=self.signals))
        self.app = self.platform.app(web=1)
        self.deploy(rules)
        self.loop = Autoscaler(self.platform.context)
        self.patience = 30.0

    def deploy(
        self,
        rules: Autoscale | None,
        image: str = GOOD,
        signals: tuple[CustomSignal, ...] = (MAIL,),
        **others: Autoscale,
    ) -> Release:
        self.platform.builder.add("paas/shop:1", image, self.app.id)

        def change(base: Release) -> Release:
            web = ProcessSpec(name="web", command="run web", health=HTTP, autoscale=rules)
            more = [ProcessSpec(name=name, command="work", autoscale=one) for name, one in others.items()]
            return replace(base, image=image, image_ref="paas/shop:1", processes=(*more, web), signals=signals)

        return change_release(
            self.platform.context, self.app, self.platform.act, kind=ReleaseKind.DEPLOY, description="deploy",
            change=change,
        )  # fmt: skip

    def load(self, values: Mapping[str, float] | None, seconds: float) -> list[int]:
        """The counts after every look while this is what is measured; None: nothing is."""
        counts = []
        for _ in range(int(seconds / PERIOD)):
            self.platform.clock.sleep(PERIOD)
            if values is not None:
                self.signals.kept.append(Sample(self.platform.clock.now(), self.count, values))
            self.loop()
            self.loop.wait(self.patience)
            counts.append(self.count)
        return counts

    @property
    def count(self) -> int:
        return int(self.platform.store.app(self.app.id).formation["web"])

    @property
    def formation(self) -> Mapping[str, int]:
        return self.platform.store.app(self.app.id).formation

    def kinds(self) -> list[str]:
        events = self.platform.store.events(self.app.id)
        return [event.kind for _, event in events if event.kind.startswith("autoscale.")]

    def whys(self) -> Sequence[str]:
        return [one.decision.why for one in self.platform.store.decisions(self.app.id, "web")]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_a_step_in_the_load_is_followed_and_replicas_run(lab: Lab) -> None:
    assert lab.load({"requests": 5.0}, 60)[-1] == 1
    assert lab.load({"requests": 45.0}, 20)[-1] == 5
    assert lab.platform.running(lab.app) == {"web v1": 5}
    (event,) = [event for _, event in lab.platform.store.events(lab.app.id) if event.kind == "autoscale.scaled"]
    assert event.message.startswith("web 1 → 5: requests 45 of 10 requests/s per replica wants 5")
    assert event.data["samples"], "the why without its samples"


def test_when_the_load_has_gone_it_goes_back_to_the_minimum(lab: Lab) -> None:
    lab.load({"requests": 45.0}, 200)
    counts = lab.load({"requests": 1.0}, RULES.in_window + 30)
    assert counts[-1] == 1
    assert lab.platform.running(lab.app) == {"web v1": 1}
    assert counts == sorted(counts, reverse=True)
    *_, down = [one for one in lab.platform.store.decisions(lab.app.id) if one.decision.wanted < one.decision.replicas]
    assert down.summary is not None
    assert (down.summary.seconds, down.summary.count) == (RULES.in_window, RULES.in_window / PERIOD)
    found = down.summary.values["requests"]
    assert found.lowest == 1.0 <= found.average <= found.highest


def test_the_bounds_hold_without_any_metrics(tmp_path: Path) -> None:
    lab = Lab(tmp_path, replace(RULES, least=2))
    assert lab.load(None, 10)[-1] == 2


def test_dead_metrics_hold_the_number_and_are_told_once(lab: Lab) -> None:
    lab.load({"requests": 45.0}, 200)
    assert lab.load(None, BLIND * 3)[-1] == 5
    assert lab.kinds().count("autoscale.blind") == 1
    lab.load({"requests": 45.0}, 20)
    assert lab.kinds().count("autoscale.sighted") == 1


def looked_at_while_it_is_deployed(lab: Lab) -> None:
    """A deploy, at every event of which the loop looks; the number stays meanwhile."""
    before = lab.count
    seen: list[int] = []

    def look(event: Event) -> None:
        lab.loop()
        seen.append(lab.count)

    change_release(
        lab.platform.context, lab.platform.store.app(lab.app.id), replace(lab.platform.act, emit=look),
        kind=ReleaseKind.DEPLOY, description="deploy", change=lambda base: base, restart=True,
    )  # fmt: skip
    assert set(seen) == {before}


def test_what_was_told_of_the_load_is_known_after_a_deploy(lab: Lab) -> None:
    lab.load({"requests": 500.0}, RULES.max_alarm + 60)
    looked_at_while_it_is_deployed(lab)
    lab.load({"requests": 500.0}, RULES.max_alarm + 60)
    assert lab.kinds().count("autoscale.maximum") == 1
    lab.load(None, BLIND * 2)
    looked_at_while_it_is_deployed(lab)
    lab.load({"requests": 45.0}, 20)
    assert (lab.kinds().count("autoscale.blind"), lab.kinds().count("autoscale.sighted")) == (1, 1)


def test_what_did_not_boot_of_one_release_is_tried_at_once_of_the_next(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.platform.engine.behaviours[GOOD] = lab.platform.engine.behaviours[BAD]
    assert lab.load({"requests": 45.0}, 2 * FIRST_WAIT)[-1] == 1
    lab.platform.engine.behaviours.pop(GOOD)
    looked_at_while_it_is_deployed(lab)
    assert lab.load({"requests": 45.0}, 2 * PERIOD)[-1] == 5


def test_a_maximum_that_is_not_enough_is_told_once(lab: Lab) -> None:
    lab.load({"requests": 500.0}, RULES.max_alarm - 30)
    assert "autoscale.maximum" not in lab.kinds()
    lab.load({"requests": 500.0}, 300)
    assert lab.count == RULES.most
    assert lab.kinds().count("autoscale.maximum") == 1


def test_a_locked_app_stays_as_it_is_and_goes_on_afterwards(lab: Lab) -> None:
    lab.load({"requests": 45.0}, 200)
    with lab.platform.context.locks.hold(lab.app.id, "bob: deploy", lambda event: None):
        assert lab.load({"requests": 1.0}, 200)[-1] == 5
    assert "busy" in lab.platform.store.decisions(lab.app.id)[-1].decision.limits
    assert lab.load({"requests": 1.0}, 10)[-1] == 1


def test_one_app_that_waits_keeps_no_other_from_scaling(lab: Lab) -> None:
    other = lab.platform.app("blog", "b1b2b3b4", web=1)
    lab.platform.release(other)
    with lab.platform.context.locks.hold(other.id, "bob: deploy", lambda event: None):
        assert lab.load({"requests": 45.0}, 20)[-1] == 5


def test_replicas_that_never_get_well_are_put_back_and_tried_less_and_less_often(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    app = lab.platform.store.app(lab.app.id)
    release = lab.platform.store.release(app.id, app.wanted)
    lab.platform.engine.behaviours[release.image] = lab.platform.engine.behaviours[BAD]
    assert lab.load({"requests": 45.0}, FIRST_WAIT)[-1] == 1
    assert lab.kinds() == ["autoscale.failed"]
    lab.platform.engine.behaviours.pop(release.image)
    assert lab.load({"requests": 45.0}, 2 * FIRST_WAIT + 10)[-1] == 5


def test_decisions_survive_a_restart(lab: Lab) -> None:
    lab.load({"requests": 45.0}, 60)
    lab.loop = Autoscaler(lab.platform.context)
    assert lab.load({"requests": 1.0}, 60)[-1] == 5, "the window after a scale-out was forgotten"
    assert any("wants 5" in why for why in lab.whys())


def test_a_signal_that_cannot_be_read_is_named_with_its_cause_where_the_number_is_held(tmp_path: Path) -> None:
    lab = Lab(tmp_path, BY_MAIL)
    kept = lab.platform.context.readings
    kept.declare({lab.app.id: [MAIL]})
    kept.failed(lab.app.id, MAIL, "web.1: GET /m answered 500, not 200")
    lab.load({"cpu": 0.1}, BLIND + 30)
    words = "no value of mail (web.1: GET /m answered 500, not 200)"
    assert lab.whys() == [f"{words}: the number is held"]
    (told,) = [event for _, event in lab.platform.store.events(lab.app.id) if event.kind == "autoscale.blind"]
    assert told.message == f"web has had {words} for 60 s: none of its 1 is let go"
    answer = explain_autoscale(lab.platform.context, ExplainAutoscale(app="shop"), lab.platform.act)
    assert [(one.name, one.state) for one in answer.signals] == [("mail", "dead")]
    assert answer.decisions[-1].decision.missing == ("mail",)


def test_a_signal_of_the_platform_that_is_missing_is_named_with_its_cause(lab: Lab) -> None:
    lab.load({"requests": 45.0}, 200)
    lab.platform.context.readings.unmeasured = {"requests": "Traefik does not answer"}
    assert lab.load({"cpu": 0.1}, BLIND + 30)[-1] == 5
    words = "no value of requests (Traefik does not answer)"
    assert lab.whys()[-1] == f"{words}: the number is held"
    (told,) = [event for _, event in lab.platform.store.events(lab.app.id) if event.kind == "autoscale.blind"]
    assert told.message == f"web has had {words} for 60 s: none of its 5 is let go"


def test_another_cause_of_the_same_is_recorded_after_a_while_and_not_at_every_look(tmp_path: Path) -> None:
    lab = Lab(tmp_path, BY_MAIL)
    kept = lab.platform.context.readings
    kept.declare({lab.app.id: [MAIL]})
    for number in range(24):
        kept.failed(lab.app.id, MAIL, f"web.1: GET /m answered {500 + number % 2}, not 200")
        lab.load({"cpu": 0.1}, PERIOD)
    assert "answered 501" in lab.whys()[1]
    assert len(lab.whys()) <= 24 * PERIOD / ANEW + 1


def test_a_signal_that_the_release_declares_no_more_is_named_as_that(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.deploy(BY_MAIL, signals=())
    lab.load({"cpu": 0.1}, 10)
    assert lab.whys() == ["no value of mail (release 2 declares no such signal): the number is held"]


def test_another_signal_that_goes_missing_is_another_record(tmp_path: Path) -> None:
    lab = Lab(tmp_path, replace(BY_MAIL, rules=(*BY_MAIL.rules, TargetRule(metric="cpu", target=0.5))))
    lab.load({"cpu": 0.1}, 20)
    lab.load({"mail": 1.0}, 20)
    assert [one.partition("; ")[2] for one in lab.whys()] == ["no value of mail", "no value of cpu"]


def test_a_signal_of_a_process_that_is_scaled_to_0_holds_the_number_without_an_alarm(tmp_path: Path) -> None:
    lab = Lab(tmp_path, BY_MAIL)
    kept = lab.platform.context.readings
    kept.declare({lab.app.id: [MAIL]})
    kept.off(lab.app.id, MAIL, "other is scaled to 0")
    lab.load({"cpu": 0.1}, BLIND * 2)
    assert lab.whys() == ["no value of mail (other is scaled to 0): the number is held"]
    assert "autoscale.blind" not in lab.kinds()


def test_an_app_that_is_idle_is_not_blind_about_its_latency(tmp_path: Path) -> None:
    lab = Lab(tmp_path, replace(RULES, rules=(TargetRule(metric="p95", target=0.3),)))
    lab.load({"requests": 20.0, "p95": 0.9}, 60)
    assert lab.count > 1
    assert lab.load({"requests": 0.0, "p95": 0.0, "in_flight": 0.0}, 8 * RULES.in_window)[-1] == 1
    assert "autoscale.blind" not in lab.kinds()


def test_an_app_that_hangs_is_not_quick(tmp_path: Path) -> None:
    lab = Lab(tmp_path, replace(RULES, rules=(TargetRule(metric="p95", target=0.3),)))
    lab.load({"requests": 20.0, "p95": 0.9}, 60)
    before = lab.count
    assert lab.load({"requests": 0.0, "in_flight": 20.0}, 2 * RULES.in_window)[-1] == before > 1
    (told,) = [event for _, event in lab.platform.store.events(lab.app.id) if event.kind == "autoscale.blind"]
    assert "no value of p95 (none of the requests in flight was answered lately: they hang, or are WebSockets" in (
        told.message
    )


def test_a_router_that_does_not_count_is_no_app_that_hangs(tmp_path: Path) -> None:
    lab = Lab(tmp_path, replace(RULES, rules=(TargetRule(metric="p95", target=0.3),)))
    lab.load({"requests": 20.0, "p95": 0.9}, 60)
    lab.load({"in_flight": 20.0}, 2 * RULES.in_window)
    (told,) = [event for _, event in lab.platform.store.events(lab.app.id) if event.kind == "autoscale.blind"]
    assert "no value of p95 for 60 s" in told.message


@pytest.mark.parametrize("in_window", [0.0, 120.0])
def test_a_cooldown_holds_for_as_long_as_it_says(tmp_path: Path, in_window: float) -> None:
    step = StepRule(metric="requests", upper=10.0, period=10.0, cooldown=7200.0)
    lab = Lab(tmp_path, replace(RULES, rules=(step,), in_window=in_window))
    assert lab.load({"requests": 90.0}, 7100)[-1] == 2
    assert lab.load({"requests": 90.0}, 200)[-1] == 3


def test_by_hand_within_the_bounds_it_holds_for_a_window(lab: Lab) -> None:
    lab.load({"requests": 5.0}, 200)
    scale(lab.platform.context, Scale(app="shop", counts={"web": 4}), lab.platform.act)
    counts = lab.load({"requests": 5.0}, RULES.in_window + 30)
    assert counts[int(RULES.in_window / PERIOD) - 2] == 4
    assert counts[-1] == 1
    assert "set by hand" in lab.whys()


def test_an_app_that_slept_wakes_with_the_least_and_that_is_nobodys_hand(lab: Lab) -> None:
    assert lab.load({"requests": 45.0}, 60)[-1] == 5
    store = lab.platform.store
    store.put_sleep(Sleep(app_id=lab.app.id, after=60.0, asleep=True, port=40_000))
    assert lab.load(None, 60)[-1] == 5, "it is left alone"
    wake(lab.platform.context, lab.app.id)
    assert lab.platform.running(lab.app) == {"web v1": 1}
    assert set(lab.load({"requests": 1.0}, 60)) == {1}
    assert lab.load({"requests": 45.0}, 30)[-1] == 5
    assert "set by hand" not in lab.whys()


def test_by_hand_beyond_the_bounds_is_refused_with_the_command_that_allows_it(lab: Lab) -> None:
    with pytest.raises(Conflict, match="between 1 and 6; 7 would not stay") as refused:
        scale(lab.platform.context, Scale(app="shop", counts={"web": 7}), lab.platform.act)
    assert refused.value.hint == "paas autoscale set web --max 7"


def test_a_process_that_was_scaled_to_nothing_is_left_alone(lab: Lab) -> None:
    scale(lab.platform.context, Scale(app="shop", counts={"web": 0}), lab.platform.act)
    assert lab.load({"requests": 45.0}, 60)[-1] == 0


def test_a_replica_that_asks_is_spared_and_one_that_asked_long_ago_is_not(lab: Lab) -> None:
    lab.load({"requests": 45.0}, 60)
    (service,) = lab.platform.engine.observe(lab.app.id)
    spared = service.replicas[-1].id
    until = lab.platform.clock.now() + 400
    lab.platform.store.put_protection(Protection(app_id=lab.app.id, replica=spared, until=until))
    lab.load({"requests": 25.0}, 200)
    (service,) = lab.platform.engine.observe(lab.app.id)
    assert lab.count == 3
    assert spared in [one.id for one in service.replicas], "the highest index would have gone"
    for replica in service.replicas[:2]:
        lab.platform.store.put_protection(Protection(app_id=lab.app.id, replica=replica.id, until=until))
    assert lab.load({"requests": 1.0}, 190)[-1] == 3
    assert "protected" in lab.platform.store.decisions(lab.app.id)[-1].decision.limits
    assert lab.load({"requests": 1.0}, 60)[-1] == 1


def test_a_full_machine_refuses_with_numbers_and_says_it_once(lab: Lab) -> None:
    lab.platform.engine.memory = 700 << 20  # one replica of 512 MiB, and what may be promised beyond
    lab.load({"requests": 55.0}, 120)
    assert lab.count == 1
    assert lab.kinds() == ["autoscale.full"]
    (event,) = [event for _, event in lab.platform.store.events(lab.app.id) if event.kind == "autoscale.full"]
    assert "there is no memory for 5 more of web: each may use 512 MiB; this machine has 700 MiB" in event.message


def test_where_there_is_room_for_some_of_them_those_are_started_and_the_rest_is_told(lab: Lab) -> None:
    lab.platform.engine.memory = 2 << 30  # five replicas of 512 MiB with what may be promised beyond
    lab.load({"requests": 55.0}, 120)
    assert lab.count == 5
    assert lab.platform.running(lab.app) == {"web v1": 5}
    first = next(one.decision for one in lab.platform.store.decisions(lab.app.id) if one.decision.wanted > 1)
    assert (first.replicas, first.wanted, first.limits) == (1, 5, ("room",))
    assert first.why.endswith("wants 6; there is room for 5, not for 6")
    assert lab.kinds() == ["autoscale.scaled", "autoscale.full"]
    assert not [why for why in lab.whys() if "by hand" in why]
    lab.platform.engine.memory = 4 << 30
    assert lab.load({"requests": 55.0}, 700)[-1] == 6


def test_new_rules_change_no_replica(lab: Lab) -> None:
    lab.deploy(replace(RULES, most=9))
    assert lab.platform.running(lab.app) == {"web v1": 1}


def test_rules_that_go_leave_the_number(lab: Lab) -> None:
    lab.load({"requests": 45.0}, 60)
    lab.deploy(None)
    assert lab.load({"requests": 1.0}, 300)[-1] == 5


def test_an_app_that_was_destroyed_is_forgotten(lab: Lab) -> None:
    lab.load({"requests": 45.0}, 60)
    app: App = lab.app
    lab.platform.store.delete_app(app.id)
    lab.loop()
    assert lab.platform.store.decisions(app.id) == ()


def test_what_replicas_of_another_process_ask_for_keeps_none_of_this_one(lab: Lab) -> None:
    lab.deploy(RULES, worker=RULES)
    scale(lab.platform.context, Scale(app="shop", counts={"worker": 5}), lab.platform.act)
    lab.load({"requests": 45.0}, 60)
    services = {one.key.process: one for one in lab.platform.engine.observe(lab.app.id)}
    until = lab.platform.clock.now() + 10_000
    for replica in services["worker"].replicas:
        lab.platform.store.put_protection(Protection(app_id=lab.app.id, replica=replica.id, until=until))
    assert len(services["worker"].replicas) == 5
    assert lab.load({"requests": 1.0}, RULES.in_window + 60)[-1] == 1
    assert lab.platform.store.app(lab.app.id).formation["worker"] == 5


def test_a_protected_replica_that_is_dead_holds_nothing(lab: Lab) -> None:
    lab.load({"requests": 45.0}, 60)
    (service,) = lab.platform.engine.observe(lab.app.id)
    until = lab.platform.clock.now() + 10_000
    for replica in service.replicas[:3]:
        lab.platform.store.put_protection(Protection(app_id=lab.app.id, replica=replica.id, until=until))
    lab.platform.engine.crash(service.replicas[0].id)
    assert lab.load({"requests": 1.0}, RULES.in_window + 60)[-1] == 2


def test_replicas_that_are_waited_for_come_before_those_that_may_go(lab: Lab) -> None:
    """While somebody has the lock, `web` comes to want more and `worker`, the first in the file, fewer."""
    lab.deploy(RULES, worker=RULES)
    scale(lab.platform.context, Scale(app="shop", counts={"worker": 6, "web": 3}), lab.platform.act)
    idle = Fed(lab.platform)
    recent = {"worker": idle.recent, "web": lab.signals.recent}
    lab.loop = Autoscaler(replace(lab.platform.context, signals=Each(recent)))
    with lab.platform.context.locks.hold(lab.app.id, "bob: deploy", lambda event: None):
        for _ in range(int(RULES.in_window / PERIOD) + 6):
            idle.kept.append(Sample(lab.platform.clock.now() + PERIOD, 6, {"requests": 1.0}))
            lab.load({"requests": 60.0}, PERIOD)
    assert lab.formation == {"web": 3, "worker": 6}
    lab.load({"requests": 60.0}, PERIOD)
    assert lab.formation == {"web": 6, "worker": 6}
    lab.load({"requests": 60.0}, PERIOD)
    assert lab.formation == {"web": 6, "worker": 1}


class Slow:
    """An engine whose single replicas take their time to end: until `may` is set."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine, self.may, self.asked = engine, threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def remove(self, key: ServiceKey, replicas: Sequence[str] = ()) -> None:
        if replicas:
            self.asked.set()
            assert self.may.wait(30)
        self._engine.remove(key, replicas)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[Lab, Slow]]:
    """An app of five web and two worker, in which `web` scales in to one, and those that go do not end."""
    lab = Lab(tmp_path)
    lab.deploy(RULES, worker=replace(RULES, rules=(TargetRule(metric="cpu", target=0.5),)))
    scale(lab.platform.context, Scale(app="shop", counts={"web": 5, "worker": 2}), lab.platform.act)
    engine = Slow(lab.platform.engine)
    lab.platform = replace(lab.platform, context=replace(lab.platform.context, engine=cast(MemoryEngine, engine)))
    lab.loop = Autoscaler(lab.platform.context)
    lab.patience = 0.0
    while not engine.asked.wait(0.05):
        lab.load({"requests": 5.0, "cpu": 0.5}, PERIOD)
    yield lab, engine
    engine.may.set()
    lab.loop.wait()


def test_while_replicas_end_the_app_is_free_and_the_number_is_the_new_one(slow: tuple[Lab, Slow]) -> None:
    lab, engine = slow
    assert lab.count == 1
    assert not lab.platform.context.locks.holder(lab.app.id)
    assert lab.kinds()[-1] == "autoscale.scaled"
    assert lab.platform.running(lab.app)["web v1"] == 5
    engine.may.set()
    lab.loop.wait()
    assert lab.platform.running(lab.app)["web v1"] == 1


def test_while_replicas_end_all_processes_of_the_app_scale_out(slow: tuple[Lab, Slow]) -> None:
    lab, engine = slow
    for _ in range(20):
        lab.load({"requests": 45.0, "cpu": 1.0}, PERIOD)
        wait_for_changes(lab)
    assert lab.formation == {"web": 5, "worker": 6}
    engine.may.set()
    lab.loop.wait()
    assert lab.platform.running(lab.app) == {"web v1": 5, "worker v2": 6}
    (route,) = lab.platform.context.router.observe()
    assert len(route.servers) == 5


def test_while_replicas_end_a_deploy_goes_its_way(slow: tuple[Lab, Slow]) -> None:
    lab, engine = slow
    change_config(lab.platform.context, ChangeConfig(app="shop", set={"KEY": "new"}), lab.platform.act)
    running = lab.platform.running(lab.app)
    assert (running["web v3"], running.keys()) == (1, {"web v3", "worker v3"})
    engine.may.set()
    lab.loop.wait()
    assert lab.platform.running(lab.app) == running


class Forgetful:
    """A store in which no scale-in can be written down."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def add_decision(self, recorded: Recorded) -> None:
        if recorded.decision.wanted < recorded.decision.replicas:
            raise PlatformError("the disk is full")
        self._store.add_decision(recorded)


def test_replicas_that_are_too_many_end_also_where_that_cannot_be_written_down(lab: Lab) -> None:
    store = cast(Store, Forgetful(lab.platform.context.store))
    lab.loop = Autoscaler(replace(lab.platform.context, store=store))
    lab.load({"requests": 45.0}, 60)
    while lab.count > 1:
        lab.load({"requests": 5.0}, PERIOD)
    assert lab.platform.running(lab.app) == {"web v1": 1}


def wait_for_changes(lab: Lab) -> None:
    for thread in list(lab.loop._working.values()):
        thread.join(10)


class Each(NoSignals):
    """Signals of their own for each process."""

    def __init__(self, recent: Mapping[str, Callable[[str, str, float], tuple[Sample, ...]]]) -> None:
        self.by_process = recent

    def recent(self, app_id: str, process: str, seconds: float) -> tuple[Sample, ...]:
        return self.by_process[process](app_id, process, seconds)


def test_an_app_that_cannot_be_looked_at_keeps_no_other_from_scaling(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """One has a schedule in a time zone that the machine knows no more, the other a release that cannot be read."""
    broken, unread = lab.platform.app("a-first", "a0a0a0a0", web=1), lab.platform.app("b-second", "a1a1a1a1", web=1)
    lab.platform.release(broken)
    lab.platform.release(unread)
    gone = replace(RULES, schedules=(ScheduleRule(cron="0 8 * * *", time_zone="Mars/Olympus", least=2),))
    lab.platform.store.put_override(Override(app_id=broken.id, process="web", at=1.0, actor="ann", rules=gone))
    lab.loop.context = replace(lab.loop.context, store=cast(Store, Unreadable(lab.platform.store, unread.id)))
    assert lab.load({"requests": 45.0}, 60)[-1] == 5
    told = [one.getMessage() for one in caplog.records if "could not be looked at" in one.getMessage()]
    assert [line.split()[0] for line in told] == ["a-first", "b-second"], "once each"


class Stepping(FakeClock):
    """A clock that can be set, while the seconds that never jump go on."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


def test_a_clock_that_is_set_back_keeps_replicas_neither_here_nor_away(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    clock = Stepping(lab.platform.clock.now())
    lab.platform = replace(lab.platform, clock=clock, context=replace(lab.platform.context, clock=clock))
    lab.signals.platform = lab.platform
    lab.loop = Autoscaler(lab.platform.context)
    lab.load({"requests": 45.0}, 60)
    clock.ahead = -86_400.0
    lab.signals.kept.clear()
    assert lab.load({"requests": 1.0}, 2 * RULES.in_window)[-1] == 1, "a scale-out of tomorrow came just now"
    lab.platform.engine.memory = 700 << 20
    lab.load({"requests": 45.0}, 20)
    assert lab.kinds()[-1] == "autoscale.full"
    lab.platform.engine.memory = 8 << 30
    clock.ahead = -2 * 86_400.0
    lab.signals.kept.clear()
    assert lab.load({"requests": 45.0}, 2 * FIRST_WAIT)[-1] == 5, "the wait after a failure is that of the other clock"


def test_a_maximum_that_a_noisy_load_is_beyond_most_of_the_time_is_told_once(lab: Lab) -> None:
    for _ in range(20):
        lab.load({"requests": 80.0}, 40)
        lab.load({"requests": 40.0}, 20)
    assert lab.kinds().count("autoscale.maximum") == 1
    lab.load({"requests": 40.0}, 120)
    lab.load({"requests": 80.0}, 400)
    assert lab.kinds().count("autoscale.maximum") == 2, "it was enough in between"


def test_what_could_not_be_done_is_explained_with_the_numbers(lab: Lab) -> None:
    lab.platform.engine.memory = 700 << 20
    lab.load({"requests": 55.0}, 20)
    (refused,) = [one for one in lab.platform.store.decisions(lab.app.id, "web") if "room" in one.decision.limits]
    assert refused.decision.wanted == refused.decision.replicas == 1
    assert "wants 6, not done: there is no memory for 5 more of web" in refused.decision.why
    assert refused.samples[-1].values["requests"] == 55.0


def test_a_machine_that_is_full_another_day_is_told_again(lab: Lab) -> None:
    lab.platform.engine.memory = 700 << 20
    lab.load({"requests": 55.0}, 60)
    lab.load({"requests": 5.0}, 2 * LONGEST_WAIT)
    assert lab.kinds().count("autoscale.full") == 1
    lab.load({"requests": 55.0}, 60)
    assert lab.kinds().count("autoscale.full") == 2


def test_nothing_of_apps_that_have_gone_stays_in_memory(lab: Lab) -> None:
    lab.load({"requests": 45.0}, 60)
    lab.platform.store.delete_app(lab.app.id)
    lab.loop()
    assert (lab.loop._states, lab.loop._releases, lab.loop._working) == ({}, {}, {})
