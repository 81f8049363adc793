"""How many replicas: rules + samples → wanted, and why. One pure function, asked by whoever has samples.

Target tracking starts from the Kubernetes Horizontal Pod Autoscaler: replicas × value / target, a tolerance, and
windows in which the least (scale-out) or the most (scale-in) counts. What differs, as here a replica boots in seconds:

* CPU at its limit says what was done, not what was asked for. The requests that came say that, at what one of them has
  cost in CPU before; so a step in the load is answered by one decision, not by a row of doublings.
* A scale-out goes by the average of some seconds, or by one sample that is far beyond what noise explains.
* A scale-in goes only to a number that no moment of its window would have called back, and a scale-out soon after a
  scale-in needs more than usual. So noise changes the direction once in a window at most. Each scale-in that had to be
  undone all the same doubles the window for a while.

Step rules follow Elastic Beanstalk's triggers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median_high

from paas.model import schedule
from paas.model.metrics import TIERS
from paas.model.scaling import BY_HAND, FULL, Autoscale, Decision, Sample, Statistic, StepRule, TargetRule, written

CALM = 2
"""How many times the average is taken while a share of a limit is below it."""
SATURATED = 0.95
"""From this share of a limit on a signal cannot say how much more is wanted."""
GROWTH = 2.0
"""Factor by which replicas grow where nothing says by how much, and most by which latency makes them grow at once."""
URGENT = 1.2
"""What one sample alone has to be beyond the target, where otherwise the average of some seconds counts."""
REVERSAL = 0.15
"""The tolerance of a scale-out that would undo a scale-in of less than a window ago; it also averages twice as long."""
SPARE = 0.06
"""Share that a scale-in leaves over the highest need of its window."""
PATIENCE = 8
"""Most by which the window of a scale-in grows while scale-ins have to be undone soon, as by loads that vary a lot."""
LONG = 3600.0
"""Seconds that a window does not grow beyond: one as long as that is patient enough."""
SOON = 4
"""Windows within which a scale-out undoes a scale-in."""
MEMORY = 40
"""Windows for which that is remembered."""
BEYOND = 1e6
"""Replicas that are wanted at most: an app's own signal may say any number, and what is infinite cannot be counted."""
ROOM = 0.5
"""Below this share of its target a latency lets one replica go."""
STALE = 30.0
"""Seconds after which a sample says nothing about now, and between two of which something may have been missed; of
times of which fewer samples are kept, that much more than they are apart."""

_FOLD: dict[Statistic, Callable[[Sequence[float]], float]] = {
    Statistic.AVERAGE: lambda values: sum(values) / len(values),
    Statistic.MINIMUM: min,
    Statistic.MAXIMUM: max,
}


@dataclass(frozen=True, slots=True)
class _Proposal:
    """`silent`: it has nothing against what others propose. `over`: the seconds for which fewer were enough."""

    wanted: int
    why: str
    limit: str = ""
    silent: bool = False
    over: float = 0.0


@dataclass(frozen=True, slots=True)
class _Look:
    """What a decision is made from; samples are fresh or none, and taken at most `apart` seconds after one another."""

    rules: Autoscale
    replicas: int
    samples: Sequence[Sample]
    now: float
    history: Sequence[Decision]
    apart: float


def decide(
    rules: Autoscale,
    replicas: int,
    samples: Sequence[Sample],
    now: float,
    history: Sequence[Decision] = (),
    *,
    causes: Mapping[str, str] | None = None,
    apart: float = STALE,
) -> Decision:
    """How many replicas there should be. `samples` and `history` (earlier decisions) are in the order of time, as much
    of both as the longest window and a minute more. `causes` say of signals why they could not be read, as far as that
    is known. Where samples are more than `apart` seconds apart something was missed. The highest wanted of all rules
    wins; the bounds always hold."""
    fresh = samples if samples and now - samples[-1].at <= STALE else ()
    look = _Look(rules, replicas, fresh, now, history, apart)
    targets = [_target(look, rule) for rule in rules.rules if isinstance(rule, TargetRule)]
    steps = [_step(look, rule) for rule in rules.rules if isinstance(rule, StepRule)]
    target = max((one for one in targets if one), key=lambda one: one.wanted, default=None)
    proposed = target.wanted if target else None
    if target and target.wanted > replicas:
        target = _settled(look, target)
    missing = tuple(dict.fromkeys(one.metric for one in rules.rules if not _measured(look, one.metric)))
    found = _held(look, [one for one in (target, *steps) if one], unread(missing, causes or {}))
    return _bounded(look, found, proposed=proposed, missing=missing)


