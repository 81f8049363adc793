"""`python -m benchmarks.autoscale` (`make bench-autoscale`): our rules against those of hosted platforms, simulated.

Ours are three, the same ones on every trace: the default one, and two that docs/autoscaling.md tells what for. For each
hosted platform the last column names the first of them that has fewer seconds over the latency target (or none, as it)
at no more replica-hours. `UNSEEN` are traces on which nothing was chosen. A line below tells how many pairs hold by
each rule alone; for those that hold with none a table follows of what could be had at all (`foresight.py`). Exit code 1
when these are, of `TRACES`, others than those in `OPEN`.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.foresight import cheapest, floor
from paas.model.scaling import DEFAULT, Autoscale
from paas.plan.hosted import hosted
from paas.plan.simulate import Run, Trace, World, ours, simulate

LEAST, MOST = 1, 20
HOUR = 3600
RULES = {
    "paas": Autoscale(least=LEAST, most=MOST, rules=(DEFAULT,)),
    "unsteady": Autoscale(least=LEAST, most=MOST, rules=(DEFAULT,), in_window=300),
    "thrifty": Autoscale(least=LEAST, most=MOST, rules=(DEFAULT,), tolerance=0.12, in_window=20),
}
"""The default rule; the same with `in_window = "5m"`, for a load that is another each minute; and the same with
`tolerance = 0.12` and `in_window = "20s"`, for the lowest bill."""
OPEN = {("day", "Heroku p95"), ("spikes", "ECS target tracking")}
"""Pairs that do not hold: see the page."""

HEAD = (
    "| trace | rules | s over target | replica-hours | flaps | failed | better, for no more |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | --- |"
)
SUMS = (
    "| rules | s over target | replica-hours | failed | unseen: s over target | replica-hours | failed |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)
BOUNDS = (
    "| trace | platform | its s over | its hours | hours at least | with foresight: s over | hours | less than its |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def trace(rate: Callable[[float], float], hours: float, seed: int, noise: float = 0.3) -> Trace:
    """A rate a second, with noise of ±30 % that is the same in every run."""
    chance = random.Random(seed)
    seconds = range(int(hours * HOUR))
    rates = tuple(max(0.0, rate(at) * (1 + chance.uniform(-noise, noise))) for at in seconds)
    return Trace(tuple(float(at) for at in seconds), rates, float(len(seconds)))


def wave(at: float, hours: float) -> float:
    """1 at the start, -1 after half of the hours."""
    return math.cos(at / hours / HOUR * 2 * math.pi)


TRACES = {
    "step": trace(lambda at: 200 if HOUR / 2 <= at < HOUR else 10, 2, 1),
    "day": trace(lambda at: 160 - 140 * wave(at, 24), 24, 2),
    "spikes": trace(lambda at: 250 if at % 1800 > 1650 else 40, 4, 3),
    "noise": trace(lambda _: 120, 4, 4),
    "gusts": trace(lambda at: 150 * random.Random(at // 60).uniform(0.7, 1.3), 6, 6),
    "ramps": trace(lambda at: 20 + 280 * abs((at / 2400) % 2 - 1), 4, 5),
}
"""Requests/s: 10, then 200 for half an hour, then 10; a day between 20 and 300; 250 for 150 s in every 30 minutes, else
40; 120; another one each minute, 105 to 195; up and down between 20 and 300 in 80 minutes."""
UNSEEN = {
    "step'": trace(lambda at: 150 if HOUR / 3 <= at < HOUR else 25, 2, 11),
    "day'": trace(lambda at: 200 - 120 * wave(at, 24) - 60 * wave(at, 12), 24, 12, 0.2),
    "spikes'": trace(lambda at: 180 if at % 2400 > 2100 else 60, 4, 13),
    "noise'": trace(lambda _: 210, 4, 14),
    "gusts'": trace(lambda at: 110 * random.Random(at // 90 + 999).uniform(0.6, 1.4), 6, 16),
    "ramps'": trace(lambda at: 40 + 200 * abs((at / 1500) % 2 - 1), 4, 15, 0.15),
    "steps'": trace(lambda at: random.Random(at // 900 + 31).choice((15, 60, 140, 320)), 8, 17),
    "walk'": trace(lambda at: 130 + 60 * math.sin(at / 700) + 50 * math.sin(at / 2900), 8, 18),
}
"""Of the same kinds with other numbers and noise, and two more: one of four loads for each quarter of an hour, and two
waves that do not fit each other."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A hosted platform on a trace; `better` are those of our rules that have fewer seconds over the target, or none,
    for no higher bill."""

    trace: str
    platform: str
    run: Run
    better: Sequence[str]


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of each set of rules on a set of traces."""

    by_rule: dict[str, list[Run]] = field(default_factory=dict)

    def add(self, rule: str, run: Run) -> None:
        """One more."""
        self.by_rule.setdefault(rule, []).append(run)

    def sums(self, rule: str) -> str:
        """Of all of them, as columns."""
        runs = self.by_rule[rule]
        hours = sum(run.replica_hours for run in runs)
        return f"{sum(run.over for run in runs)} | {hours:.2f} | {sum(run.failed for run in runs)}"


