"""Pure: many samples → what they were all in all, for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from paas.model.autoscaling import Range, Summary
from paas.model.scaling import Sample


def summary(samples: Sequence[Sample], seconds: float, now: float) -> Summary | None:
    """Of those in the last `seconds`; None where there are none."""
    inside = [one for one in samples if now - seconds < one.at <= now]
    if not inside:
        return None
    names = sorted({name for one in inside for name in one.values})
    ranges = {name: _range([one.values[name] for one in inside if name in one.values]) for name in names}
    return Summary(seconds=seconds, count=len(inside), values={name: one for name, one in ranges.items() if one})


def _range(values: Sequence[float]) -> Range | None:
    known = [one for one in values if math.isfinite(one)]
    return Range(lowest=min(known), highest=max(known), average=sum(known) / len(known)) if known else None
