"""Every request × every role × one's own and another team's things, over HTTP, from the table in `table.py`."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from paas.model.people import Membership
from paas.requests.all import all_requests
from paas.server.app import Parts, create
from paas.settings import Settings
from paas.usecases.hook_receiver import Received
from tests.unit.permissions.table import ROLES, ROUTES, ROWS, Row
from tests.unit.permissions.world import BOSS, MINE, OTHERS, TEAM, THEIRS, World, world
from tests.unit.server.stub import Door, Operations

NAMES = {"app": (MINE.name, THEIRS.name), "addon": ("mine-db", "theirs-db"), "team": (TEAM.name, OTHERS.name),
         "operation": (f"0123{MINE.id}", f"0123{THEIRS.id}")}  # fmt: skip
NOT_THERE = {"app": "absent", "addon": "absent", "team": "absent", "operation": "deadbeef"}


@pytest.fixture(scope="module")
def judge() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="paas-t-") as name, world(Path(name), acting=False) as found:
        yield found


@pytest.fixture(scope="module")
def server() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="paas-t-") as name, world(Path(name), acting=True) as found:
        yield found


def fields(row: Row, name: str = "") -> dict[str, Any]:
    """What the request is made of; `name` is what it is about."""
    return {**row.fields, row.on: name} if name else dict(row.fields)


def passed(status: int, text: str) -> bool:
    """Whether the door let it in. An address that needs no login is never refused."""
    return "passed" in text or (status == 401 and "code does not count" in text)


def title(row: Row) -> str:
    more = "-".join(f"{value}" for value in row.fields.values() if isinstance(value, (str, bool)))
    return f"{row.request.__name__}-{row.on}{'-' + more if more else ''}"


ABOUT = [row for row in ROWS if row.on in NAMES]
"""Those about something that is somebody's."""

every_row = pytest.mark.parametrize("row", ROWS, ids=title)
every_row_about_something = pytest.mark.parametrize("row", ABOUT, ids=title)


def test_every_request_has_a_row_and_every_route_of_the_server_is_known(tmp_path: Path) -> None:
    without = {kind.__name__ for kind in all_requests()} - {row.request.__name__ for row in ROWS}
    assert not without, f"say in {Path(__file__).with_name('table.py')} who may do these"
    parts = Parts(door=Door(tmp_path), operations=Operations(), settings=Settings(home=tmp_path), receiver=Hosts())
    known = {(kind.method, kind.path) for kind in all_requests()} | {tuple(route.split(" ", 1)) for route in ROUTES}
    found = set()
    for route in create(parts).routes:
        # Those without methods are WebSockets, which begin as a GET.
        found |= {(method, route.path) for method in getattr(route, "methods", {"GET"}) - {"HEAD"}}  # type: ignore[attr-defined]
    assert found == known, "say in the table who may use these"


class Hosts:
    """What takes in deliveries of git hosts: they are not asked anything here."""

    def known(self, hook_id: str) -> None:
        raise AssertionError

    def receive(self, hook_id: str, headers: Mapping[str, str], body: bytes) -> Received:
        raise AssertionError


@every_row
def test_a_role_may_exactly_what_it_should(judge: World, row: Row) -> None:
    own = NAMES.get(row.on, ("", ""))[0]
    request = fields(row, own)
    if row.on in ("everyone", "platform"):
        kinds = {f"platform:{role}": role for role in ROLES}
    elif row.on == "team":
        kinds = {"team:viewer": "viewer", "team:owner": "owner", "app:owner": ""}
    else:
        kinds = {f"{how}:{role}": role for how in ("app", "through", "token", "free") for role in ROLES}
        kinds |= {f"maker:{role}": role for role in ROLES[:-1]}
    for who, role in kinds.items():
        limited = who.startswith(("token:", "free:"))
        # Making an app takes the role deployer on the platform, which only these have.
        makes = who.startswith("maker:") or not row.request.makes_another
        may = makes and bool(role) and ROLES.index(role) >= ROLES.index(row.role) and not (limited and row.whole)
        answer = judge.ask(row.request, request, judge.tokens[who])
        assert passed(*answer) == (may or row.on == "anyone"), (who, answer)
        if not passed(*answer):
            assert answer[0] in (403, 404), (who, answer)


def test_a_clone_in_ones_own_team_takes_no_role_on_the_platform(judge: World) -> None:
    from paas.requests.apps import CloneApp

    def clone(who: str, team: str) -> tuple[int, str]:
        return judge.ask(CloneApp, {"app": "mine", "name": "fresh", "team": team}, judge.tokens[who])

    member = judge.store.user("app-operator")
    judge.store.put_membership(Membership(team_id=TEAM.id, user_id=member.id, role="viewer"))
    try:
        assert passed(*clone("app:operator", TEAM.name))
        assert clone("app:operator", OTHERS.name)[0] == 404
        assert clone("app:operator", "")[0] == 403
        assert clone("app:deployer", TEAM.name)[0] == 404
        assert clone("maker:deployer", TEAM.name)[0] == 403
    finally:
        judge.store.delete_membership(TEAM.id, member.id)


@every_row
def test_nobody_gets_in_without_a_token_or_with_a_wrong_one(judge: World, row: Row) -> None:
    request = fields(row, NAMES.get(row.on, ("", ""))[0])
    answer = judge.ask(row.request, request, None)
    assert answer[0] == 401 or passed(*answer) == (row.on == "anyone"), answer


@every_row
def test_the_platforms_owner_and_the_servers_token_may_everything(judge: World, row: Row) -> None:
    for name in NAMES.get(row.on, ("",)):
        for who in ("platform:owner", "server"):
            assert passed(*judge.ask(row.request, fields(row, name), judge.tokens[who])), (who, name)


