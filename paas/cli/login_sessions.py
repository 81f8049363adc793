"""`sessions`: where one is logged in."""

from __future__ import annotations

from typing import Annotated

import typer

from paas.cli import tokens
from paas.cli.connection import ask
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import JsonOption
from paas.cli.output import say
from paas.errors import UsageError

app = new_app(cls=ListByDefault)


@app.command("list")
def list_sessions(user: tokens.UserOption = "", as_json: JsonOption = False) -> None:
    """Show where you are logged in; the star is this one."""
    tokens.show("session", user, as_json)


@app.command()
def revoke(
    session: Annotated[str, typer.Argument(metavar="[ID]", help="The session.")] = "",
    others: Annotated[bool, typer.Option("--others", help="All of yours but this one.")] = False,
) -> None:
    """End a session. What it has open ends within a second."""
    from paas.requests.logins import ListTokens, RevokeToken
    from paas.requests.people import WhoAmI

    if bool(session) == others:
        raise UsageError("name a session, or --others", hint="paas sessions")
    me = ask(WhoAmI())["name"] if others else ""
    mine = ask(ListTokens()) if others else []
    going = [one["id"] for one in mine if one["kind"] == "session" and not one["current"] and one["user"] == me]
    for one in going if others else [session]:
        ask(RevokeToken(token=one))
        say(f"{one} counts no more")
