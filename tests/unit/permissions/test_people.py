"""People from the invite to the end, over HTTP: what a login may, what ends it, and what guessing leads to."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

import paas.server.guesses
from paas.client import Client
from paas.errors import Conflict, Denied, NotFound, NotLoggedIn, TooManyAttempts, UsageError
from paas.model.app import Release, ReleaseKind
from paas.model.people import digest_of
from paas.requests import apps, git, logins, people, sessions
from paas.requests.addons import FetchBackup, ListBackups, RestoreAddon
from paas.requests.base import Request
from paas.server.guesses import ALL, BURST, MOST, PERIOD, Guesses
from paas.usecases.logins import PREFIX
from tests.unit.permissions.world import BOSS, MINE, TEAM, Waiting, World, ask, client
from tests.unit.usecases.test_keys import public


def invited(server: World, code: str, label: str = "laptop") -> Any:
    return client(server, "", anonymous=True).ask(logins.AcceptInvite(code=code, label=label))


# --- invites --------------------------------------------------------------------------------------------------------


def test_an_invite_makes_a_user_once_with_what_it_says(server: World) -> None:
    invite = logins.CreateInvite(name="zoe", role="viewer", app="mine", app_role="operator", team=TEAM.name)
    made = ask(server, BOSS, invite)
    code = made["code"]
    assert made["server"] == "", "this platform has no host of its own"
    login = invited(server, code)
    me = ask(server, login["token"], people.WhoAmI())
    assert (me["name"], me["role"], me["apps"], me["teams"]) == (
        "zoe",
        "viewer",
        {"mine": "operator"},
        {TEAM.name: "viewer"},
    )
    assert (me["kind"], me["token_name"]) == ("session", "laptop")
    with pytest.raises(NotLoggedIn) as again:
        invited(server, code)
    with pytest.raises(NotLoggedIn) as wrong:
        invited(server, "paasinvite_0123456789ab_" + "x" * 43)
    assert again.value.as_dict() == wrong.value.as_dict()
    tries = [(one.actor, one.outcome) for one in server.store.records() if one.request == "AcceptInvite"]
    assert tries == [("zoe", "allowed"), ("nobody", "denied"), ("nobody", "denied")]
    assert ask(server, BOSS, logins.ListInvites()) == []


def test_an_invite_expires_and_can_be_revoked(server: World) -> None:
    first = ask(server, BOSS, logins.CreateInvite(name="zoe", hours=1.0))
    second = ask(server, BOSS, logins.CreateInvite(name="yan", hours=1.0))
    ask(server, BOSS, logins.RevokeInvite(invite=second["id"]))
    server.context.clock.sleep(3601)  # type: ignore[attr-defined]
    for code in (first["code"], second["code"]):
        with pytest.raises(NotLoggedIn):
            invited(server, code)
    assert "zoe" not in [user.name for user in server.store.users()]


def test_a_label_that_cannot_name_a_session_uses_no_code_up(server: World) -> None:
    code = ask(server, BOSS, logins.CreateInvite(name="zoe"))["code"]
    with pytest.raises(UsageError, match="cannot name a token"):
        invited(server, code, "zoe/laptop")
    assert "zoe" not in [user.name for user in server.store.users()]
    assert invited(server, code)["user"] == "zoe"


def test_nobody_invites_higher_than_they_are(server: World) -> None:
    owner = server.tokens["app:owner"]  # owns an app, and is a viewer on the platform
    with pytest.raises(Denied, match="cannot give the role deployer"):
        ask(server, owner, logins.CreateInvite(name="zoe", app="mine", role="deployer"))
    code = ask(server, owner, logins.CreateInvite(name="zoe", app="mine", role="viewer", app_role="owner"))["code"]
    assert invited(server, code)["user"] == "zoe"
    for refused in ("app:operator", "platform:operator", "team:viewer"):
        with pytest.raises((Denied, NotFound)):
            ask(server, server.tokens[refused], logins.CreateInvite(name="eve", app="mine", role="viewer"))


def test_a_code_for_a_user_that_exists_is_made_by_owners_of_the_platform_alone(server: World) -> None:
    """Else the owner of an app could become the owner of the platform."""
    with pytest.raises(Conflict):
        ask(server, server.tokens["app:owner"], logins.CreateInvite(name="platform-owner", app="mine", role="viewer"))
    code = ask(server, BOSS, logins.CreateInvite(name="platform-owner"))["code"]
    assert ask(server, invited(server, code)["token"], people.WhoAmI())["role"] == "owner"


def test_an_invite_for_a_name_that_was_taken_meanwhile_leads_into_nobodys_account(server: World) -> None:
    code = ask(server, server.tokens["app:owner"], logins.CreateInvite(name="zoe", app="mine", role="viewer"))["code"]
    server.user("zoe", "owner")
    with pytest.raises(Conflict):
        invited(server, code)


def test_an_invite_of_somebody_who_went_counts_no_more(server: World) -> None:
    code = ask(server, server.tokens["app:owner"], logins.CreateInvite(name="zoe", app="mine", role="viewer"))["code"]
    ask(server, BOSS, people.RemoveUser(user="app-owner", confirm="app-owner"))
    with pytest.raises(NotLoggedIn):
        invited(server, code)


@pytest.mark.parametrize(
    "change",
    [
        people.RemoveTeamMember(team="shared-owner", user="through-owner"),
        people.RemoveMember(app="mine", team="shared-owner"),
        people.PutMember(app="mine", team="shared-owner", role="operator"),
        people.DestroyTeam(team="shared-owner", confirm="shared-owner"),
    ],
    ids=lambda change: type(change).__name__,
)
def test_an_invite_ends_with_the_role_that_allowed_it_also_one_through_a_team(server: World, change: Request) -> None:
    """A code kept by who was put out would bring them back."""
    invite = logins.CreateInvite(name="zoe", app="mine", app_role="owner", role="viewer")
    code = ask(server, server.tokens["through:owner"], invite)["code"]
    other = ask(server, server.tokens["app:owner"], replace(invite, name="yan"))["code"]
    ask(server, BOSS, change)
    with pytest.raises(NotLoggedIn):
        invited(server, code)
    assert invited(server, other)["user"] == "yan", "others' invites stay"


def test_who_comes_by_an_invite_to_an_app_stands_in_its_log(server: World) -> None:
    made = ask(server, server.tokens["app:owner"], logins.CreateInvite(name="zoe", app="mine", role="viewer"))
    invited(server, made["code"])
    records = ask(server, server.tokens["app:owner"], people.ListAudit(app="mine"))
    (came,) = [one for one in records if one["request"] == "PutMember"]
    assert (came["actor"], came["via"], came["facts"]["role"]) == ("zoe", "invite", "deployer")


def test_ones_invites_are_not_anothers(server: World) -> None:
    made = ask(server, server.tokens["app:owner"], logins.CreateInvite(name="zoe", app="mine", role="viewer"))
    assert ask(server, server.tokens["app:viewer"], logins.ListInvites()) == []
    with pytest.raises(NotFound):
        ask(server, server.tokens["app:operator"], logins.RevokeInvite(invite=made["id"]))


# --- tokens ---------------------------------------------------------------------------------------------------------


def test_a_token_is_kept_as_a_digest_and_shown_once(server: World) -> None:
    made = ask(server, server.tokens["app:owner"], logins.CreateToken(name="ci", apps=("mine",), days=1.0))
    kept = server.store.token(made["id"])
    assert made["token"].startswith(f"{PREFIX}_{made['id']}_")
    assert kept.digest == digest_of(made["token"].split("_", 2)[2])
    secret = made["token"].split("_", 2)[2]
    for path in (server.settings.home).rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path
    (line,) = [one for one in ask(server, server.tokens["app:owner"], logins.ListTokens()) if one["id"] == made["id"]]
    assert secret not in json.dumps(line)
    assert line["used_at"] == 0
    ask(server, made["token"], people.WhoAmI())
    assert server.store.token(made["id"]).used_from == "127.0.0.1"


def test_an_expired_a_revoked_and_a_rotated_token_answer_alike(server: World) -> None:
    owner = server.tokens["app:owner"]
    made = [ask(server, owner, logins.CreateToken(name=f"t{i}", days=i)) for i in (1, 0, 0)]
    ask(server, owner, logins.RevokeToken(token=made[1]["id"]))
    fresh = ask(server, owner, logins.RotateToken(token=made[2]["id"]))
    server.context.clock.sleep(2 * 86_400)  # type: ignore[attr-defined]
    said = set()
    for token in (*(one["token"] for one in made), f"{PREFIX}_0123456789ab_{'x' * 43}", "x", made[2]["token"] + "x"):
        with pytest.raises(NotLoggedIn) as caught:
            ask(server, token, people.WhoAmI())
        said.add(json.dumps(caught.value.as_dict()))
    assert len(said) == 1
    assert ask(server, fresh["token"], people.WhoAmI())["token"] == made[2]["id"]


def test_a_token_with_limits_makes_none_without(server: World) -> None:
    for who in ("token:owner", "free:owner"):
        for request in (
            logins.CreateToken(name="more", role="owner"),
            logins.RotateToken(token="x"),
            git.AddKey(name="laptop", public=public(1)),
            logins.CreateInvite(name="zoe", app="mine", role="viewer"),
        ):
            with pytest.raises(Denied) as caught:
                ask(server, server.tokens[who], request)
            assert type(request).__name__ not in caught.value.message, "people know commands and not classes"
    made = ask(server, server.tokens["app:deployer"], logins.CreateToken(name="big", role="owner"))
    with pytest.raises(Denied):
        ask(server, made["token"], apps.RenameApp(app="mine", name="other"))


def test_only_owners_of_the_platform_make_and_see_tokens_of_others(server: World) -> None:
    with pytest.raises(Denied):
        ask(server, server.tokens["app:owner"], logins.CreateToken(name="x", user="platform-owner"))
    with pytest.raises(Denied):
        ask(server, server.tokens["app:owner"], logins.ListTokens(user="bob"))
    made = ask(server, BOSS, logins.CreateToken(name="x", user="bob"))
    assert ask(server, made["token"], people.WhoAmI())["name"] == "bob"
    with pytest.raises(NotFound):
        ask(server, server.tokens["app:owner"], logins.RevokeToken(token=made["id"]))
    with pytest.raises(NotFound):
        ask(server, server.tokens["app:owner"], logins.RotateToken(token=made["id"]))


def test_whoever_logs_out_is_out(server: World) -> None:
    token = server.tokens["free:viewer"]
    ask(server, token, logins.Logout())
    with pytest.raises(NotLoggedIn):
        ask(server, token, people.WhoAmI())
    with pytest.raises(UsageError):
        ask(server, BOSS, logins.Logout())


@pytest.mark.parametrize(
    "name",
    ["", "a b", "A", "root", "server", "a\n", "é", "\u202eeve", "a/b", "../x", "a:b", "-a", "a" * 41, "1a", "%00"],
)
def test_a_hostile_name_names_nobody(server: World, name: str) -> None:
    for request in (
        people.AddUser(name=name or "x y"),
        people.CreateTeam(name=name if name not in ("root", "server") else "x y"),
        logins.CreateInvite(name=name or "x y"),
    ):
        with pytest.raises(UsageError):
            ask(server, BOSS, request)


# --- what ends ------------------------------------------------------------------------------------------------------


def test_a_removed_user_keeps_nothing_and_the_name_begins_anew(server: World) -> None:
    token = server.tokens["app:deployer"]
    ask(server, token, git.AddKey(name="laptop", public=public(1)))
    key = next(
        line for line in (server.settings.home / "authorized_keys").read_text().splitlines() if "restrict" in line
    )
    assert "git-shell app-deployer:laptop" in key
    ask(server, BOSS, people.RemoveUser(user="app-deployer", confirm="app-deployer"))
    with pytest.raises(NotLoggedIn):
        ask(server, token, people.WhoAmI())
    assert "restrict" not in (server.settings.home / "authorized_keys").read_text()
    for acting in ("key app-deployer:laptop", f"token {token.split('_')[1]}"):
        with Client.connect(server.settings, acting) as local, pytest.raises(NotLoggedIn):
            local.ask(apps.ListApps())
    again = server.user("app-deployer")
    assert server.store.roles(again.id) == {}


def test_the_last_owner_of_an_app_and_of_the_platform_stay(server: World) -> None:
    owner = server.tokens["app:owner"]
    server.store.delete_grant(MINE.id, team_id="0shared-owner")
    for request in (
        people.RemoveMember(app="mine", user="app-owner"),
        people.PutMember(app="mine", user="app-owner", role="viewer"),
        people.LeaveApp(app="mine"),
    ):
        with pytest.raises(Conflict, match="no owner"):
            ask(server, owner, request)
    ask(server, owner, people.PutMember(app="mine", user="bob", role="owner"))
    ask(server, owner, people.LeaveApp(app="mine"))
    with pytest.raises(NotFound):
        ask(server, owner, apps.ShowApp(app="mine"))
    with pytest.raises(Conflict, match="last owner"):
        ask(server, BOSS, people.RemoveUser(user="platform-owner", confirm="platform-owner"))


def test_what_a_user_pushes_by_key_goes_on_as_that_user(server: World) -> None:
    token = server.tokens["app:deployer"]
    ask(server, token, git.AddKey(name="laptop", public=public(1)))
    with Client.connect(server.settings, "key app-deployer:laptop") as local:
        assert local.ask(people.WhoAmI())["name"] == "app-deployer"
        assert [one["name"] for one in local.ask(apps.ListApps())] == ["mine"]
        with pytest.raises(NotFound):
            local.ask(apps.ShowApp(app="theirs"))
    with Client.connect(server.settings, "key nobody:laptop") as local, pytest.raises(NotLoggedIn):
        local.ask(apps.ListApps())
    with client(server, server.tokens["app:viewer"]) as remote, pytest.raises(Denied):
        remote.session(git.GitSession(app="mine", service="receive-pack"), Waiting())


def test_keys_are_ones_own(server: World) -> None:
    ask(server, server.tokens["app:owner"], git.AddKey(name="laptop", public=public(1)))
    other = server.tokens["theirs:owner"]
    assert ask(server, other, git.ListKeys()) == []
    with pytest.raises(NotFound):
        ask(server, other, git.RemoveKey(name="laptop"))
    with pytest.raises(Conflict) as caught:
        ask(server, other, git.AddKey(name="laptop", public=public(1)))
    assert "app-owner" not in str(caught.value.as_dict())
    ask(server, other, git.AddKey(name="laptop", public=public(2)))
    assert {one["user"] for one in ask(server, BOSS, git.ListKeys())} == {"app-owner", "theirs-owner"}
    ask(server, other, git.RemoveKey(name="laptop"))


def test_a_backup_of_a_database_that_had_the_name_before_is_not_the_next_ones(server: World) -> None:
    folder = server.settings.home / "backups" / "mine-db-0badcafe"
    folder.mkdir(parents=True)
    (folder / "20260101T000000Z.dump").write_bytes(b"theirs")
    line = {"addon": "mine-db", "addon_id": "0badcafe", "kind": "postgres", "at": 1.0, "size": 6, "sha256": "x"}
    (folder / "20260101T000000Z.json").write_text(json.dumps(line))
    owner = server.tokens["app:owner"]
    assert ask(server, owner, ListBackups(addon="mine-db")) == []
    assert len(ask(server, BOSS, ListBackups(addon="mine-db"))) == 1
    status, text = server.ask(FetchBackup, {"addon": "mine-db", "backup": "20260101T000000Z"}, owner)
    assert status == 404, text
    request = RestoreAddon(addon="mine-db", confirm="mine-db", backup="20260101T000000Z")
    with pytest.raises(NotFound):
        list(client(server, owner).follow(request))


# --- guessing -------------------------------------------------------------------------------------------------------


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is forgotten meanwhile, however slow this machine is."""
    monkeypatch.setattr(paas.server.guesses, "PERIOD", 86_400.0)


