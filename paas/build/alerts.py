"""`[alerts.NAME]` of `paas.toml`: pydantic models → the frozen values. Nothing but parsing and checking."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from paas.build.autoscale import amount, declared, known
from paas.build.tables import Table, seconds
from paas.model.alert import ERRORS, METRICS, Alert

MOST = 20
"""Alerts of one app."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def _metric(name: str, info: ValidationInfo) -> str:
    return known(name, (*METRICS, *declared(info)))


class AlertTable(Table):
    """`[alerts.NAME]`: what people are told of once it has lasted for a while."""

    metric: Annotated[str, AfterValidator(_metric)]
    """What is looked at: a signal of autoscaling, `errors`, `2xx` to `5xx`, or a signal of the app's own."""
    process: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")] = "web"
    """Whose."""
    above: float | str | None = None
    """Too much: `"800ms"`, `"5%"`, 200."""
    below: float | str | None = None
    """Too little."""
    lasts: seconds(0, 86_400) = 300.0  # type: ignore[valid-type]
    """How long without a break before it is told."""

    def alert(self, name: str) -> Alert:
        """As the frozen value."""
        return Alert(
            name=name, metric=self.metric, process=self.process, above=_level(self.metric, self.above),
            below=_level(self.metric, self.below), lasts=self.lasts,
        )  # fmt: skip


def bounded(table: AlertTable) -> AlertTable:
    """The table, if it can fire and can end. Raises ValueError."""
    above, below = _level(table.metric, table.above), _level(table.metric, table.below)
    if above is None and below is None:
        raise ValueError("give above, below, or both")
    if below == 0:
        raise ValueError("nothing is below 0: this would never fire")
    if above is not None and below is not None and below >= above:
        raise ValueError(f"below ({below:g}) has to be less than above ({above:g}): every value is beyond one of them")
    return table


def named(tables: Mapping[str, AlertTable]) -> Mapping[str, AlertTable]:
    """The tables, if their names can be those of alerts. Raises ValueError."""
    for name in tables:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot name an alert: use a letter, then letters, digits, - and _, 40 at most")
    return tables


def _level(metric: str, value: float | str | None) -> float | None:
    if value is None:
        return None
    if str(value).strip() in ("0", "0.0", "0%"):
        return 0.0
    return amount(metric, value, share=True if metric == ERRORS else None)
