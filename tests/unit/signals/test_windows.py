"""Rules that look back further than every sample is kept: decisions from what the file still has."""

from __future__ import annotations

from pathlib import Path

import pytest

from paas.model.metrics import Series
from paas.model.scaling import Autoscale, Sample, TargetRule
from paas.plan.scaling import decide
from paas.signals.ring import Ring

WEB = Series("a1", "web")
START = 1_800_000_000.0 + 17  # no minute begins there
STEP = 10.0


def filled(home: Path, seconds: float, gap: tuple[float, float] = (0.0, 0.0)) -> tuple[Sample, ...]:
    """What is kept of so many seconds of a small load on five replicas, the latest at their end. `gap`: from when to
    when nothing was measured, in seconds before the end."""
    at = START
    ring = Ring(home, now=lambda: at)
    try:
        while at < START + seconds:
            at += STEP
            if not gap[1] <= START + seconds - at < gap[0]:
                ring.add({WEB: Sample(at, 5, {"requests": 20.0, "p95": 0.1})})
        return ring.recent("a1", "web", seconds)
    finally:
        ring.close()


@pytest.mark.parametrize("hours", [0.9, 1, 2, 24])
def test_a_window_of_any_length_that_is_taken_lets_go_in_the_end(tmp_path: Path, hours: float) -> None:
    window = hours * 3600
    samples = filled(tmp_path, window + 900)
    for metric, target, wanted in (("requests", 30.0, 1), ("p95", 0.5, 4)):
        rules = Autoscale(rules=(TargetRule(metric=metric, target=target),), in_window=window)
        assert decide(rules, 5, samples, samples[-1].at).wanted == wanted, metric
        early = [one for one in samples if one.at > samples[-1].at - window + 600]
        assert decide(rules, 5, early, samples[-1].at).wanted == 5, metric


@pytest.mark.parametrize("ago", [1000.0, 3600.0, 5400.0], ids=["every sample", "at the hour", "one a minute"])
def test_a_hole_in_a_long_window_still_lets_nothing_go(tmp_path: Path, ago: float) -> None:
    samples = filled(tmp_path, 8000, gap=(ago + 130, ago))
    rules = Autoscale(rules=(TargetRule(metric="requests", target=30.0),), in_window=7200.0)
    assert decide(rules, 5, samples, samples[-1].at).wanted == 5
