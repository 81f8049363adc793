"""`members`: who may what on an app."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paas.cli.connection import ask
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import put_json, say, table
from paas.cli.roles import checked_role
from paas.cli.target import app_of
from paas.errors import UsageError

app = new_app(cls=ListByDefault)

TeamOption = Annotated[str, typer.Option("--team", metavar="TEAM", help="A whole team instead of a user.")]


@app.command("list")
def list_members(app: AppOption = "", as_json: JsonOption = False) -> None:
    """Show who may what on an app, by themselves and through teams. Owners of the platform may everything."""
    from paas.requests.people import ListMembers

    _shown(ask(ListMembers(app=app_of(app))), as_json)


@app.command()
def add(
    words: Annotated[list[str], typer.Argument(metavar="[USER] ROLE", help="viewer, deployer, operator or owner.")],
    team: TeamOption = "",
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Give a user or a team a role on an app, or change it: `paas members add bob deployer`."""
    from paas.requests.people import PutMember

    if len(words) != (1 if team else 2):
        raise UsageError("name a user and a role, or --team and a role", hint="paas members add bob deployer -a shop")
    user = "" if team else words[0]
    _shown(ask(PutMember(app=app_of(app), user=user, team=team, role=checked_role(words[-1]))), as_json)


@app.command()
def remove(
    user: Annotated[str, typer.Argument(metavar="[USER]", help="The user.")] = "",
    team: TeamOption = "",
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Take a user's or a team's role on an app away."""
    from paas.requests.people import RemoveMember

    _shown(ask(RemoveMember(app=app_of(app), user=user, team=team)), as_json)


@app.command()
def leave(app: AppOption = "") -> None:
    """Give up your own role on an app."""
    from paas.requests.people import LeaveApp

    wanted = app_of(app)
    ask(LeaveApp(app=wanted))
    say(f"you have no role of your own on {wanted} any more")


def _shown(answer: Any, as_json: bool) -> None:
    if as_json:
        put_json(answer)
        return
    rows = [(one["name"], one["kind"], one["role"], ", ".join(one["through"]) or "-") for one in answer]
    table(["name", "kind", "role", "through"], rows, empty="nobody but the owners of the platform")
