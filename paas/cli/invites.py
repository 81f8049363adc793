"""`invites`: how people come in."""

from __future__ import annotations

from typing import Annotated

import typer

from paas.cli.connection import ask
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import JsonOption
from paas.cli.output import put, put_json, say, table, when
from paas.cli.roles import checked_role

app = new_app(cls=ListByDefault)


@app.command("list")
def list_invites(as_json: JsonOption = False) -> None:
    """Show invites nobody has taken yet: yours; all of them, for an owner of the platform."""
    from paas.requests.logins import ListInvites

    answer = ask(ListInvites())
    if as_json:
        put_json(answer)
        return
    rows = [
        (
            one["id"],
            one["name"],
            one["role"],
            one["app"] or one["team"] or "-",
            one["created_by"],
            when(one["expires_at"]),
        )
        for one in answer
    ]
    table(["id", "name", "platform", "for", "by", "until"], rows, empty="none: paas invites create NAME")


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the user will be called.")],
    *,
    platform: Annotated[
        str, typer.Option("--platform", metavar="ROLE", help="Role on the platform; a deployer may make apps.")
    ] = "deployer",
    app: Annotated[str, typer.Option("--app", "-a", metavar="APP", help="Also a role on this app.")] = "",
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="The role on that app.")] = "deployer",
    team: Annotated[str, typer.Option("--team", metavar="TEAM", help="Also a place in this team.")] = "",
    hours: Annotated[float, typer.Option("--hours", metavar="N", min=0.01, max=720, help="Counts so long.")] = 72,
    as_json: JsonOption = False,
) -> None:
    """Make a code that lets somebody in, once. For a user that exists, it logs them in on another machine.

    The code is printed this once: give it to them by a way nobody else reads.
    """
    from paas.cli.contexts import chosen
    from paas.requests.logins import CreateInvite

    request = CreateInvite(
        name=name, role=checked_role(platform), app=app, app_role=checked_role(role), team=team, hours=hours
    )
    answer = ask(request)
    if as_json:
        put_json(answer)
        return
    put(answer["code"])
    say(f"for {answer['name']}, until {when(answer['expires_at'])}; it is not shown again. On their machine:")
    say(f"  paas login {chosen().server or answer.get('server') or 'https://…'} --invite CODE")


@app.command()
def revoke(invite: Annotated[str, typer.Argument(metavar="ID", help="The invite's id.")]) -> None:
    """Have an invite count no more."""
    from paas.requests.logins import RevokeInvite

    ask(RevokeInvite(invite=invite))
    say(f"{invite} counts no more")
