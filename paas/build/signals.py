"""`[signals.NAME]` of `paas.toml`: pydantic models → the frozen values. Nothing but parsing and checking."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from paas.build.tables import Table, seconds
from paas.model.custom_signal import Combine, CustomSignal, language
from paas.model.metrics import is_custom

MOST = 10
"""Signals of one app: each is a request or a query every few seconds."""
LONGEST_QUERY = 4000

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_SERIES = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]{0,199}(\{\s*(\w+\s*=\s*"(\\.|[^"\\\n])*"\s*(,\s*)?){0,20}\})?')
_POINTER = re.compile(r"(/([^~/\x00-\x1f]|~[01])*)+")
_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")


def _path(value: str) -> str:
    if "://" in value or not value.startswith("/") or value.startswith("//"):
        raise ValueError(
            "expected a path such as /metrics: it is asked of the app's own replicas, never of another host"
        )
    if not _PATH.fullmatch(value) or len(value) > 1024:
        raise ValueError("expected a path such as /metrics, without spaces and quotes")
    return value


def _series(value: str) -> str:
    if not _SERIES.fullmatch(value):
        raise ValueError('expected the name of a series, with labels if need be: jobs_waiting{queue="mail"}')
    return value


def _pointer(value: str) -> str:
    if len(value) > 500 or not _POINTER.fullmatch(value):
        raise ValueError("expected a JSON pointer such as /queues/mail/depth")
    return value


def _query(value: str) -> str:
    spoken = language(value)
    if not spoken:
        example = "SELECT count(*) FROM jobs WHERE done_at IS NULL, or of Redis: LLEN jobs"
        raise ValueError(f"expected a query that reads one number: {example}")
    if spoken == "redis" and set(value) & set("\"'\n"):
        raise ValueError("a command of Redis is words with blanks between them, without quotes: LLEN jobs")
    # With a second statement it could end the transaction that cannot write, and the time limit with it.
    if ";" in value.rstrip().removesuffix(";"):
        raise ValueError("expected one statement: there is no ; but at its end (in a text: chr(59))")
    return value


class SignalTable(Table):
    """`[signals.NAME]`: a number of the app's own that autoscaling can follow."""

    path: Annotated[str, AfterValidator(_path)] = ""
    """A GET of this path is answered by each replica; with prometheus or json."""
    process: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")] = "web"
    """Whose replicas are asked."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = None
    """At which port. Else the one that web listens at; other processes have none of their own."""
    prometheus: Annotated[str, AfterValidator(_series)] = ""
    """Of an answer in Prometheus format: a series such as `jobs_waiting{queue="mail"}`; several are added up."""
    json_: Annotated[str, AfterValidator(_pointer), Field(alias="json")] = ""
    """Of an answer in JSON: a pointer to the number, such as `/queues/mail/depth`."""
    combine: Combine = Combine.SUM
    """What the numbers of several replicas come to: sum, average, maximum."""
    query: Annotated[str, Field(max_length=LONGEST_QUERY), AfterValidator(_query)] = ""
    """A query that answers one number, run in the app's database: SQL, or a command such as `LLEN jobs` in its Redis.
    Read-only, 3 s at most."""
    addon: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,59}$")] = ""
    """Alias of the database. Else the only one that takes such a query."""
    period: seconds(5, 600) = 15.0  # type: ignore[valid-type]
    """How often it is read."""

    def signal(self, name: str) -> CustomSignal:
        """As the frozen value."""
        return CustomSignal(
            name=name, path=self.path, process=self.process, port=self.port or 0, prometheus=self.prometheus,
            json=self.json_, combine=self.combine, query=self.query, addon=self.addon, period=self.period,
        )  # fmt: skip


def one_source(table: SignalTable) -> SignalTable:
    """The table, if it says one place where the number is. Raises ValueError."""
    if bool(table.path) == bool(table.query):
        raise ValueError("give either a path, which replicas answer, or a query for the database")
    if table.path and bool(table.prometheus) == bool(table.json_):
        raise ValueError("say what of the answer is the number: prometheus or json")
    if table.query and (table.prometheus or table.json_ or table.port or table.process != "web"):
        raise ValueError("a query takes no prometheus, json, port or process")
    if table.path and table.addon:
        raise ValueError("addon goes with a query")
    if table.path and table.process != "web" and not table.port:
        raise ValueError(f"at which port does {table.process} answer? Give port")
    return table


def named(tables: Mapping[str, SignalTable]) -> Mapping[str, SignalTable]:
    """The tables, if their names can be those of signals. Raises ValueError."""
    for name in tables:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a signal: use a letter, then letters, digits, - and _, 40 at most")
        if not is_custom(name) or name.endswith("_max"):
            raise ValueError(f"{name!r} is the platform's own: choose another name")
    return tables