def unread(missing: Sequence[str], causes: Mapping[str, str]) -> str:
    """The signals that are missing, each with its cause where that is known; empty: none is."""
    return ", ".join(f"{name} ({causes[name]})" if name in causes else name for name in missing)


def _measured(look: _Look, metric: str) -> bool:
    return bool(look.samples) and _has(look.samples[-1], metric)


# --- targets -------------------------------------------------------------------------------------------------------


def _target(look: _Look, rule: TargetRule) -> _Proposal | None:
    """What one target asks for; None without data."""
    if not _measured(look, rule.metric):
        return None
    seen = _seen(look, rule, max(look.rules.in_window, _length(look, rule)))
    if rule.signal.tracked:
        return _tracked(look, rule, seen)
    return _felt(look, rule, seen)


def _seen(look: _Look, rule: TargetRule, window: float) -> list[Sample]:
    """The samples of a window, and of the average before it."""
    start = look.now - max(window, STALE) - _length(look, rule) - spacing(window)
    return [one for one in _since(look.samples, start) if _has(one, rule.metric)]


def _tracked(look: _Look, rule: TargetRule, seen: Sequence[Sample]) -> _Proposal:
    """A signal that falls in proportion to the replicas."""
    rules, replicas, need = look.rules, look.replicas, _needs(rule, seen)
    said = _said(rule, seen[-1], need[-1])
    turned = any(one.wanted < one.replicas for one in _recent(look, rules.in_window))
    beyond, full = _beyond(look, rule, turned=turned)
    longer, felt = 2 if turned else 1, _by_now(look, rule, seen, need)
    asked = _lately(look, seen, felt, _length(look, rule) * longer)
    if (soon := _lately(look, seen, felt, rules.average * longer)) > full:
        asked = max(asked, soon)
    if felt[-1] > beyond * URGENT:
        asked = max(asked, felt[-1])
    if asked > beyond:
        wanted = math.ceil(asked - 1e-9)
        return _Proposal(wanted, f"{said} wants {wanted}")
    if any(one.wanted > one.replicas for one in _recent(look, rules.in_window)):
        return _Proposal(replicas, f"{said}, and the last ones came less than {rules.in_window:g} s ago", "window")
    return _fewer(look, rule, said, seen, need[-1])


def _length(look: _Look, rule: TargetRule) -> float:
    """Over how long a signal is averaged: twice as long where there is a limit, for below it nobody waits."""
    return look.rules.average * (CALM if rule.signal.share else 1)


def _beyond(look: _Look, rule: TargetRule, *, turned: bool) -> tuple[float, float]:
    """From what need on there have to be more, and from what on the shorter average says so: at the limit, where what
    comes has to wait. `turned`: they would undo a scale-in, and need more than usual."""
    beyond = look.replicas * (1 + max(look.rules.tolerance, REVERSAL if turned else 0))
    limit = look.replicas * SATURATED / rule.of(look.replicas) if rule.signal.share else beyond
    return beyond, max(beyond, limit)


def _lately(look: _Look, seen: Sequence[Sample], need: Sequence[float], length: float) -> float:
    """What was needed on average of so many seconds."""
    return _mean([one for one, sample in zip(need, seen, strict=True) if sample.at > look.now - length])


def _needs(rule: TargetRule, seen: Sequence[Sample]) -> list[float]:
    """For each sample, how many replicas at their target its load asks for; at most as many as nobody has."""
    return [min(one, BEYOND) for one in _asked(rule, seen)]


def _by_now(look: _Look, rule: TargetRule, seen: Sequence[Sample], need: Sequence[float]) -> Sequence[float]:
    """The needs that may start replicas. What each replica is at by the app's own word is no load that they share: when
    more were there, as before a scale-in or with both versions of a deploy, that asks for no more of those of now."""
    if not rule.signal.average:
        return need
    return [one * min(1.0, look.replicas / max(1, sample.replicas)) for one, sample in zip(need, seen, strict=True)]