@pytest.mark.usefixtures("patient")
def test_who_guesses_waits_whatever_address_they_say_they_have_and_others_do_not(server: World) -> None:
    good = server.tokens["app:viewer"]
    ask(server, good, people.WhoAmI())
    for number in range(BURST):
        answer = server.get(
            "/me", "wrong", headers={"X-Forwarded-For": f"10.0.0.{number}", "X-Real-IP": f"10.9.9.{number}"}
        )
        assert answer.status_code == 401
    for attempt in (
        lambda: server.get("/me", "wrong", headers={"Forwarded": "for=10.0.0.1"}),
        lambda: server.get("/me", server.tokens["app:owner"]),
        lambda: server.get("/git/mine.git/info/refs?service=git-upload-pack", basic="wrong"),
        lambda: server.get("/login", method="POST", json={"code": "x"}),
    ):
        assert attempt().status_code == 429
    assert ask(server, good, people.WhoAmI()), "who was here before goes on"
    with pytest.raises(TooManyAttempts):
        ask(server, "wrong", people.WhoAmI())
    with Client.connect(server.settings) as local:
        assert local.ask(people.WhoAmI()), "so does this machine's owner"


@pytest.mark.usefixtures("patient")
def test_codes_are_guessed_at_the_same_price(server: World) -> None:
    for _ in range(BURST):
        assert server.get("/login", method="POST", json={"code": "x"}).status_code == 401
    assert server.get("/login", method="POST", json={"code": "x"}).status_code == 429


