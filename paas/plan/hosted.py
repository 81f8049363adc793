"""How hosted platforms scale, by what they publish as their defaults: what our rules are compared with. Pure.

Where a default is in a unit that a trace of requests does not have, the nearest is taken and said here. All four get
the same bounds, and see every sample the moment it is taken, without the minute or two in which theirs arrives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from paas.model.scaling import Autoscale, Decision, Sample, StepRule
from paas.plan.scaling import decide
from paas.plan.simulate import Policy, World, queued

MINUTE = 60.0


def hosted(least: int, most: int, world: World) -> tuple[Policy, ...]:
    """All four."""
    return (elastic_beanstalk(least, most), ecs(least, most), heroku(least, most, world), kubernetes(least, most))


def elastic_beanstalk(least: int, most: int) -> Policy:
    """Period 5 minutes, 1 evaluation, breach 5 minutes, ±1 instance, cooldown 360 s. Its thresholds, NetworkOut over
    6 MB and under 2 MB, become 60 % and 20 % of CPU: the same three to one. By *Auto Scaling triggers for your Elastic
    Beanstalk environment* and the options of `aws:autoscaling:trigger` and `aws:autoscaling:asg`."""
    rule = StepRule(metric="cpu", upper=0.6, lower=0.2, period=5 * MINUTE, breach=5 * MINUTE, cooldown=360)
    rules = Autoscale(least=least, most=most, rules=(rule,))
    return Policy(
        name="Elastic Beanstalk",
        period=MINUTE,
        least=least,
        most=most,
        decide=lambda replicas, samples, now, history: decide(
            rules, replicas, samples, now, history, apart=MINUTE * 1.01
        ),
    )


def kubernetes(least: int, most: int) -> Policy:
    """A look every 15 s, 80 % of CPU, tolerance 10 %; out without a window, by 4 or twofold in 15 s at most; in to the
    most that was wanted in 300 s. By *Horizontal Pod Autoscaling*, "Default behavior", and the reference of
    `autoscaling/v2`."""
    target, tolerance, window = 0.8, 0.1, 300.0

    def made(replicas: int, samples: Sequence[Sample], now: float, history: Sequence[Decision]) -> Decision:
        last = samples[-1]
        ratio = last.values["cpu"] / target
        asked = math.ceil(last.replicas * ratio - 1e-9) if abs(ratio - 1) > tolerance else replicas
        recent = [one.proposed for one in history[-20:] if one.at > now - window and one.proposed is not None]
        # The controller starts with the number it finds as its first recommendation.
        young = not history or history[0].at > now - window
        wanted = asked if asked >= replicas else min(replicas, max([asked, *recent, *([replicas] if young else [])]))
        wanted = min(wanted, max(2 * replicas, replicas + 4))
        return _made(now, replicas, wanted, (least, most), asked)

    return Policy(name="Kubernetes HPA", period=15.0, least=least, most=most, decide=made)


def ecs(least: int, most: int) -> Policy:
    """Target tracking of 75 % CPU (its documentation's example; there is no default), with metrics of a minute (those
    of 20 s have to be asked for), as its alarms are made: 3 minutes over the target, 15 minutes under nine tenths of
    it; cooldowns of 300 s, in which more may still be added. The cooldowns by its API's
    `TargetTrackingScalingPolicyConfiguration`."""
    target, cooldown = 0.75, 300.0

    def made(replicas: int, samples: Sequence[Sample], now: float, history: Sequence[Decision]) -> Decision:
        busy = [one.values["cpu"] for one in samples[-15:]]
        changed = [one for one in history[-5:] if one.wanted != one.replicas and one.at > now - cooldown]
        wanted = replicas
        if len(busy) >= 3 and min(busy[-3:]) > target:
            # In the cooldown of a scale-out only what is beyond that scale-out is added.
            wanted = math.ceil(samples[-1].replicas * busy[-1] / target - 1e-9)
            wanted = max(replicas, wanted)
        elif len(busy) == 15 and max(busy) < 0.9 * target and not changed:
            wanted = max(1, math.ceil(samples[-1].replicas * max(busy) / target - 1e-9))
            wanted = min(replicas, wanted)
        return _made(now, replicas, wanted, (least, most), wanted)

    return Policy(name="ECS target tracking", period=MINUTE, least=least, most=most, decide=made)


def heroku(least: int, most: int, world: World) -> Policy:
    """One dyno more or fewer, a minute apart at least, towards the fewest whose p95 is within the target at the present
    throughput: by its page *Autoscaling*, "Autoscaling Logic". It says that it learns that number from the past hour;
    here it knows it, from the very queue that is simulated. It says that it lets go less readily than it adds and not
    by how much: here when fewer were enough in each of 5 minutes, which is kind to its bill."""

    def enough(sample: Sample) -> int:
        load = sample.values["requests"]
        return next((one for one in range(1, most) if holds(one, load / one / world.capacity)), most)

    def holds(replicas: int, busy: float) -> bool:
        return busy < 1 and world.latency + queued(replicas, min(round(busy, 3), 0.99), world) <= world.target

    def made(replicas: int, samples: Sequence[Sample], now: float, history: Sequence[Decision]) -> Decision:
        recent = [enough(one) for one in samples[-5:]]
        wanted = replicas
        if recent[-1] > replicas or samples[-1].values["p95"] > world.target:
            wanted += 1
        elif len(recent) == 5 and max(recent) < replicas:
            wanted -= 1
        return _made(now, replicas, wanted, (least, most), recent[-1])

    return Policy(name="Heroku p95", period=MINUTE, least=least, most=most, decide=made)


def _made(now: float, replicas: int, wanted: int, bounds: tuple[int, int], proposed: int) -> Decision:
    inside = min(max(wanted, bounds[0]), bounds[1])
    return Decision(at=now, replicas=replicas, wanted=inside, why="by its published defaults", proposed=proposed)
