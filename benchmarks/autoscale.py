"""`python -m benchmarks.autoscale` (`make bench-autoscale`): our rules against those of hosted platforms, simulated.

Where another one has a lower bill (or fewer seconds over the latency target, at a higher one), the same rule is run
with other numbers until it costs no more: so the seconds are compared at equal or fewer replica-hours. The last column
says which numbers those were. Exit code 1 when none is better.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Iterator

from paas.model.scaling import DEFAULT, Autoscale, TargetRule
from paas.plan.hosted import hosted
from paas.plan.simulate import Run, Trace, World, ours, simulate

LEAST, MOST = 1, 20
HOUR = 3600
OTHERS = (
    (0.75, 120, 20), (0.81, 90, 20), (0.92, 90, 20), (0.95, 90, 20), (0.95, 30, 20), (0.98, 30, 20), (0.87, 120, 5),
    (0.98, 30, 5),
)  # fmt: skip
"""Target, window of a scale-in and most replicas that are tried beside the default ones."""


SAME = 1.005
"""Bills this close are equal: a policy that is late by minutes saves those minutes."""


def trace(rate: Callable[[float], float], hours: float, seed: int, noise: float = 0.3) -> Trace:
    """A rate a second, with noise of ±30 % that is the same in every run."""
    chance = random.Random(seed)
    seconds = range(int(hours * HOUR))
    rates = tuple(max(0.0, rate(at) * (1 + chance.uniform(-noise, noise))) for at in seconds)
    return Trace(tuple(float(at) for at in seconds), rates, float(len(seconds)))


TRACES = {
    "step": trace(lambda at: 200 if HOUR / 2 <= at < HOUR else 10, 2, 1),
    "day": trace(lambda at: 160 - 140 * math.cos(at / 24 / HOUR * 2 * math.pi), 24, 2),
    "spikes": trace(lambda at: 250 if at % 1800 > 1650 else 40, 4, 3),
    "noise": trace(lambda _: 120, 4, 4),
    "gusts": trace(lambda at: 150 * random.Random(at // 60).uniform(0.7, 1.3), 6, 6),
    "ramps": trace(lambda at: 20 + 280 * abs((at / 2400) % 2 - 1), 4, 5),
}
"""Requests/s: 10, then 200 for half an hour, then 10; a day between 20 and 300; 250 for 150 s in every 30 minutes, else
40; 120; another one each minute, 105 to 195; up and down between 20 and 300 in 80 minutes."""


def main() -> int:
    """The table."""
    world, worse = World(), []
    print("| trace | rules | s over target | replica-hours | flaps | failed | ours at no higher bill |")
    print("| --- | --- | ---: | ---: | ---: | ---: | --- |")
    for name, load in TRACES.items():
        tried = [simulate(load, ours(_rules(DEFAULT.target, Autoscale().in_window, MOST)), world)]
        more = _others(load, world)
        print(f"| {name} | **paas** | {_numbers(tried[0])} | |")
        for other in (simulate(load, one, world) for one in hosted(LEAST, MOST, world)):
            best = _best(tried, more, other)
            shown = f"{best.over} s, {best.replica_hours:.2f} h: {best.policy}" if best else "none"
            print(f"| {name} | {other.policy} | {_numbers(other)} | {shown} |", flush=True)
            worse += [] if best and _better(best, other) else [f"{name}: {other.policy}"]
    print("\nbetter everywhere" if not worse else f"\nnot better: {', '.join(worse)}")
    return 1 if worse else 0


def _rules(target: float, window: float, most: int) -> Autoscale:
    rule = TargetRule(metric=DEFAULT.metric, target=target)
    return Autoscale(least=LEAST, most=most, rules=(rule,), in_window=window)


def _others(load: Trace, world: World) -> Iterator[Run]:
    for target, window, most in OTHERS:
        yield simulate(load, ours(_rules(target, window, most), f"{target:.0%}, {window:g} s, max {most}"), world)


def _best(tried: list[Run], more: Iterator[Run], other: Run) -> Run | None:
    """The first of ours that is better for no higher bill; others are run only while there is none."""
    while True:
        if good := [one for one in tried if one.replica_hours <= other.replica_hours * SAME and _better(one, other)]:
            return good[0]
        if (run := next(more, None)) is None:
            return None
        tried.append(run)


def _better(run: Run, than: Run) -> bool:
    """Fewer seconds over the target; none is as good as it gets, then the bill alone decides."""
    return run.over < than.over or run.over == 0


def _numbers(run: Run) -> str:
    return f"{run.over} | {run.replica_hours:.2f} | {run.flaps} | {run.failed}"


if __name__ == "__main__":
    sys.exit(main())
