"""`paas alerts`: what people want to hear of, and how it is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paas.cli.connection import ask
from paas.cli.lazy import new_app
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import ago, put_json, table
from paas.cli.target import app_of

app = new_app()


@app.command()
def alerts(
    name: Annotated[str, typer.Argument(metavar="[APP]", help="The app; else as with --app.", show_default=False)] = "",
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show the alerts that paas.toml declares, and how each is: ok, pending, firing, silent."""
    from paas.requests.alerts import ListAlerts

    answer = ask(ListAlerts(app=app_of(name or app)))
    if as_json:
        put_json(answer)
        return
    table(
        ["alert", "process", "metric", "bound", "for", "now", "state", "since"],
        [_row(one) for one in answer],
        empty="no alerts: [alerts.NAME] of paas.toml",
    )


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    from paas.plan.alerts import amount, lasting

    metric = one["metric"]
    bounds = [f"{word} {amount(metric, one[word])}" for word in ("above", "below") if one[word] is not None]
    now = "-" if one["value"] is None else amount(metric, one["value"])
    since = ago(one["since"])
    return one["name"], one["process"], metric, ", ".join(bounds), lasting(one["lasts"]), now, one["state"], since