def main() -> int:
    """The tables."""
    world, first, others = World(), Runs(), Runs()
    print(HEAD)
    seen = [pair for name, load in TRACES.items() for pair in _compared(name, load, world, first)]
    print(f"\nOther traces:\n\n{HEAD}")
    unseen = [pair for name, load in UNSEEN.items() for pair in _compared(name, load, world, others)]
    print(f"\nAll of them together:\n\n{SUMS}")
    for rule in first.by_rule:
        print(f"| {rule} | {first.sums(rule)} | {others.sums(rule)} |")
    print(f"\nPairs that hold: {_told(seen)}; of the other traces: {_told(unseen)}\n")
    _possible([pair for pair in (*seen, *unseen) if not pair.better], world)
    return 0 if {(pair.trace, pair.platform) for pair in seen if not pair.better} == OPEN else 1


def _compared(name: str, load: Trace, world: World, kept: Runs) -> list[Pair]:
    """Print a trace's lines, and keep its runs."""
    runs = {rule: simulate(load, ours(rules, rule), world) for rule, rules in RULES.items()}
    for rule, run in runs.items():
        kept.add(f"**{rule}**", run)
        print(f"| {name} | **{rule}** | {_numbers(run)} | |")
    pairs = []
    for policy in hosted(LEAST, MOST, world):
        pair = Pair(name, policy.name, other := simulate(load, policy, world), _better(runs, other))
        kept.add(policy.name, other)
        print(f"| {name} | {policy.name} | {_numbers(other)} | {next(iter(pair.better), '**none**')} |", flush=True)
        pairs.append(pair)
    return pairs


def _better(runs: Mapping[str, Run], other: Run) -> list[str]:
    return [name for name, one in runs.items() if one.replica_hours <= other.replica_hours and _less(one, other)]


def _less(run: Run, than: Run) -> bool:
    return run.over < than.over or run.over == 0


def _numbers(run: Run) -> str:
    return f"{run.over} | {run.replica_hours:.2f} | {run.flaps} | {run.failed}"


def _told(pairs: Sequence[Pair]) -> str:
    """How many of these pairs hold by each rule alone, and by any."""
    alone = (f"{sum(rule in pair.better for pair in pairs)} by {rule}" for rule in RULES)
    return f"{', '.join(alone)}, {sum(bool(pair.better) for pair in pairs)} of {len(pairs)} by one of them"


def _possible(pairs: Sequence[Pair], world: World) -> None:
    """Print what could be had at all where none of ours is better."""
    print(BOUNDS)
    known = TRACES | UNSEEN
    for pair in pairs:
        load, run = known[pair.trace], pair.run
        late = max(run.over - 1, 0)
        least, best = floor(load, late, LEAST, MOST, world), cheapest(load, late, LEAST, MOST, world)
        room = 1 - best.replica_hours / run.replica_hours
        print(
            f"| {pair.trace} | {pair.platform} | {run.over} | {run.replica_hours:.2f} | {least:.2f} "
            f"| {best.over} | {best.replica_hours:.2f} | {room:.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
