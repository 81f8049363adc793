"""Words of measuring: one look at everything, and what a process or replica came to between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from paas.model.route import Traffic
from paas.model.scaling import SIGNALS
from paas.model.service import Measured

STATUS = ("1xx", "2xx", "3xx", "4xx", "5xx")
"""Answers/s by class of status, among the values of a sample; they are no signals of rules."""

ABSOLUTE = {"cpu_cores": "cores", "memory_bytes": "bytes"}
"""The use behind `cpu` and `memory`, among the values of a sample: it stays comparable when limits change."""

BOOT = "boot"
"""Seconds from a replica's start until it was healthy: in the first sample after that, the mean of those that were."""

SLOWEST = 30
"""Seconds: what took longer is counted, and its latency taken as this."""

PEAKS = ("cpu", "memory", "cpu_cores", "memory_bytes")
"""Values whose highest is kept beside the average when samples are taken together, as `memory_bytes_max`."""


@dataclass(frozen=True, slots=True)
class Tier:
    """Samples `step` seconds apart (0: each one), kept for `keep` seconds."""

    step: int
    keep: float


TIERS = (Tier(0, 3600.0), Tier(60, 86_400.0), Tier(300, 7 * 86_400.0))
"""Of which time how many samples are kept, the finest first."""


def is_custom(name: str) -> bool:
    """Whether this is none of the platform's own values but a signal that an app declares."""
    return name.removesuffix("_max") not in {*SIGNALS, *STATUS, *ABSOLUTE, BOOT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What replicas without a limit may use: cores and bytes."""

    cpus: float
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything as it was at `at` (Unix seconds); `clock` never jumps. `traffic` by app id, None: the router does not
    answer. `in_flight` by address, None: cannot be known. `leaving`: ids of replicas that only finish what they have,
    measured for themselves, and no part of their process any more."""

    at: float
    clock: float
    measured: tuple[Measured, ...] = ()
    traffic: Mapping[str, Traffic] | None = None
    in_flight: Mapping[str, int] | None = None
    leaving: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """Whose samples: those of a process, or of one of its replicas (`web.1`)."""

    app_id: str
    name: str = field(default="")