def _asked(rule: TargetRule, seen: Sequence[Sample]) -> list[float]:
    if rule.signal.shared:
        return [max(0.0, one.values[rule.metric]) / rule.target for one in seen]
    if rule.signal.average:
        return [max(0.0, one.values[rule.metric]) * max(1, one.replicas) / rule.target for one in seen]
    # By what was known before: else a little more load could take away what is known of its cost, and ask for less.
    cost = _cost(rule, seen[:-1])
    needs = [_need(rule, one, cost) for one in seen]
    if not cost and seen[-1].values[rule.metric] >= SATURATED:
        needs[-1] = max(needs[-1], GROWTH * max(1, seen[-1].replicas))
    return needs


def _cost(rule: TargetRule, seen: Sequence[Sample]) -> float:
    """What a request usually takes of a replica's limit; 0: not known."""
    costs = [
        one.values[rule.metric] * max(1, one.replicas) / one.values["requests"]
        for one in seen
        if 0 < one.values[rule.metric] < SATURATED and one.values.get("requests", 0.0) > 0
    ]
    return median_high(costs) if costs else 0.0


def _need(rule: TargetRule, one: Sample, cost: float) -> float:
    done = max(0.0, one.values[rule.metric]) * max(1, one.replicas)
    asked = max(0.0, one.values.get("requests", 0.0)) * cost if one.values[rule.metric] >= SATURATED else 0.0
    return _room(rule, max(done, asked))


def _room(rule: TargetRule, load: float) -> float:
    """How many replicas at their target hold a load of so many full ones."""
    if not rule.pooled:
        return load / rule.target
    spare = 1 - rule.target  # n - spare × √n = load
    return max(((spare + math.sqrt(spare * spare + 4 * load)) / 2) ** 2 if load else 0.0, load / FULL)


def _fewer(look: _Look, rule: TargetRule, said: str, seen: Sequence[Sample], need: float) -> _Proposal:
    """As few as no moment of the window would have called back, and some spare; as it is where something was missed."""
    window = look.rules.in_window
    wanted = _enough(look, rule, seen, window)
    if wanted < look.replicas and (longer := patient(window, _patience(look))) > window:
        window = longer
        wanted = max(wanted, _enough(look, rule, _seen(look, rule, window), window))
        if wanted >= look.replicas:
            why = f"{said} would take fewer, but not for {window:g} s yet, as scale-ins had to be undone lately"
            return _Proposal(look.replicas, why, "patience")
    if wanted >= look.replicas:
        waits = _whole(look, need) < look.replicas
        words = f"would take fewer, but not for {window:g} s yet" if waits else "is near enough"
        return _Proposal(look.replicas, f"{said} {words}")
    return _Proposal(wanted, f"{said}, and {wanted} were enough all of the last {window:g} s", over=window)


def _enough(look: _Look, rule: TargetRule, seen: Sequence[Sample], window: float) -> int:
    """The number for all of a window; today's where the window is not known from its start to its end."""
    if window and (_holes(look, seen) or seen[0].at > look.now - window):
        return look.replicas
    return _whole(look, _peak(look, rule, seen, _needs(rule, seen), window))


def _whole(look: _Look, need: float) -> int:
    """How many replicas hold what needs so many of them, with some spare."""
    return math.ceil(need * (1 + SPARE) / (1 + look.rules.tolerance) - 1e-9)


def patient(window: float, times: int) -> float:
    """Seconds that a window grows to when it is to be so many times as long."""
    return max(window, min(window * times, LONG))


def _holes(look: _Look, seen: Sequence[Sample]) -> bool:
    """Whether something may have been missed between two of these samples."""
    return any(after.at - before.at > look.apart + spacing(look.now - before.at) for before, after in pairwise(seen))


def spacing(age: float) -> float:
    """Seconds that the samples of so long ago are apart, beyond the period of sampling."""
    return next((tier.step for tier in TIERS if age < tier.keep - 2 * STALE), TIERS[-1].step)


def _patience(look: _Look) -> int:
    """How many times the window a scale-in waits: twice for each one lately that had to be undone soon."""
    window, undone = look.rules.in_window, 0
    changes = [one for one in _recent(look, MEMORY * window) if one.wanted != one.replicas]
    for after, before in pairwise(changes):
        if BY_HAND in (after.why, before.why):
            continue  # who scales by hand says nothing of the load
        soon = after.at - before.at <= SOON * window
        undone += soon and after.wanted > after.replicas and before.wanted < before.replicas
    return min(1 << undone, PATIENCE)


