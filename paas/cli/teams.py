"""`teams`: people who share apps."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paas.cli.confirm import confirmed
from paas.cli.connection import ask
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import ConfirmOption, JsonOption
from paas.cli.output import facts, put_json, say, table

app = new_app(cls=ListByDefault)

TeamArgument = Annotated[str, typer.Argument(metavar="TEAM", help="The team.")]
UserArgument = Annotated[str, typer.Argument(metavar="USER", help="The user.")]


@app.command("list")
def list_teams(as_json: JsonOption = False) -> None:
    """Show your teams; all of them, for an owner of the platform."""
    from paas.requests.people import ListTeams

    answer = ask(ListTeams())
    if as_json:
        put_json(answer)
        return
    rows = [
        (one["name"], "leads it" if one["role"] == "owner" else "member", one["members"], one["apps"]) for one in answer
    ]
    table(["name", "you", "members", "apps"], rows, empty="no teams")


@app.command()
def show(team: TeamArgument, as_json: JsonOption = False) -> None:
    """Show a team's members and its apps."""
    from paas.requests.people import ShowTeam

    _shown(ask(ShowTeam(team=team)), as_json)


@app.command()
def create(team: TeamArgument, as_json: JsonOption = False) -> None:
    """Make a team. You lead it."""
    from paas.requests.people import CreateTeam

    _shown(ask(CreateTeam(name=team)), as_json)
    if not as_json:
        say(f"next: paas teams add {team} USER; paas members add --team {team} deployer -a APP")


@app.command()
def add(
    team: TeamArgument,
    user: UserArgument,
    lead: Annotated[bool, typer.Option("--lead", help="To lead the team: may add and remove members.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Add a user to a team, or change whether they lead it."""
    from paas.requests.people import PutTeamMember

    _shown(ask(PutTeamMember(team=team, user=user, role="owner" if lead else "viewer")), as_json)


@app.command()
def remove(team: TeamArgument, user: UserArgument, as_json: JsonOption = False) -> None:
    """Remove a user from a team: what they may through it ends."""
    from paas.requests.people import RemoveTeamMember

    _shown(ask(RemoveTeamMember(team=team, user=user)), as_json)


@app.command()
def destroy(team: TeamArgument, confirm: ConfirmOption = "", as_json: JsonOption = False) -> None:
    """Take a team away. Its apps and its people stay; what they may through it ends."""
    from paas.requests.people import DestroyTeam

    typed = confirmed(team, confirm, f"takes the team {team} away, and what its members may through it")
    answer = ask(DestroyTeam(team=team, confirm=typed))
    if as_json:
        put_json(answer)
        return
    say(f"the team {answer['name']} is gone")


def _shown(answer: Any, as_json: bool) -> None:
    if as_json:
        put_json(answer)
        return
    members = [f"{name}{' (leads it)' if role == 'owner' else ''}" for name, role in answer["members"].items()]
    apps = [f"{name} ({role})" for name, role in answer["apps"].items()]
    facts([("team", answer["name"]), ("members", ", ".join(members)), ("apps", ", ".join(apps))])
