"""`users`: who is on the platform."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paas.cli.confirm import confirmed
from paas.cli.connection import ask
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import ConfirmOption, JsonOption
from paas.cli.output import ago, put_json, say, table
from paas.cli.roles import checked_role

app = new_app(cls=ListByDefault)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The user.")]
RoleArgument = Annotated[
    str, typer.Argument(metavar="ROLE", help="On the platform: viewer, deployer (makes apps), operator or owner.")
]


@app.command("list")
def list_users(as_json: JsonOption = False) -> None:
    """Show the users you share an app or a team with; all of them, for an owner of the platform."""
    from paas.requests.people import ListUsers

    answer = ask(ListUsers())
    if as_json:
        put_json(answer)
        return
    rows = [
        (one["name"], one["role"], ", ".join(one["teams"]) or "-", f"{ago(one['created_at'])} ago") for one in answer
    ]
    table(["name", "platform", "teams", "since"], rows, empty="nobody yet: paas invites create NAME")


@app.command()
def add(name: NameArgument, role: RoleArgument = "viewer", as_json: JsonOption = False) -> None:
    """Add a user without an invite, for a machine: `paas tokens create deploy --user NAME` lets it in."""
    from paas.requests.people import AddUser

    _told(ask(AddUser(name=name, role=checked_role(role))), as_json, "is a user now")


@app.command("set")
def set_role(name: NameArgument, role: RoleArgument, as_json: JsonOption = False) -> None:
    """Change a user's role on the platform."""
    from paas.requests.people import ChangeUser

    _told(ask(ChangeUser(user=name, role=checked_role(role))), as_json, f"is {role} on the platform")


@app.command()
def remove(name: NameArgument, confirm: ConfirmOption = "", as_json: JsonOption = False) -> None:
    """Remove a user with all tokens, sessions, keys and roles. Apps they made stay."""
    from paas.requests.people import RemoveUser

    typed = confirmed(name, confirm, f"takes the user {name} away, with all tokens, sessions and keys")
    _told(ask(RemoveUser(user=name, confirm=typed)), as_json, "is gone; what they had open ends within a second")


def _told(answer: Any, as_json: bool, what: str) -> None:
    if as_json:
        put_json(answer)
        return
    say(f"{answer['name']} {what}")
