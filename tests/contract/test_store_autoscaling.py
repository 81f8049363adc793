"""What every store does with rules set by command, decisions and protections, on disk and in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paas.errors import NotFound
from paas.interfaces import Store
from paas.model.app import App, ProcessSpec, Release, ReleaseKind
from paas.model.autoscaling import Override, Protection, Range, Recorded, Summary
from paas.model.scaling import Autoscale, Decision, Sample, ScheduleRule, Statistic, StepRule, TargetRule
from paas.store.sql_autoscaling import FORGOTTEN, KEPT_CHANGES, KEPT_HELD

SHOP, BLOG = App(id="0a0a0a0a", name="shop", created_at=1.0), App(id="0b0b0b0b", name="blog", created_at=1.0)
RULES = Autoscale(
    least=2, most=7, tolerance=0.1, scale_in=False, max_alarm=60.0,
    rules=(TargetRule(metric="cpu", target=0.7), StepRule(metric="p95", upper=0.8, statistic=Statistic.MAXIMUM, add=2)),
    schedules=(ScheduleRule(cron="0 8 * * *", time_zone="Europe/Berlin", least=3, lasts=3600.0),),
)  # fmt: skip
WEB = Override(app_id=SHOP.id, process="web", at=5.0, actor="ann", rules=RULES)
SAMPLE = Sample(9.0, 2, {"cpu": 0.5, "requests": 12.25})


def decided(number: int, app: App = SHOP, process: str = "web") -> Recorded:
    decision = Decision(
        at=float(number), replicas=1, wanted=2, why=f"why {number}", proposed=3, limits=("max",), alarm=True
    )
    return Recorded(app_id=app.id, process=process, decision=decision, samples=(SAMPLE,))


@pytest.fixture
def store(any_store: Store) -> Store:
    for app in (SHOP, BLOG):
        any_store.add_app(app)
    return any_store


def test_rules_set_by_command_come_back_as_they_were(store: Store) -> None:
    pause = Override(app_id=BLOG.id, process="worker", at=6.0, actor="bob", paused=True)
    store.put_override(WEB)
    store.put_override(pause)
    assert store.overrides() == (WEB, pause)
    assert store.overrides(SHOP.id) == (WEB,)


def test_rules_are_one_per_process_and_the_last_count(store: Store) -> None:
    later = replace(WEB, rules=None, paused=False)
    store.put_override(WEB)
    store.put_override(later)
    assert store.overrides(SHOP.id) == (later,)
    store.delete_override(SHOP.id, "web")
    store.delete_override(SHOP.id, "web")
    assert store.overrides() == ()


def test_rules_travel_in_a_release(store: Store) -> None:
    web = ProcessSpec(name="web", autoscale=RULES)
    release = Release(
        app_id=SHOP.id, number=0, kind=ReleaseKind.DEPLOY, created_at=1.0, actor="ann", description="d",
        processes=(web, ProcessSpec(name="worker")),
    )  # fmt: skip
    number = store.add_release(release).number
    assert store.release(SHOP.id, number).processes == (web, ProcessSpec(name="worker"))


def test_decisions_come_back_in_order_with_their_samples(store: Store) -> None:
    for one in (decided(1), decided(2, process="worker"), decided(3), decided(4, BLOG)):
        store.add_decision(one)
    assert store.decisions(SHOP.id) == (decided(1), decided(2, process="worker"), decided(3))
    assert store.decisions(SHOP.id, "web", 1) == (decided(3),)


def test_the_summary_of_a_window_comes_back_with_its_decision(store: Store) -> None:
    ranges = {"cpu": Range(lowest=0.1, highest=0.5, average=0.25)}
    one = decided(1)
    one = replace(one, decision=replace(one.decision, wanted=1, replicas=2, over=120.0))
    one = replace(one, summary=Summary(seconds=120.0, count=24, values=ranges))
    store.add_decision(one)
    assert store.decisions(SHOP.id) == (one,)


def test_the_oldest_decisions_of_a_process_go_and_no_others(store: Store) -> None:
    store.add_decision(decided(0, process="worker"))
    for number in range(KEPT_CHANGES + 3):
        store.add_decision(decided(number))
    kept = store.decisions(SHOP.id, "web")
    assert len(kept) == KEPT_CHANGES
    assert (kept[0], kept[-1]) == (decided(3), decided(KEPT_CHANGES + 2))
    assert len(store.decisions(SHOP.id, "worker")) == 1


def test_decisions_that_held_the_number_push_out_no_change(store: Store) -> None:
    for number in range(KEPT_HELD + 3):
        one = decided(number)
        store.add_decision(replace(one, decision=replace(one.decision, wanted=1)) if number else one)
    kept = store.decisions(SHOP.id, "web")
    assert kept[0] == decided(0)
    assert [one.decision.at for one in kept[1:]] == [float(number) for number in range(3, KEPT_HELD + 3)]


def test_a_protection_is_one_per_replica_and_ended_ones_are_forgotten_in_time(store: Store) -> None:
    first = Protection(app_id=SHOP.id, replica="c1", until=100.0)
    store.put_protection(first)
    store.put_protection(replace(first, until=200.0))
    store.put_protection(replace(first, app_id=BLOG.id))
    assert store.protections(SHOP.id) == (replace(first, until=200.0),)
    store.put_protection(replace(first, replica="c2", until=201.0 + FORGOTTEN))
    assert [one.replica for one in store.protections(SHOP.id)] == ["c2"]
    store.delete_protection(SHOP.id, "c2")
    store.delete_protection(SHOP.id, "c2")
    assert store.protections(SHOP.id) == ()


def test_everything_goes_with_its_app(store: Store) -> None:
    store.put_override(WEB)
    store.add_decision(decided(1))
    store.put_protection(Protection(app_id=SHOP.id, replica="c1", until=100.0))
    store.delete_app(SHOP.id)
    assert (store.overrides(), store.decisions(SHOP.id), store.protections(SHOP.id)) == ((), (), ())


def test_nothing_is_kept_for_an_app_that_is_not_there(store: Store) -> None:
    gone = "0c0c0c0c"
    with pytest.raises(NotFound):
        store.put_override(replace(WEB, app_id=gone))
    with pytest.raises(NotFound):
        store.add_decision(replace(decided(1), app_id=gone))
    with pytest.raises(NotFound):
        store.put_protection(Protection(app_id=gone, replica="c1", until=1.0))