@every_row_about_something
def test_a_role_on_the_platform_is_none_on_apps(judge: World, row: Row) -> None:
    for role in ROLES[:-1]:
        assert judge.ask(row.request, fields(row, NAMES[row.on][0]), judge.tokens[f"platform:{role}"])[0] in (404, 409)


@every_row_about_something
def test_what_is_not_ones_own_answers_like_what_does_not_exist(server: World, row: Row) -> None:
    foreign, absent = NAMES[row.on][1], NOT_THERE[row.on]
    limited = () if row.whole else ("token:owner", "free:owner")
    for who in ("app:none", "app:owner", "through:operator", "team:owner", *limited):
        makes = row.makes and not who.startswith(("token", "free"))
        status, text = server.ask(row.request, fields(row, foreign), server.tokens[who])
        if makes and server.store.user("app-owner").role != "viewer":
            assert (status, json.loads(text)["message"]) == (409, "there is an app 'theirs' already")
            continue
        nowhere, other = server.ask(row.request, fields(row, absent), server.tokens[who])
        assert status == nowhere == 404, (who, text, other)
        assert text.replace(foreign, "X") == other.replace(absent, "X"), who
        assert "theirs" not in text.replace(foreign, ""), "no hint at anything of theirs"


@every_row
def test_a_token_for_another_app_is_no_token_here_whosever_it_is(judge: World, row: Row) -> None:
    answer = judge.ask(row.request, fields(row, NAMES.get(row.on, ("", ""))[0]), judge.tokens["token:elsewhere"])
    harmless = row.on in ("everyone", "anyone") and row.role == "viewer" and not row.whole
    assert passed(*answer) == harmless, answer


READS = [row for row in ROWS if row.request.method == "GET" and row.request.shape == "answer"]


@pytest.mark.parametrize("row", READS, ids=title)
def test_no_answer_tells_of_what_is_not_ones_own(server: World, row: Row) -> None:
    for who in ("app:none", "app:viewer", "app:owner", "through:owner", "token:owner", "free:owner", "team:owner"):
        own = NAMES.get(row.on, ("", ""))[0]
        status, text = server.ask(row.request, fields(row, own), server.tokens[who])
        assert status < 500, text
        assert not re.search(f"theirs|{THEIRS.id}|d{THEIRS.id[1:]}|{OTHERS.id}", text), (who, text)


def test_the_lists_are_not_just_empty(server: World) -> None:
    from paas.requests import addons, apps, people, platform

    for kind in (apps.ListApps, addons.ListAddons, platform.ListOperations):
        text = server.ask(kind, {}, server.tokens["app:viewer"])[1]
        assert "mine" in text, kind
        both = server.ask(kind, {}, BOSS)[1]
        assert "mine" in both
        assert "theirs" in both
    assert "app-owner" in server.ask(people.ListUsers, {}, server.tokens["app:viewer"])[1]


# --- git's own HTTP ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["git-receive-pack", "git-upload-pack"])
def test_git_over_http_may_what_a_git_session_may(server: World, service: str) -> None:
    def refs(app: str, who: str) -> tuple[int, str]:
        answer = server.get(f"/git/{app}.git/info/refs?service={service}", basic=server.tokens.get(who, who))
        return answer.status_code, answer.text

    def post(app: str, who: str) -> int:
        kind = {"Content-Type": f"application/x-{service}-request"}
        path = f"/git/{app}.git/{service}"
        return server.get(
            path, basic=server.tokens.get(who, who), method="POST", headers=kind, content=b"0000"
        ).status_code

    for who in ("app:deployer", "through:owner", "token:deployer", "free:operator", "platform:owner"):
        assert refs("mine", who)[0] == 200, who
    for who in ("app:viewer", "through:viewer", "token:viewer"):
        assert refs("mine", who)[0] == post("mine", who) == 403, who
    for who in ("token:owner", "free:owner"):
        assert refs("theirs", who)[0] == refs("absent", who)[0] == post("theirs", who) == 404, who
        assert refs("theirs", who)[1].replace("theirs", "X") == refs("absent", who)[1].replace("absent", "X")
    assert refs("theirs", "app:owner")[0] in (404, 409)
    assert refs("mine", "wrong")[0] == post("mine", "wrong") == 401


# --- uploads -------------------------------------------------------------------------------------------------------


def test_an_upload_is_for_whoever_made_it(server: World) -> None:
    from paas.requests.deploys import PlanApp

    made = server.get("/uploads", server.tokens["app:deployer"], method="PUT", content=b"x").json()["upload"]
    request = {"app": "mine", "source": {"upload": made}}
    theirs = server.ask(PlanApp, request, server.tokens["app:operator"])
    absent = server.ask(PlanApp, {"app": "mine", "source": {"upload": "0" * 48}}, server.tokens["app:operator"])
    assert theirs[0] == absent[0] == 404
    assert theirs == absent
    mine = server.ask(PlanApp, request, server.tokens["app:deployer"])
    assert "upload" not in json.loads(mine[1]).get("message", ""), mine
    assert server.get("/uploads", method="PUT", content=b"x").status_code == 401


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_who_may_only_look_sends_nothing(server: World, method: str) -> None:
    def sent(who: str) -> int:
        content = b"x" if method == "PUT" else b'{"size": 1}'
        return server.get("/uploads", server.tokens[who], method=method, content=content).status_code

    for who in ("app:viewer", "app:none", "through:viewer", "token:viewer", "free:viewer", "team:owner"):
        assert sent(who) == 403, who
    for who in ("app:deployer", "through:deployer", "token:deployer", "free:deployer", "maker:viewer",
                "platform:deployer", "platform:owner", "server"):  # fmt: skip
        assert sent(who) == 200, who
