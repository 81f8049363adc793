"""`audit`: who did what."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Annotated, Any

import typer

from paas.cli.connection import ask
from paas.cli.lazy import new_app
from paas.cli.options import JsonOption
from paas.cli.output import put, put_json, say, table, when
from paas.errors import PlatformError, UsageError

app = new_app()


@app.command()
def audit(
    *,
    app: Annotated[str, typer.Option("--app", "-a", metavar="APP", help="Only this app, also one that is gone.")] = "",
    user: Annotated[str, typer.Option("--user", metavar="USER", help="Only what this user did.")] = "",
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="10m, 2h, 3d, or 2026-01-31T12:00.")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="N", min=1, max=10_000, help="The last ones.")] = 100,
    verify: Annotated[bool, typer.Option("--verify", help="Look through the whole log: was it changed?")] = False,
    head: Annotated[
        str, typer.Option("--head", metavar="SERIAL:DIGEST", help="With --verify: what an earlier look printed.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Show who did, or tried to do, what: of an app for its owners, of everything for the platform's."""
    from paas.requests.people import ListAudit, VerifyAudit

    if verify or head:
        _verified(ask(VerifyAudit(head=head)), as_json)
        return
    answer = ask(ListAudit(app=app, user=user, since=_since(since), limit=lines))
    if as_json:
        put_json(answer)
        return
    rows = [
        (
            when(one["at"]),
            one["actor"],
            one["via"],
            one["outcome"],
            one["request"],
            one["app"] or "-",
            _facts(one["facts"]),
        )
        for one in answer
    ]
    table(["time", "who", "by", "outcome", "what", "app", "facts"], rows, empty="nothing is written down")


def _verified(answer: Any, as_json: bool) -> None:
    if as_json:
        put_json(answer)
    if answer["broken"]:
        raise PlatformError(
            f"the audit log does not hold from record {answer['broken']} on: {answer['cause']}",
            hint="compare with a backup of the store; who may write to it may be the server's user alone",
        )
    if not as_json:
        put(answer["head"])
        say(f"all {answer['records']} records hold; keep the line above elsewhere: paas audit --verify --head LINE")


def _facts(facts: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in facts.items() if key != "app")


def _since(text: str) -> float:
    """Unix seconds of a span back from now, or of a local time. Raises UsageError."""
    if found := re.fullmatch(r"(\d{1,9})([smhd])", text):
        return max(0.0, time.time() - int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]])
    try:
        return datetime.fromisoformat(text).timestamp() if text else 0.0
    except ValueError:
        raise UsageError(f"{text[:40]!a} is no time", hint="10m, 2h, 3d, or 2026-01-31T12:00") from None
