"""What a login with limits, or one whose role went, is told, and what goes with roles, teams and tokens."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from paas.client import Client
from paas.errors import Conflict, NotFound, NotLoggedIn, UsageError
from paas.model.app import Attachment
from paas.model.people import Grant, Membership
from paas.requests import addons, apps, logins, people
from tests.unit.permissions.world import BOSS, MINE, TEAM, THEIRS, World, ask, client

# --- what is told ---------------------------------------------------------------------------------------------------


def test_a_token_with_limits_is_told_of_itself_alone(server: World) -> None:
    owner = server.tokens["app:owner"]
    server.store.put_grant(Grant(app_id=THEIRS.id, role="owner", user_id=server.store.user("app-owner").id))
    ask(server, owner, logins.CreateToken(name="elsewhere", apps=("theirs",)))
    ask(server, owner, logins.CreateInvite(name="zoe", app="theirs", role="viewer"))
    ci = ask(server, owner, logins.CreateToken(name="ci", apps=("mine",), role="owner"))
    assert [one["name"] for one in ask(server, ci["token"], logins.ListTokens())] == ["ci"]
    assert ask(server, ci["token"], logins.ListInvites()) == []
    assert len(ask(server, owner, logins.ListTokens())) > 2
    assert len(ask(server, owner, logins.ListInvites())) == 1


def test_a_token_does_not_tell_the_new_name_of_an_app_whose_role_went(server: World) -> None:
    user = server.user("zoe")
    server.store.put_grant(Grant(app_id=THEIRS.id, role="viewer", user_id=user.id))
    whole = server.token(user)
    limited = ask(server, whole, logins.CreateToken(name="x", apps=("theirs",)))["token"]
    server.store.delete_grant(THEIRS.id, user_id=user.id)
    server.store.save_app(replace(THEIRS, name="secret-plan"))
    for token in (whole, limited):
        for request in (people.WhoAmI(), logins.ListTokens()):
            assert "secret-plan" not in json.dumps(ask(server, token, request))
    assert "secret-plan" in json.dumps(ask(server, BOSS, logins.ListTokens(user="zoe")))


def test_whose_apps_use_an_addon_is_told_to_who_may_see_those(server: World) -> None:
    addon = server.store.addon("mine-db")
    server.store.attach(Attachment(addon_id=addon.id, app_id=THEIRS.id, alias="DATABASE"))
    for request in (
        addons.DestroyAddon(addon="mine-db", confirm="mine-db"),
        addons.DetachAddon(addon="mine-db", app="mine"),
        apps.DestroyApp(app="mine", confirm="mine", addons=True),
    ):
        said = []
        for token in (server.tokens["app:owner"], BOSS):
            with pytest.raises(Conflict) as caught:
                list(client(server, token).follow(request))
            said.append("theirs" in json.dumps(caught.value.as_dict()))
        assert said == [False, True], type(request)


# --- invites --------------------------------------------------------------------------------------------------------


def test_invites_of_a_person_at_the_socket_are_no_users_of_that_name(server: World) -> None:
    with Client.connect(server.settings, "zoe") as local:
        made = local.ask(logins.CreateInvite(name="yan"))
    zoe = server.token(server.user("zoe"))
    assert ask(server, zoe, logins.ListInvites()) == []
    with pytest.raises(NotFound):
        ask(server, zoe, logins.RevokeInvite(invite=made["id"]))
    ask(server, BOSS, people.RemoveUser(user="zoe", confirm="zoe"))
    assert [one["name"] for one in ask(server, BOSS, logins.ListInvites())] == ["yan"]


def test_what_a_token_of_no_user_invited_ends_with_it(server: World) -> None:
    token = server.token(None, name="setup")
    code = ask(server, token, logins.CreateInvite(name="yan"))["code"]
    other = ask(server, BOSS, logins.CreateInvite(name="zoe"))["code"]
    ask(server, BOSS, logins.RevokeToken(token=token.split("_")[1]))
    with client(server, "", anonymous=True) as anyone:
        with pytest.raises(NotLoggedIn):
            anyone.ask(logins.AcceptInvite(code=code))
        assert anyone.ask(logins.AcceptInvite(code=other))["user"] == "zoe"


# --- teams and tokens -----------------------------------------------------------------------------------------------


def test_an_owner_takes_a_team_off_the_app_without_being_in_it(server: World) -> None:
    owner = server.tokens["app:owner"]
    left = ask(server, owner, people.RemoveMember(app="mine", team="shared-deployer"))
    assert "shared-deployer" not in [one["name"] for one in left]
    said = []
    for team in (TEAM.name, "absent"):
        with pytest.raises(NotFound) as caught:
            ask(server, owner, people.RemoveMember(app="mine", team=team))
        said.append(json.dumps(caught.value.as_dict()).replace(team, "X"))
    assert said[0] == said[1], "what teams there are beside the app's own is not told"


def test_a_team_that_alone_owns_an_app_keeps_somebody(server: World) -> None:
    lead = server.store.user("team-owner")
    server.store.put_grant(Grant(app_id=MINE.id, role="owner", team_id=TEAM.id))
    for grant in server.store.grants(app_id=MINE.id):
        if grant.team_id != TEAM.id:
            server.store.delete_grant(MINE.id, user_id=grant.user_id, team_id=grant.team_id)
    for one in server.store.memberships(team_id=TEAM.id):
        if one.user_id != lead.id:
            server.store.delete_membership(TEAM.id, one.user_id)
    token = server.tokens["team:owner"]
    for request in (
        people.RemoveTeamMember(team=TEAM.name, user="team-owner"),
        people.DestroyTeam(team=TEAM.name, confirm=TEAM.name),
    ):
        with pytest.raises(Conflict, match="no owner"):
            ask(server, token, request)
    server.store.put_membership(Membership(team_id=TEAM.id, user_id=server.store.user("bob").id, role="viewer"))
    ask(server, token, people.RemoveTeamMember(team=TEAM.name, user="team-owner"))
    ask(server, BOSS, people.DestroyTeam(team=TEAM.name, confirm=TEAM.name))


def test_an_expired_token_is_not_rotated_into_one_that_counts_no_more(server: World) -> None:
    owner = server.tokens["app:owner"]
    made = ask(server, owner, logins.CreateToken(name="ci", days=1))
    server.context.clock.sleep(2 * 86_400)  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="has expired"):
        ask(server, owner, logins.RotateToken(token=made["id"]))
    fresh = ask(server, owner, logins.RotateToken(token=made["id"], days=1))
    assert ask(server, fresh["token"], people.WhoAmI())["name"] == "app-owner"