def _peak(look: _Look, rule: TargetRule, seen: Sequence[Sample], need: Sequence[float], window: float) -> float:
    """The highest need within the window: of averages, and of single samples by what is urgent about them."""
    peak, first, total, length = 0.0, 0, 0.0, _length(look, rule)
    for number, sample in enumerate(seen):
        total += need[number]
        while seen[first].at <= sample.at - length:
            total -= need[first]
            first += 1
        if sample.at > look.now - window or number == len(seen) - 1:
            peak = max(peak, total / (number + 1 - first), need[number] / URGENT)
    return peak


def _felt(look: _Look, rule: TargetRule, seen: Sequence[Sample]) -> _Proposal:
    """Latency is not proportional to the load: it says that there is room, or none, and little about how much."""
    rules, replicas = look.rules, look.replicas
    value = seen[-1].values[rule.metric]
    said = f"{rule.metric} {_shown(value)} of {_shown(rule.target)} s"
    if _changed(look, rules.warm_up):
        return _Proposal(replicas, f"{said}, but the last change is less than {rules.warm_up:g} s old", "warm-up")
    if value > rule.target * (1 + rules.tolerance):
        wanted = math.ceil(max(1, seen[-1].replicas) * min(value / rule.target, GROWTH))
        return _Proposal(max(replicas, wanted), f"{said} wants {wanted}")
    inside = [one.values[rule.metric] for one in seen if one.at > look.now - rules.in_window] or [value]
    known = seen[0].at <= look.now - rules.in_window and not _holes(look, seen)
    if known and not _changed(look, rules.in_window) and max(inside) < rule.target * ROOM:
        why = f"{said} or less for {rules.in_window:g} s: one may go"
        return _Proposal(replicas - 1, why, over=rules.in_window)
    return _Proposal(replicas, f"{said} is near enough")


def _settled(look: _Look, target: _Proposal) -> _Proposal:
    """More replicas, after the window of a scale-out: the least that was proposed in it."""
    window = look.rules.out_window
    recent = [one.proposed for one in _recent(look, window) if one.proposed is not None]
    wanted = max(look.replicas, min([target.wanted, *recent]))
    if wanted == target.wanted:
        return target
    return _Proposal(wanted, f"{target.why}, not for {window:g} s yet", "window")


# --- steps ---------------------------------------------------------------------------------------------------------


def _step(look: _Look, rule: StepRule) -> _Proposal | None:
    """What one trigger asks for; None without data. One without a lower threshold cannot say that fewer are too few, so
    within its upper one it says nothing; but what came of a trigger stays for the cooldown."""
    periods = max(rule.evaluations, math.ceil(rule.breach / rule.period))
    values = [_period(rule, look.samples, look.now - rule.period * number) for number in range(periods)]
    seen = [value for value in values if value is not None]
    if not _measured(look, rule.metric):
        return None
    unknown = _Proposal(look.replicas, f"{rule.metric}: not measured all of {periods} × {rule.period:g} s yet")
    if len(seen) < len(values):
        return unknown
    missed = _missed(look, rule, periods * rule.period)
    said = f"{rule.metric} {rule.statistic} {written(rule.metric, seen[0], 3)}"
    length = f"for {periods * rule.period:g} s"
    if rule.upper is not None and min(seen) > rule.upper:
        wanted, why = look.replicas + rule.add, f"{said}, over {written(rule.metric, rule.upper)} {length}"
    elif rule.lower is not None and max(seen) < rule.lower:
        wanted, why = look.replicas - rule.remove, f"{said}, under {written(rule.metric, rule.lower)} {length}"
    else:
        silent = rule.lower is None and not missed and not _added(look, rule.cooldown)
        return _Proposal(look.replicas, f"{said} is within its thresholds", silent=silent)
    if _changed(look, rule.cooldown):
        return _Proposal(look.replicas, f"{why}, in the cooldown of {rule.cooldown:g} s", "cooldown")
    return unknown if missed and wanted < look.replicas else _Proposal(wanted, why, over=periods * rule.period)


