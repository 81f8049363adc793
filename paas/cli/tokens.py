"""`tokens`: for programs such as CI."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paas.cli.connection import ask
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import JsonOption
from paas.cli.output import ago, put, put_json, say, table, when
from paas.cli.roles import checked_role

app = new_app(cls=ListByDefault)

TokenArgument = Annotated[str, typer.Argument(metavar="ID", help="The token's id, as `paas tokens` shows it.")]
UserOption = Annotated[str, typer.Option("--user", metavar="USER", help="Of this user (owners of the platform).")]
KIND = "personal"


@app.command("list")
def list_tokens(user: UserOption = "", as_json: JsonOption = False) -> None:
    """Show your tokens, what they may, and when they were used last."""
    show(KIND, user, as_json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for: github-actions.")],
    *,
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="The highest it may.")] = "deployer",
    apps: Annotated[
        list[str] | None, typer.Option("--app", "-a", metavar="APP", help="Only on this app; may be repeated.")
    ] = None,
    days: Annotated[
        float, typer.Option("--days", metavar="N", min=0, max=3650, help="Counts so long; 0: for ever.")
    ] = 365,
    user: UserOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a token for a program. It is printed this once: `PAAS_TOKEN=$(paas tokens create ci -a shop)`.

    It may what you may, at most its role, only on its apps, and never more than you at that moment.
    """
    from paas.requests.logins import CreateToken

    request = CreateToken(name=name, role=checked_role(role), apps=tuple(apps or ()), days=days, user=user)
    _made(ask(request), as_json)


@app.command()
def rotate(
    token: TokenArgument,
    days: Annotated[
        float, typer.Option("--days", metavar="N", min=0, max=3650, help="From now on; 0: as long as before.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Give a token another secret, printed this once. The old one counts no more."""
    from paas.requests.logins import RotateToken

    _made(ask(RotateToken(token=token, days=days)), as_json)


@app.command()
def revoke(token: TokenArgument) -> None:
    """End a token. What it has open ends within a second."""
    from paas.requests.logins import RevokeToken

    ask(RevokeToken(token=token))
    say(f"{token} counts no more")


def show(kind: str, user: str, as_json: bool) -> None:
    """Tokens of one kind as a table."""
    from paas.requests.logins import ListTokens

    answer = [one for one in ask(ListTokens(user=user)) if one["kind"] == kind]
    if as_json:
        put_json(answer)
        return
    rows = [
        (
            one["id"] + (" *" if one["current"] else ""), one["name"], one["user"] or "-",
            one["role"] if one["apps"] is None else f"{one['role']} on {', '.join(one['apps']) or 'nothing'}",
            f"{ago(one['used_at'])} ago, {one['used_from']}" if one["used_at"] else "never",
            when(one["expires_at"]) if one["expires_at"] else "-",
        )
        for one in answer
    ]  # fmt: skip
    table(["id", "name", "user", "may at most", "used", "until"], rows, empty="none")


def _made(answer: Any, as_json: bool) -> None:
    if as_json:
        put_json(answer)
        return
    put(answer["token"])
    where = "everywhere you may" if answer["apps"] is None else f"on {', '.join(answer['apps'])}"
    until = f"until {when(answer['expires_at'])}" if answer["expires_at"] else "for ever"
    say(f"{answer['name']} ({answer['id']}): {answer['role']} at most, {where}, {until}; it is not shown again")
