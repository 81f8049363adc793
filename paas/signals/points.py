"""Pure: samples ↔ bytes, and many samples → few."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from paas.model.metrics import PEAKS
from paas.model.scaling import Sample

_PAIR = struct.Struct("<Hd")
MOST = 0xFFFF
"""The names that there are numbers for."""


def packed(values: Mapping[str, float], number: Mapping[str, int]) -> bytes:
    """Pairs of a name's number (1 to `MOST`) and its value; what is not finite or has no number is left out."""
    known = ((number[name], value) for name, value in values.items() if name in number and math.isfinite(value))
    return b"".join(_PAIR.pack(*pair) for pair in known)


def unpacked(data: bytes, name: Mapping[int, str]) -> dict[str, float]:
    """The values again. Names that are not known are left out. Raises struct.error for bytes that are cut off."""
    return {name[key]: value for key, value in _PAIR.iter_unpack(data) if key in name}


def averaged(samples: Iterable[Sample], seconds: float) -> Iterator[Sample]:
    """One sample for each span of so many seconds that has any, at its end; `samples` are in the order of time."""
    for number, members in groupby(samples, key=lambda one: math.ceil(one.at / seconds)):
        yield together(list(members), number * seconds)


def together(samples: Sequence[Sample], at: float) -> Sample:
    """The average of each value over the samples that have it, and the highest of those whose peaks count."""
    names = dict.fromkeys(name for one in samples for name in one.values if not name.endswith("_max"))
    values: dict[str, float] = {}
    for name in names:
        known = [one.values[name] for one in samples if name in one.values]
        values[name] = sum(known) / len(known)
        if name in PEAKS:
            values[f"{name}_max"] = max(one.values.get(f"{name}_max", one.values.get(name, 0.0)) for one in samples)
    return Sample(at, round(sum(one.replicas for one in samples) / len(samples)), values)
