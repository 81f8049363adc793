"""What could be had at all: replicas by a plan that knows every request of the trace before it comes.

`foreseen` is a plan that can be carried out, at the looks the platform has: what it comes to is possible. `cheapest` is
the lowest bill of some such plans. `floor` is what no plan can be below. What lies between the two is open.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace

from paas.model.scaling import Decision, Sample
from paas.plan.simulate import PERIOD, Policy, Run, Trace, World, queued, simulate

HOUR = 3600
SMOOTHED = 0.1
"""Share of the newest second in the load that a queue feels, as in the simulation."""

WAITS = (1.0, 1.04, 1.1, 1.2, 1.3, 1.4)
"""So many times the target may plans have people wait."""


def floor(load: Trace, late: int, least: int, most: int, world: World) -> float:
    """Replica-hours that any plan pays which is over the target for so many seconds at most.

    A replica answers no more than its capacity, and there are never fewer than `least`. Only who comes in a second over
    the target may be lost, as one that is lost waited for `timeout`: the fullest ones are taken. At the end of the
    trace as many may wait as the target bears.
    """
    rates = [rate for _, rate in load.seconds()]
    waiting = most * world.capacity * (world.target - world.latency)
    work = sum(rates) - sum(heapq.nlargest(late, rates)) - waiting
    return max(work / world.capacity, least * len(rates)) / HOUR


def foreseen(load: Trace, least: int, most: int, world: World) -> Policy:
    """At each look the fewest replicas with which no second is over the target until those of the next look are
    ready. It saves nothing by letting people wait."""
    rates = [rate for _, rate in load.seconds()]
    start = load.times[0]
    planned = dict[float, int]()

    def made(replicas: int, samples: Sequence[Sample], now: float, history: Sequence[Decision]) -> Decision:
        if not planned:
            planned.update(_plan(rates, start, replicas, (least, most), world))
        return Decision(at=now, replicas=replicas, wanted=planned[now], why="by foresight")

    return Policy(name="foresight", period=PERIOD, least=least, most=most, decide=made)


def cheapest(load: Trace, late: int, least: int, most: int, world: World) -> Run:
    """The run with the lowest bill of those by plans with foresight that let people wait, over the target for so many
    seconds at most; that of the plan which lets nobody wait where there is none."""
    plans = (foreseen(load, least, most, replace(world, target=times * world.target)) for times in WAITS)
    first, *others = (simulate(load, plan, world) for plan in plans)
    return min([first, *(run for run in others if run.over <= late)], key=lambda run: run.replica_hours)


def _plan(
    rates: Sequence[float], start: float, replicas: int, bounds: tuple[int, int], world: World
) -> dict[float, int]:
    """The number for each look, from the second one of the trace's periods on."""
    period, boot = int(PERIOD), int(world.boot)
    queue, plan = _Queue(world, 0.0, rates[0]), dict[float, int]()
    for rate in rates[:period]:
        queue.second(rate, replicas)
    for at in range(period, len(rates), period):
        ahead = rates[at : at + period + boot]
        for count in range(bounds[0], bounds[1] + 1):
            tried = _Queue(world, queue.waiting, queue.felt)
            late = [tried.second(rate, min(count, replicas) if n < boot else count) for n, rate in enumerate(ahead)]
            if not any(late if count < replicas else late[boot:]):
                break
        for n, rate in enumerate(ahead[:period]):
            queue.second(rate, min(count, replicas) if n < boot else count)
        plan[start + at] = replicas = count
    return plan


class _Queue:
    """The simulation's queue, as far as a plan needs it."""

    def __init__(self, world: World, waiting: float, felt: float) -> None:
        self.world, self.waiting, self.felt = world, waiting, felt

    def second(self, rate: float, ready: int) -> bool:
        """Whether this one is over the target."""
        world, capacity = self.world, ready * self.world.capacity
        self.waiting = min(max(0.0, self.waiting + rate - capacity), capacity * world.timeout)
        self.felt += (rate - self.felt) * SMOOTHED
        if self.waiting > 1e-6:
            return world.latency + self.waiting / capacity > world.target
        busy = round(min(self.felt / capacity, 0.99), 3)
        return world.latency + queued(ready, busy, world) > world.target