def _missed(look: _Look, rule: StepRule, length: float) -> bool:
    """Whether the signal has had no value for a while within so many seconds. What is missing lets no replica go; it
    keeps none from coming, for where all requests wait there are few latencies."""
    start = look.now - length
    inside = [one for one in _since(look.samples, start) if _has(one, rule.metric)]
    return _holes(look, [Sample(start, 0, {}), *inside])


def _added(look: _Look, seconds: float) -> bool:
    """Whether there were lately more than targets asked for."""
    return any(one.wanted > max(one.replicas, one.proposed or 0) for one in _recent(look, seconds))


def _period(rule: StepRule, samples: Sequence[Sample], end: float) -> float | None:
    """The statistic of the period that ends there; None when it was not measured from its start on."""
    inside = [one for one in _since(samples, end - rule.period) if one.at <= end and _has(one, rule.metric)]
    if not inside:
        return None
    apart = (inside[-1].at - inside[0].at) / (len(inside) - 1) if len(inside) > 1 else rule.period
    if samples[0].at > end - rule.period + apart * 1.01:
        return None
    if rule.statistic is Statistic.SUM:  # a rate, summed up over the period
        return sum(one.values[rule.metric] for one in inside) / len(inside) * rule.period
    shared = rule.signal.shared
    return _FOLD[rule.statistic]([one.values[rule.metric] / (max(1, one.replicas) if shared else 1) for one in inside])


# --- what comes of it ----------------------------------------------------------------------------------------------


def _held(look: _Look, found: Sequence[_Proposal], missing: str) -> _Proposal:
    """The highest proposal, after what may keep the number as it is; `missing` names the signals without a value."""
    if look.rules.paused:
        return _Proposal(look.replicas, "paused", "paused")
    if not found:
        why = f"no value of {missing}: the number is held" if missing else "no rule but the bounds"
        return _Proposal(look.replicas, why, "no data" if missing else "")
    best = max([one for one in found if not one.silent] or found, key=lambda one: one.wanted)
    if best.wanted < look.replicas and missing:
        return _Proposal(look.replicas, f"{best.why}, but there is no value of {missing}: none is let go", "no data")
    if best.wanted < look.replicas and not look.rules.scale_in:
        return _Proposal(look.replicas, f"{best.why}, but scale-in is off", "scale-in off")
    return replace(best, why=f"{best.why}; no value of {missing}") if missing else best


def _bounded(look: _Look, found: _Proposal, *, proposed: int | None, missing: tuple[str, ...]) -> Decision:
    least, most, scheduled = schedule.bounds(look.rules, look.now)
    wanted = min(max(found.wanted, least), most)
    limits, why = (found.limit,) if found.limit else (), found.why
    if wanted != found.wanted:
        bound = "max" if wanted < found.wanted else "min"
        limits, why = (*limits, bound), f"{why}; {bound} is {wanted}" + (f" by {scheduled}" if scheduled else "")
    return Decision(
        at=look.now, replicas=look.replicas, wanted=wanted, why=why, proposed=proposed, limits=limits,
        alarm=bool(missing), missing=missing, over=found.over if wanted < look.replicas else 0.0,
    )  # fmt: skip


def _has(sample: Sample, metric: str) -> bool:
    return math.isfinite(sample.values.get(metric, math.nan))


def _since(samples: Sequence[Sample], start: float) -> list[Sample]:
    """Those after `start`; looked for from the end, for there may be many before."""
    first = len(samples)
    while first and samples[first - 1].at > start:
        first -= 1
    return list(samples[first:])


def _recent(look: _Look, seconds: float) -> Iterator[Decision]:
    """Decisions of the last seconds, the latest first."""
    for one in reversed(look.history):
        if one.at <= look.now - seconds:
            return
        yield one


def _changed(look: _Look, seconds: float) -> bool:
    return any(one.wanted != one.replicas for one in _recent(look, seconds))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _said(rule: TargetRule, sample: Sample, need: float) -> str:
    signal, value = rule.signal, sample.values[rule.metric]
    if not signal.share:
        each = value / max(1, sample.replicas) if signal.shared else value
        return f"{rule.metric} {_shown(each)} of {_shown(rule.target)} {signal.unit}"
    text = f"{rule.metric} {value:.0%} of {rule.of(sample.replicas):.0%} {signal.unit}"
    if value < SATURATED:
        return text
    asks = need * rule.of(need) / max(1, sample.replicas)
    return f"{text}, and what came asks for {asks:.0%}"


def _shown(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
