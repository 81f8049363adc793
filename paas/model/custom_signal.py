"""Words of signals that an app declares: where a number is read, and what those of several replicas come to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_SQL = re.compile(r"\s*(select|with|values|table)\b", re.IGNORECASE)
_REDIS = re.compile(
    r"\s*(llen|scard|zcard|zcount|hlen|xlen|get|hget|zscore|strlen|exists|pfcount|dbsize|bitcount)\b", re.IGNORECASE
)


class Combine(StrEnum):
    """What the values of an app's replicas come to. A sum falls on each one's part when there are more of them; an
    average and a maximum are what each of them is at."""

    SUM = "sum"
    AVERAGE = "average"
    MAXIMUM = "maximum"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomSignal:
    """A number of an app, read every `period` seconds.

    Either of the replicas of `process`: a GET of `path` at `port` (0: where the process listens), of whose answer
    `prometheus` (`name{label="value"}`) or `json` (a JSON pointer, RFC 6901) is the number, `combine`d over replicas.
    Or of a database: what `query`, SQL or a command of Redis, answers in the addon of that alias (empty: the only one
    that speaks its language).
    """

    name: str
    path: str = ""
    process: str = "web"
    port: int = 0
    prometheus: str = ""
    json: str = ""
    combine: Combine = Combine.SUM
    query: str = ""
    addon: str = ""
    period: float = 15.0


def language(query: str) -> str:
    """What a query is in, by its first word: `sql` or `redis`; empty: it is nothing that reads one number."""
    return "sql" if _SQL.match(query) else "redis" if _REDIS.match(query) else ""


class Standing(StrEnum):
    """How a signal is doing. `partial`: some replicas gave no number. `failing`: the last try failed, and the value
    before it stands for now. `dead`: there is no value. `waiting`: not read yet. `off`: nobody is to be asked."""

    OK = "ok"
    PARTIAL = "partial"
    FAILING = "failing"
    DEAD = "dead"
    WAITING = "waiting"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A signal as it is now. `value` is what counts (None: there is none), read at `at` (Unix seconds; 0: never). `why`
    is the cause, in one line, where it is not `ok`."""

    name: str
    state: Standing
    value: float | None = None
    at: float = 0.0
    why: str = ""