def test_failures_are_forgotten_in_time_and_never_fill_the_memory() -> None:
    now = [0.0]
    guesses = Guesses(now=lambda: now[0])
    for _ in range(BURST):
        assert guesses.wait("a") == 0
        guesses.failed("a")
    assert guesses.wait("a") == pytest.approx(PERIOD)
    assert guesses.wait("b") == 0
    now[0] += PERIOD
    assert guesses.wait("a") == 0
    for number in range(MOST * 2):
        guesses.failed(f"2001:db8::{number}")
    assert len(guesses._levels) == MOST
    assert guesses.wait("c") > 0, f"all together may show {ALL}"
    now[0] += PERIOD * BURST * 10
    assert guesses.wait("c") == 0


# --- the log --------------------------------------------------------------------------------------------------------


def test_the_log_tells_owners_of_an_app_what_was_done_to_it_and_outlives_it(server: World) -> None:
    token = server.tokens["app:owner"]
    ask(server, token, people.PutMember(app="mine", user="bob", role="viewer"))
    with pytest.raises(Denied):
        ask(server, server.tokens["app:viewer"], people.PutMember(app="mine", user="bob", role="owner"))
    lines = ask(server, token, people.ListAudit(app="mine"))
    assert [(one["actor"], one["request"], one["outcome"]) for one in lines] == [
        ("app-owner", "PutMember", "allowed"), ("app-viewer", "PutMember", "denied"),
    ]  # fmt: skip
    assert lines[0]["facts"]["user"] == "bob"
    with pytest.raises(Denied):
        ask(server, token, people.ListAudit())
    server.store.delete_app(MINE.id)
    assert len(ask(server, BOSS, people.ListAudit(app="mine"))) >= 2
    verdict = ask(server, BOSS, people.VerifyAudit())
    assert verdict["broken"] == 0
    assert ask(server, BOSS, people.VerifyAudit(head=verdict["head"]))["broken"] == 0


