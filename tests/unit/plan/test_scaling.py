"""How many replicas: what the rules come to, what holds a change back, and what noise may never do."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paas.model.scaling import (
    BY_HAND,
    DEFAULT,
    Autoscale,
    Decision,
    Sample,
    ScheduleRule,
    Statistic,
    StepRule,
    TargetRule,
)
from paas.plan.scaling import decide
from tests.unit.plan.loads import CAPACITY, cpu, played, sample, turns


def requests(target: float = 30.0, **said: object) -> Autoscale:
    return Autoscale(rules=(TargetRule(metric="requests", target=target),), **said)  # type: ignore[arg-type]


def steady(replicas: int, load: float, seconds: int = 600) -> list[Sample]:
    return [sample(at, replicas, load) for at in range(0, seconds + 1, 5)]


def kept(replicas: int, seconds: int = 600) -> list[Decision]:
    return [
        Decision(at=at, replicas=replicas, wanted=replicas, why="", proposed=replicas) for at in range(0, seconds, 5)
    ]


# --- targets -------------------------------------------------------------------------------------------------------


def test_a_step_in_the_load_is_answered_by_one_decision() -> None:
    samples = [*steady(1, 10, 600), sample(605, 1, 200)]
    made = decide(cpu(), 1, samples, 605, kept(1))
    assert made.wanted == math.ceil(200 / CAPACITY / 0.85)
    assert made.why == "cpu 100% of 85% of the limit, and what came asks for 500% wants 6"


def test_replicas_double_when_nothing_says_what_a_request_costs() -> None:
    samples = [Sample(0, 4, {"cpu": 1.0})]
    assert decide(cpu(), 4, samples, 0).wanted == 8


@pytest.mark.parametrize(("load", "wanted"), [(100, 4), (120, 4), (121, 5), (300, 10), (3000, 10)])
def test_requests_are_shared_among_replicas(load: float, wanted: int) -> None:
    made = decide(requests(), 4, [sample(0, 4, load)], 0)
    assert made.wanted == wanted
    assert ("max" in made.limits) == (load == 3000)


def test_a_tolerance_lets_a_target_be_missed_by_its_share() -> None:
    assert decide(requests(tolerance=0.1), 4, [sample(0, 4, 131)], 0).wanted == 4
    assert decide(requests(tolerance=0.1), 4, [sample(0, 4, 133)], 0).wanted == 5


@pytest.mark.parametrize(("value", "target"), [(1e308, 0.5), (5.0, 1e-320)], ids=["huge value", "tiny target"])
def test_a_number_beyond_all_counting_wants_the_maximum(value: float, target: float) -> None:
    for metric in ("requests", "jobs"):
        rules = Autoscale(most=7, rules=(TargetRule(metric=metric, target=target),))
        assert decide(rules, 3, [Sample(at, 3, {metric: value}) for at in (0, 5, 10)], 10).wanted == 7


def test_one_sample_below_what_is_urgent_is_averaged_with_those_before() -> None:
    calm = [sample(at, 4, 100) for at in (0, 5)]
    assert decide(requests(), 4, [*calm, sample(10, 4, 140)], 10).wanted == 4
    assert decide(requests(), 4, [*calm, sample(10, 4, 150)], 10).wanted == 5


def test_of_several_rules_the_highest_wins() -> None:
    both = replace(cpu(), rules=(*cpu().rules, *requests(10).rules))
    made = decide(both, 2, [sample(0, 2, 60)], 0)
    assert made.wanted == 6
    assert made.why.startswith("requests")


def test_replicas_that_boot_are_not_asked_for_twice() -> None:
    first = Decision(at=0, replicas=1, wanted=6, why="", proposed=6)
    assert decide(requests(), 6, [sample(0, 1, 180), sample(5, 1, 180)], 5, [first]).wanted == 6


def test_fewer_only_when_the_whole_window_says_so() -> None:
    rules = requests(in_window=300.0)
    early = decide(rules, 5, steady(5, 60, 290), 290, kept(5, 290))
    said = "requests 12 of 30 requests/s per replica would take fewer, but not for 300 s yet"
    assert (early.wanted, early.why) == (5, said)
    full = decide(rules, 5, steady(5, 150, 600), 600, kept(5))
    assert (full.wanted, full.why) == (5, "requests 30 of 30 requests/s per replica is near enough")
    made = decide(rules, 5, steady(5, 60, 600), 600, kept(5))
    assert made.wanted == 3
    assert "300 s" in made.why
    peak = [sample(at, 5, 130 if 400 <= at <= 415 else 60) for at in range(0, 605, 5)]
    assert decide(rules, 5, peak, 600, kept(5)).wanted == 5
    assert decide(rules, 5, peak[:-1], 720, kept(5)).alarm


@pytest.mark.parametrize("how", ["maximum", "average"])
@pytest.mark.parametrize("before", [[6, 6, 6, 1], [3, 3, 6, 3], [3, 3, 3, 6]])
def test_what_each_replica_is_at_wants_no_more_for_those_that_went(how: str, before: list[int]) -> None:
    """As after a scale-in by hand, and with both versions of a deploy."""
    rules = Autoscale(rules=(TargetRule(metric="lag", target=13, declared=how),))
    samples = [Sample(5 * number, count, {"lag": 12.0}) for number, count in enumerate(before)]
    for replicas in (1, 3):
        made = decide(rules, replicas, samples, 16)
        assert (made.wanted, "wants" in made.why) == (replicas, False)
    more = [Sample(5 * number, count, {"lag": 26.0}) for number, count in enumerate(before)]
    assert decide(rules, 3, more, 16).wanted == (5 if before[-1] == 1 else 6)


def test_nothing_goes_soon_after_something_came() -> None:
    history = [*kept(3, 550), Decision(at=550, replicas=3, wanted=8, why="", proposed=8)]
    made = decide(requests(), 8, steady(8, 60, 600), 600, history)
    assert (made.wanted, made.limits) == (8, ("window",))


def test_a_window_with_a_hole_in_it_lets_nothing_go() -> None:
    samples = [one for one in steady(5, 30) if not 530 < one.at < 580]
    assert decide(requests(), 5, samples, 600, kept(5)).wanted == 5


def test_a_latency_that_was_missing_for_a_while_lets_nothing_go() -> None:
    rules = Autoscale(rules=(TargetRule(metric="p95", target=0.4),))
    calm = [Sample(at, 3, {"p95": 0.1}) for at in range(0, 605, 5)]
    assert decide(rules, 3, calm, 600, kept(3)).wanted == 2
    for missed in (range(485, 600), range(440, 500), range(520, 560)):
        seen = [replace(one, values={"cpu": 0.1}) if one.at in missed else one for one in calm]
        assert decide(rules, 3, seen, 600, kept(3)).wanted == 3, missed


def test_a_window_grows_with_patience_to_an_hour_and_no_further() -> None:
    """Of what is older there are fewer samples, and nobody who waits half an hour wants to wait for four."""
    history = [
        change
        for at in range(0, 40_000, 8000)
        for change in (
            Decision(at=at, replicas=5, wanted=4, why="", proposed=4),
            Decision(at=at + 10, replicas=4, wanted=5, why="", proposed=5),
        )
    ]
    samples = [sample(at, 5, 30) for at in range(32_000, 36_000, 5)]
    made = decide(requests(in_window=1800.0), 5, samples, 35_995, history)
    assert (made.wanted, "3600 s" in made.why) == (2, True)


def test_patience_is_told_and_comes_of_no_change_by_hand() -> None:
    def made(by: str) -> Decision:
        history = [
            Decision(at=0, replicas=5, wanted=3, why=by, proposed=3),
            Decision(at=100, replicas=3, wanted=5, why="", proposed=5),
        ]
        return decide(requests(), 5, [sample(at, 5, 30) for at in range(110, 305, 5)], 300, history)

    held = made("fewer were enough")
    assert (held.wanted, held.limits) == (5, ("patience",))
    said = "would take fewer, but not for 240 s yet, as scale-ins had to be undone lately"
    assert held.why == f"requests 6 of 30 requests/s per replica {said}"
    assert (made(BY_HAND).wanted, made(BY_HAND).limits) == (2, ())


def test_a_scale_out_waits_for_its_window() -> None:
    rules = requests(out_window=30.0)
    history = played(rules, lambda at: 30 if at < 100 else 300, 200)
    (change,) = [one for one in history if one.wanted > one.replicas]
    assert change.at == 125  # six samples, each of the 5 s before it
    assert any("window" in one.limits for one in history if 100 <= one.at < 125)


def test_latency_grows_twofold_at_most_and_shrinks_by_one() -> None:
    rules = Autoscale(rules=(TargetRule(metric="p95", target=0.4),))
    assert decide(rules, 3, [Sample(0, 3, {"p95": 9.0})], 0).wanted == 6
    assert decide(rules, 3, [Sample(0, 3, {"p95": 0.41})], 0).wanted == 4
    calm = [Sample(at, 3, {"p95": 0.1}) for at in range(0, 605, 5)]
    assert decide(rules, 3, calm, 600, kept(3)).wanted == 2
    near = [Sample(at, 3, {"p95": 0.3}) for at in range(0, 605, 5)]
    assert decide(rules, 3, near, 600, kept(3)).wanted == 3


def test_latency_is_not_believed_while_the_last_ones_warm_up() -> None:
    rules = Autoscale(rules=(TargetRule(metric="p95", target=0.4),))
    history = [Decision(at=0, replicas=3, wanted=6, why="", proposed=6)]
    assert decide(rules, 6, [Sample(10, 3, {"p95": 9.0})], 10, history).limits == ("warm-up",)
    assert decide(rules, 6, [Sample(20, 6, {"p95": 9.0})], 20, history).wanted == 10


# --- what holds it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "samples",
    [[], [sample(0, 3, 900)], [Sample(95, 3, {})], [Sample(95, 3, {"cpu": math.nan, "requests": math.inf})]],
    ids=["none", "old", "empty", "not finite"],
)
def test_dead_metrics_hold_the_number_and_raise_an_alarm(samples: list[Sample]) -> None:
    made = decide(cpu(), 3, samples, 100)
    assert (made.wanted, made.alarm, made.limits, made.proposed) == (3, True, ("no data",), None)
    assert (made.missing, made.why) == (("cpu",), "no value of cpu: the number is held")


def test_a_rule_without_metrics_keeps_the_others_from_letting_go_but_not_from_growing() -> None:
    rules = replace(requests(), rules=(*requests().rules, TargetRule(metric="memory", target=0.8)))
    down = decide(rules, 5, steady(5, 30), 600, kept(5))
    assert (down.wanted, down.alarm, down.limits) == (5, True, ("no data",))
    assert down.why.endswith("but there is no value of memory: none is let go")
    up = decide(rules, 5, steady(5, 290), 600, kept(5))
    assert (up.wanted, up.alarm, up.missing) == (10, True, ("memory",))


def test_signals_without_a_value_are_named_with_the_cause_once_each() -> None:
    mail = TargetRule(metric="mail", target=5.0)
    rules = replace(requests(), rules=(*requests().rules, mail, StepRule(metric="mail", upper=9.0)))
    made = decide(rules, 5, steady(5, 30), 600, kept(5), causes={"mail": "web.1: GET /m answered 500, not 200"})
    assert made.missing == ("mail",)
    assert "no value of mail (web.1: GET /m answered 500, not 200): none is let go" in made.why
    blind = decide(rules, 5, [], 600, kept(5), causes={"mail": "not read yet"})
    assert blind.why == "no value of requests, mail (not read yet): the number is held"


def test_scale_in_may_be_off() -> None:
    made = decide(requests(scale_in=False), 5, steady(5, 30), 600, kept(5))
    assert (made.wanted, made.limits) == (5, ("scale-in off",))
    assert decide(requests(scale_in=False), 5, steady(5, 290), 600, kept(5)).wanted == 10


def test_paused_rules_change_nothing_but_the_bounds_hold() -> None:
    assert decide(requests(paused=True), 5, steady(5, 290), 600).wanted == 5
    assert decide(requests(paused=True, least=6), 5, steady(5, 290), 600).wanted == 6
    assert decide(requests(paused=True, most=4), 5, [], 600).wanted == 4


def test_without_rules_only_the_bounds_hold() -> None:
    made = decide(Autoscale(least=2), 1, [], 0)
    assert (made.wanted, made.alarm, made.limits) == (2, False, ("min",))


# --- steps ---------------------------------------------------------------------------------------------------------

STEP = StepRule(metric="cpu", upper=0.6, lower=0.2, period=60, evaluations=2, add=2, remove=1, cooldown=300)


def stepped(load: float, *, seconds: int = 600, replicas: int = 4, rule: StepRule = STEP, at: int = 600) -> Decision:
    return decide(Autoscale(rules=(rule,)), replicas, steady(replicas, load, seconds), at)


@pytest.mark.parametrize(("load", "wanted"), [(0.61, 6), (0.6, 4), (0.21, 4), (0.19, 3)])
def test_a_trigger_adds_above_and_removes_below(load: float, wanted: int) -> None:
    assert stepped(load * 4 * CAPACITY).wanted == wanted


def test_a_trigger_wants_all_its_periods() -> None:
    assert stepped(150, seconds=110, at=110).wanted == 4
    assert stepped(150, seconds=120, at=120).wanted == 6
    slow = replace(STEP, evaluations=1, breach=300.0)
    assert stepped(150, seconds=290, at=290, rule=slow).wanted == 4
    assert stepped(150, seconds=300, at=300, rule=slow).wanted == 6


def test_a_trigger_rests_in_its_cooldown() -> None:
    history = [Decision(at=310, replicas=2, wanted=4, why="")]
    made = decide(Autoscale(rules=(STEP,)), 4, steady(4, 150), 600, history)
    assert (made.wanted, made.limits) == (4, ("cooldown",))
    assert decide(Autoscale(rules=(STEP,)), 4, steady(4, 150, 615), 615, history).wanted == 6


@pytest.mark.parametrize(
    ("statistic", "value"), [(Statistic.MINIMUM, 0.2), (Statistic.MAXIMUM, 0.8), (Statistic.AVERAGE, 0.5)]
)
def test_a_period_comes_to_its_statistic(statistic: Statistic, value: float) -> None:
    samples = [Sample(at, 1, {"cpu": 0.2 if at % 10 else 0.8}) for at in range(0, 65, 5)]
    for upper, wanted in ((value - 0.01, 2), (value + 0.01, 1)):
        rule = StepRule(metric="cpu", upper=upper, statistic=statistic, period=60)
        assert decide(Autoscale(rules=(rule,)), 1, samples, 60).wanted == wanted


def test_a_sum_is_what_came_in_a_period_at_all_replicas_together() -> None:
    rule = StepRule(metric="requests", upper=599, statistic=Statistic.SUM, period=60)
    assert decide(Autoscale(rules=(rule,)), 2, steady(2, 10, 60), 60).wanted == 3
    assert decide(Autoscale(rules=(replace(rule, upper=601),)), 2, steady(2, 10, 60), 60).wanted == 2


def test_what_is_missing_in_its_periods_lets_none_go_and_keeps_none_from_coming() -> None:
    rule = replace(STEP, period=300, evaluations=1)
    alone = [*steady(4, 8, 299), sample(600, 4, 8)]
    made = decide(Autoscale(rules=(rule,)), 4, alone, 600)
    assert (made.wanted, made.why) == (4, "cpu: not measured all of 1 × 300 s yet")
    assert stepped(8, rule=rule).wanted == 3
    some = [one for one in steady(4, 8) if not 400 < one.at < 440]
    assert decide(Autoscale(rules=(rule,)), 4, some, 600).wanted == 4
    slow = StepRule(metric="p95", upper=0.8, lower=0.1, period=60)
    waits = [Sample(at, 4, {"p95": 9.0} if at in (560, 600) else {"requests": 0.0}) for at in range(0, 605, 5)]
    assert decide(Autoscale(rules=(slow,)), 4, waits, 600).wanted == 5


# --- a target and a step -------------------------------------------------------------------------------------------

EXAMPLE = Autoscale(
    least=2,
    rules=(
        TargetRule(metric="cpu", target=0.87),
        TargetRule(metric="requests", target=30.0),
        StepRule(metric="p95", upper=0.8, add=2, period=60, evaluations=2, cooldown=300),
    ),
)
"""The one of the docs."""


def felt(replicas: int, load: float, p95: float, start: int = 0, end: int = 600) -> list[Sample]:
    values = {"cpu": min(1.0, load / replicas / CAPACITY), "requests": load, "p95": p95}
    return [Sample(at, replicas, values) for at in range(start, end + 1, 5)]


def test_a_step_without_a_lower_threshold_keeps_no_target_from_letting_go() -> None:
    made = decide(EXAMPLE, 8, felt(8, 20, 0.1), 600, kept(8))
    assert (made.wanted, made.limits) == (2, ("min",))
    assert made.why.startswith("cpu 6% of 87% of the limit, and 1 were enough all of the last 120 s")
    both = replace(EXAMPLE, rules=(*EXAMPLE.rules[:-1], replace(EXAMPLE.rules[-1], lower=0.05)))
    assert decide(both, 8, felt(8, 20, 0.1), 600, kept(8)).wanted == 8, "it says that fewer would be too few"


def test_a_step_without_a_lower_threshold_has_its_say_while_it_is_beyond_it_blind_or_rests() -> None:
    slow = decide(EXAMPLE, 4, felt(4, 20, 0.9), 600, kept(4))
    assert (slow.wanted, slow.why) == (6, "p95 average 900ms, over 800ms for 120 s")
    added = [*kept(4, 450), Decision(at=450, replicas=4, wanted=6, why="", proposed=4)]
    assert decide(EXAMPLE, 6, felt(6, 20, 0.1), 600, added).wanted == 6
    assert decide(EXAMPLE, 6, felt(6, 20, 0.1, 300, 750), 750, added).wanted == 2
    by_target = [*kept(4, 450), Decision(at=450, replicas=4, wanted=6, why="", proposed=6)]
    assert decide(EXAMPLE, 6, felt(6, 20, 0.1), 600, by_target).wanted == 2
    new = [replace(one, values={**one.values, "p95": 0.1}) for one in felt(4, 20, 0.1, 540)]
    unsure = [*steady(4, 20, 535), *new]
    assert decide(EXAMPLE, 4, unsure, 600, kept(4)).wanted == 4


def test_one_step_may_add_and_another_remove() -> None:
    up = StepRule(metric="cpu", upper=0.6, period=60)
    down = StepRule(metric="cpu", lower=0.2, period=60)
    wanted = {
        share: decide(Autoscale(rules=(up, down)), 4, steady(4, share * 4 * CAPACITY), 600).wanted
        for share in (0.1, 0.4, 0.7)
    }
    assert wanted == {0.1: 3, 0.4: 4, 0.7: 5}
    alone = decide(Autoscale(rules=(up,)), 4, steady(4, 10), 600)
    assert (alone.wanted, alone.why) == (4, "cpu average 6.25% is within its thresholds")


def test_with_a_step_beside_the_target_noise_turns_once_in_a_window_at_most() -> None:
    """25 loads; p95 is bad for a minute or two now and then, whatever the load is."""
    flapping = []
    for seed in range(25):
        chance = random.Random(seed)
        base, rules, replicas = chance.uniform(40, 300), replace(EXAMPLE, most=40), 4
        samples: list[Sample] = []
        history: list[Decision] = []
        for at in range(0, 1800, 5):
            load = base * chance.uniform(0.7, 1.3)
            bad = at % 900 > 900 - 30 * (seed % 7)
            samples += felt(replicas, load, 1.5 if bad else 0.2, at, at)
            history.append(decide(rules, replicas, samples, at, history))
            replicas = history[-1].wanted
        turned = turns(history)
        flapping += [seed] if any(after - before < rules.in_window for before, after in pairwise(turned)) else []
    assert flapping == []


# --- schedules -----------------------------------------------------------------------------------------------------


def at_time(text: str, zone: str = "Europe/Berlin") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def test_a_schedule_moves_the_bounds_while_it_lasts() -> None:
    office = ScheduleRule(cron="0 8 * * mon-fri", time_zone="Europe/Berlin", least=4, lasts=36_000)
    rules = requests(schedules=(office,))
    for moment, least in (
        ("2026-11-23T07:59", 1), ("2026-11-23T08:00", 4), ("2026-11-23T17:59", 4), ("2026-11-23T18:00", 1),
        ("2026-11-22T12:00", 1), ("2026-03-30T08:00", 4), ("2026-03-30T07:59", 1),
    ):  # fmt: skip
        made = decide(rules, 1, [], at_time(moment))
        assert made.wanted == least, moment
    assert "schedule 0 8 * * mon-fri" in decide(rules, 1, [], at_time("2026-11-23T09:00")).why


def test_the_latest_of_several_schedules_counts_and_may_lower_the_maximum() -> None:
    day = ScheduleRule(cron="0 8 * * *", least=12)
    night = ScheduleRule(at="2026-11-23T20:00", most=3)
    rules = Autoscale(least=2, most=10, schedules=(day, night))
    assert decide(rules, 5, [], at_time("2026-11-23T19:59", "UTC")).wanted == 12
    assert decide(rules, 5, [], at_time("2026-11-23T20:00", "UTC")).wanted == 3
    assert decide(rules, 5, [], at_time("2026-11-24T08:00", "UTC")).wanted == 12


# --- properties ----------------------------------------------------------------------------------------------------

LOADS = st.lists(st.one_of(st.none(), st.floats(0, 2000)), min_size=1, max_size=60)
BOUNDS = st.tuples(st.integers(1, 20), st.integers(0, 20))


@given(loads=LOADS, bounds=BOUNDS, target=st.floats(0.05, 1), window=st.sampled_from([0.0, 30.0, 90.0]))
def test_the_number_never_leaves_its_bounds(
    loads: list[float | None], bounds: tuple[int, int], target: float, window: float
) -> None:
    least, most = bounds[0], bounds[0] + bounds[1]
    rules = replace(cpu(target), least=least, most=most, in_window=window)
    rules = replace(rules, rules=(*rules.rules, replace(STEP, evaluations=1)))
    history = played(rules, lambda at: loads[int(at / 5)], len(loads) * 5, start=least)
    assert all(least <= one.wanted <= most for one in history)


@example(before=[157.0], load=144.0, more=1.0)  # from what is averaged to what is urgent
@example(before=[152.0, 152.0], load=0.0, more=1.0)  # from no known cost of a request to a known one
@example(before=[394.0], load=151.0, more=1.0)  # and back
@given(before=st.lists(st.floats(0, 400), max_size=40), load=st.floats(0, 400), more=st.floats(0, 400))
def test_more_load_never_wants_fewer(before: list[float], load: float, more: float) -> None:
    samples = [sample(at * 5.0, 4, one) for at, one in enumerate(before)]
    now = len(before) * 5.0
    for rules in (requests(most=100), cpu(most=100)):
        less = decide(rules, 4, [*samples, sample(now, 4, load)], now)
        assert decide(rules, 4, [*samples, sample(now, 4, load + more)], now).wanted >= less.wanted


@given(loads=st.lists(st.floats(0, 400), min_size=1, max_size=40), silence=st.integers(7, 200))
def test_when_metrics_die_the_number_stays(loads: list[float], silence: int) -> None:
    end = len(loads) * 5
    history = played(cpu(), lambda at: loads[int(at / 5)] if at < end else None, end + silence * 5)
    silent = [one for one in history if one.at - (end - 5) > 30]
    assert silent
    assert all(one.wanted == one.replicas and one.alarm for one in silent)


def test_noise_changes_the_direction_once_in_a_window_at_most_and_leaves_no_bounds() -> None:
    """1,000 loads that stand, grow or shrink slowly, each sample with noise of ±30 %; in a third metrics die for a
    minute or two, and in some the bounds are too narrow."""
    flapping, outside, blind = [], [], []
    for seed in range(1000):
        chance = random.Random(seed)
        base, drift = chance.uniform(20, 600), chance.choice([0.0, 0.0, 0.5, -0.5]) / 900
        rules = replace(
            chance.choice([cpu(), requests(34), Autoscale(rules=(DEFAULT,))]),
            most=40,
            in_window=chance.choice([60.0, 90.0]),
        )
        dead = range(*chance.choice([(0, 0), (0, 0), (400, 400 + chance.randrange(60, 130))]))

        def load(
            at: float, base: float = base, drift: float = drift, chance: random.Random = chance, dead: range = dead
        ) -> float | None:
            found = base * (1 + drift * at) * (1 + chance.uniform(-0.3, 0.3))
            return None if int(at) in dead else found

        start = max(1, min(40, round(base / 34) + chance.choice([-3, 0, 4])))
        if chance.random() < 0.2:
            rules = replace(rules, least=max(1, start - 1), most=start + 1)
        history = played(rules, load, 900, start=start)
        turned = turns(history)
        flapping += [seed] if any(after - before < rules.in_window for before, after in pairwise(turned)) else []
        outside += [seed] if any(not rules.least <= one.wanted <= rules.most for one in history) else []
        silent = [one for one in history if dead and dead.start + 35 <= one.at < dead.stop]
        blind += [seed] if any(one.wanted != one.replicas or not one.alarm for one in silent) else []
    assert (flapping, outside, blind) == ([], [], [])


@pytest.mark.parametrize(("load", "number"), [(10, 1), (39, 2), (120, 4), (333, 10)])
def test_a_constant_load_finds_its_number_and_stays_there(load: float, number: int) -> None:
    history = played(cpu(), lambda _: load, 900, start=6)
    assert history[-1].wanted == number
    assert not turns(history)


@pytest.mark.parametrize(("number", "full"), [(1, 0.7), (4, 0.85), (9, 0.9), (36, 0.95), (100, 0.95)])
def test_by_default_more_replicas_are_kept_fuller_as_a_queue_before_them_allows(number: int, full: float) -> None:
    assert DEFAULT.of(number) == pytest.approx(full)
    rules = Autoscale(most=200, rules=(DEFAULT,))
    asked = [
        decide(rules, number, steady(number, number * CAPACITY * share), 600, kept(number)).wanted
        for share in (full - 0.01, full + 0.01)
    ]
    assert asked[0] <= number < asked[1]


def test_below_the_limit_an_average_takes_twice_as_long_as_beyond_it() -> None:
    rules = cpu(0.8, most=100)
    calm = [*steady(10, 300, 585), *(sample(at, 10, 360) for at in (590, 595, 600))]
    assert decide(rules, 10, calm, 600, kept(10)).wanted == 11  # 330 of 320 on average of 30 s
    full = [*steady(10, 200, 585), *(sample(at, 10, 384) for at in (590, 595, 600))]
    assert decide(rules, 10, full, 600, kept(10)).wanted == 12  # 96 % all of 15 s: who comes now waits
    assert decide(rules, 10, [*steady(10, 200, 585), *full[-3:-1], sample(600, 10, 340)], 600, kept(10)).wanted == 10
