"""The loop: what it does with decisions. Which number is right is tested in plan/."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from paas.clock import FakeClock
from paas.errors import Conflict
from paas.interfaces import Store
from paas.model.app import App
from paas.model.autoscaling import Override, Protection
from paas.model.scaling import Sample, ScheduleRule, StepRule
from paas.model.sleep import Sleep
from paas.requests.processes import Scale
from paas.usecases.autoscaling import FIRST_WAIT, LONGEST_WAIT, PERIOD, Autoscaler
from paas.usecases.processes import scale
from paas.usecases.sleep import wake
from tests.unit.usecases.autoscaling.lab import RULES, Each, Fed, Lab
from tests.unit.usecases.parts import BAD, Unreadable


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


def test_one_that_slept_and_woke_between_two_looks_was_changed_by_nobodys_hand(lab: Lab) -> None:
    assert lab.load({"requests": 45.0}, 60)[-1] == 5
    lab.platform.store.put_sleep(Sleep(app_id=lab.app.id, after=60.0, asleep=True, port=40_000))
    wake(lab.platform.context, lab.app.id)
    lab.load({"requests": 1.0}, 60)
    assert "set by hand" not in lab.whys()


def test_one_that_is_looked_at_while_it_wakes_was_changed_by_nobodys_hand(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lab.load({"requests": 45.0}, 60)[-1] == 5
    store = lab.platform.store
    store.put_sleep(Sleep(app_id=lab.app.id, after=60.0, asleep=True, port=40_000))
    lab.load(None, 10)
    for name in ("put_sleep", "save_app"):
        written = getattr(store, name)
        monkeypatch.setattr(store, name, lambda one, written=written: (written(one), lab.loop()))
    wake(lab.platform.context, lab.app.id)
    lab.load({"requests": 1.0}, 60)
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