def test_no_secret_gets_into_the_log(server: World) -> None:
    made = ask(server, BOSS, logins.CreateToken(name="x", user="bob"))
    code = ask(server, BOSS, logins.CreateInvite(name="zoe"))["code"]
    invited(server, code)
    log = str(server.store.records(limit=0)) + str(server.store.events(limit=0))
    for secret in (made["token"], code, made["token"].split("_", 2)[2], code.split("_", 2)[2]):
        assert secret not in log


def test_a_session_may_not_be_opened_by_whoever_may_not(server: World) -> None:
    fields = {"app": "mine", "command": ["id"]}
    for kind in (sessions.RunCommand, sessions.ExecCommand):
        assert server.ask(kind, fields, server.tokens["app:deployer"])[0] == 403
        assert server.ask(kind, fields, None)[0] == 401
        assert server.ask(kind, {**fields, "app": "theirs"}, server.tokens["app:owner"])[0] == 404


def test_a_domain_of_another_team_is_taken_without_saying_by_whom(server: World) -> None:
    from paas.errors import PaasError
    from paas.requests.config import ChangeDomains

    release = Release(
        app_id="0b0b0b0b", number=0, kind=ReleaseKind.DOMAINS, created_at=1.0, actor="x", description="x",
        domains=("www.example.com",),
    )  # fmt: skip
    server.store.add_release(release)
    with pytest.raises(PaasError) as caught:
        list(client(server, server.tokens["app:owner"]).follow(ChangeDomains(app="mine", add=("www.example.com",))))
    assert "another app" in caught.value.message
    assert "theirs" not in str(caught.value.as_dict())
