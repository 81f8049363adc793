"""Review apps for real: signed webhooks, a repository that is served, Docker, PostgreSQL: opened, seen, updated,
closed, with a database and a seed of its own."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.git_lab import Work
from tests.e2e.platform import Platform, eventually, listening
from tests.e2e.test_webhooks import deliver
from tests.git_server import GitServer, git_server
from tests.unit.webhooks.say import ZERO, github, pull_request, push

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def environ() -> dict[str, str]:
    """It listens, and may reach this machine's loopback, but by no name."""
    return {**listening(), "PAAS_EGRESS_ALLOW": "127.0.0.0/8"}


@pytest.fixture(scope="module")
def work(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """The repository `team/shop`, with a branch `better`."""
    work = Work(platform, tmp_path_factory.mktemp("served") / "team" / "shop", "shop")
    work.commit("first")
    work.git("branch", "better")
    return work


@pytest.fixture(scope="module")
def served(work: Work) -> Iterator[GitServer]:
    with git_server(work.folder.parent.parent) as server:
        yield server


@pytest.fixture(scope="module")
def hook(platform: Platform, work: Work, served: GitServer) -> dict[str, Any]:
    """The app `shop` runs, has a database with something in it, and is told of pull requests."""
    platform.ok("deploy", f"{served.url('team/shop')}#main", "-a", "shop", timeout=600)
    platform.ok("config", "set", "STRIPE=live", "LOCALE=de", "-a", "shop")
    platform.ok("addons", "create", "postgres", "-a", "shop", timeout=600)
    sql(platform, "shop", "CREATE TABLE wares (name text); INSERT INTO wares VALUES ('tea')")
    platform.ok("db", "backup", "-a", "shop")
    sql(platform, "shop", "INSERT INTO wares VALUES ('secret')")
    platform.ok(
        "reviews", "enable", "-a", "shop", "--ttl", "2h", "--memory", "96M", "--config", "LOCALE", "--config",
        "STRIPE=test", "--seed", "latest",
    )  # fmt: skip
    made: dict[str, Any] = json.loads(
        platform.ok("deploy-hooks", "add", "github", served.url("team/shop"), "-a", "shop", "--reviews", "--json")
    )
    return made


def sql(platform: Platform, app: str, statement: str) -> str:
    """What a statement answers in an app's database."""
    return platform.ok("db", "shell", "-a", app, "--", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement)


def say(platform: Platform, hook: dict[str, Any], value: dict[str, Any], event: str = "pull_request") -> str:
    """Tell the hook as GitHub does; what it answered."""
    headers, body = github(value, event, secret=hook["secret"], delivery=secrets.token_hex(8))
    status, answer = deliver(platform, hook["path"], body, headers)
    assert status == 202, answer
    return str(answer["status"])


def about(action: str, commit: str, number: int = 7) -> dict[str, Any]:
    value = pull_request(action)
    value["pull_request"] |= {"number": number}
    value["pull_request"]["head"] |= {"sha": commit}
    return value


def status(platform: Platform, name: str) -> str:
    return next((one["status"] for one in platform.json("reviews", "-a", "shop") if one["name"] == name), "gone")


def test_a_pull_request_has_an_app_while_it_is_open(platform: Platform, work: Work, hook: dict[str, Any]) -> None:
    work.git("checkout", "--quiet", "better")
    assert say(platform, hook, about("opened", work.commit("one"))) == "accepted"
    eventually(lambda: status(platform, "shop-pr-7") == "open", seconds=240, what="the review app")
    assert platform.get("shop-pr-7").body == "one"
    assert platform.get("shop").body == "first"
    own, theirs = (dict(platform.json("config", "-a", name)) for name in ("shop-pr-7", "shop"))
    assert (own["LOCALE"], own["STRIPE"], theirs["STRIPE"]) == ("de", "test", "live")
    assert own["DATABASE_URL"] != theirs["DATABASE_URL"]
    assert sql(platform, "shop-pr-7", "SELECT name FROM wares").split() == ["tea"], "the seed, nothing that came later"
    sql(platform, "shop-pr-7", "INSERT INTO wares VALUES ('tried')")
    assert sql(platform, "shop", "SELECT name FROM wares").split() == ["tea", "secret"]
    assert platform.json("ps", "-a", "shop-pr-7")

    assert say(platform, hook, about("synchronize", work.commit("two"))) == "accepted"
    eventually(lambda: platform.get("shop-pr-7").body == "two", seconds=240, what="the newer commit")
    eventually(lambda: status(platform, "shop-pr-7") == "open", seconds=60, what="its end")
    assert sql(platform, "shop-pr-7", "SELECT name FROM wares").split() == ["tea", "tried"], "seeded once"
    shown = platform.json("reviews", "show", "shop-pr-7", "-a", "shop")
    assert (shown["commit"], shown["opened_by"]) == (work.head(), "webhook github")

    platform.ok("reviews", "open", "--pr", "7", "-a", "shop", timeout=600)
    assert platform.json("reviews", "show", "shop-pr-7", "-a", "shop")["branch"] == "better"
    assert sql(platform, "shop-pr-7", "SELECT name FROM wares").split() == ["tea", "tried"], "the same database"

    assert say(platform, hook, about("closed", work.head())) == "accepted"
    eventually(lambda: status(platform, "shop-pr-7") == "gone", seconds=120, what="its end")
    assert [app["name"] for app in platform.json("apps")] == ["shop"]
    assert [addon["name"] for addon in platform.json("addons")] == ["shop-postgres"]
    assert platform.get("shop-pr-7").status == 404
    assert not [name for name in platform.containers() if "shop-pr-7" in name]
    kinds = [event["kind"] for event in platform.json("events", "-a", "shop") if event["kind"].startswith("review.")]
    assert kinds == ["review.opened", "review.updated", "review.updated", "review.closed"]


def test_a_branch_is_opened_by_hand_and_goes_with_the_branch(
    platform: Platform, work: Work, hook: dict[str, Any]
) -> None:
    work.git("checkout", "--quiet", "-B", "feature/tea", "main")
    work.commit("tea")
    opened = json.loads(platform.ok("reviews", "open", "feature/tea", "-a", "shop", "--json", timeout=600))
    name = opened["name"]
    assert name.startswith("shop-feature-tea-")
    assert platform.get(name).body == "tea"
    platform.ok("reviews", "extend", name, "--by", "5d", "-a", "shop")
    later = platform.json("reviews", "show", name, "-a", "shop")["expires_at"]
    assert later > opened["expires_at"]
    work.git("checkout", "--quiet", "main")
    gone = push(ref="refs/heads/feature/tea", after=ZERO, deleted=True, head_commit=None, commits=[])
    assert say(platform, hook, gone, "push") == "accepted"
    eventually(lambda: status(platform, name) == "gone", seconds=120, what="its end")


@pytest.fixture(scope="module")
def own(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """A repository that is pushed to the app `teahouse` alone; its branch `green` has a review app."""
    own = Work(platform, tmp_path_factory.mktemp("pushed") / "tea", "teahouse")
    own.commit("black")
    own.git("push", "--quiet", "paas", "main")
    own.git("checkout", "--quiet", "-b", "green")
    own.commit("green")
    own.git("push", "--quiet", "paas", "green")
    said = platform.run("reviews", "enable", "-a", "teahouse")
    assert "nobody said where" not in said.said
    platform.ok("reviews", "open", "green", "-a", "teahouse", timeout=600)
    assert platform.get("teahouse-green").body == "green"
    assert platform.get("teahouse").body == "black"
    return own


def remote_lines(said: str) -> list[str]:
    return [line.removeprefix("remote: ").strip() for line in said.splitlines() if line.startswith("remote: ")]


def test_a_branch_that_is_pushed_to_the_app_itself_has_its_review_app_follow(platform: Platform, own: Work) -> None:
    own.git("checkout", "--quiet", "green")
    own.commit("greener")
    lines = remote_lines(own.git("push", "paas", "green").err)
    assert "green has a review app: deploying teahouse-green" in lines
    assert "- Building with python" in lines
    url = platform.json("info", "-a", "teahouse-green")["url"]
    assert f"teahouse-green serves the newest of branch green: {url}" in lines
    assert platform.get("teahouse-green").body == "greener"
    assert platform.get("teahouse").body == "black"

    own.commit("broken", procfile="web: python -c 'print(\"cannot start\"); raise SystemExit(3)'\n")
    lines = remote_lines(own.git("push", "paas", "green").err)
    assert any("cannot start" in line for line in lines), lines
    assert "green is taken all the same, but its review app teahouse-green still serves the version before" in lines
    assert "to try it again: paas reviews open green -a teahouse, or push another commit" in lines
    assert own.remote("refs/heads/green") == own.head()
    assert platform.get("teahouse-green").body == "greener"
    assert platform.json("reviews", "show", "teahouse-green", "-a", "teahouse")["status"] == "failed"

    own.git("checkout", "--quiet", "main")
    own.commit("refused", procfile="web python app.py\n")
    assert "teahouse-green" not in own.git("push", "paas", "main", "+main:green", code=1).err, "nothing was taken"
    own.git("reset", "--quiet", "--hard", "HEAD^")

    lines = remote_lines(own.git("push", "paas", "--delete", "green").err)
    assert "green is deleted: closing its review app teahouse-green" in lines
    assert any(line.startswith("teahouse-green is gone, with its addons") for line in lines), lines
    assert platform.json("reviews", "-a", "teahouse") == []
    assert platform.get("teahouse-green").status == 404
    assert [name for name in platform.containers() if "teahouse-green" in name] == []


def test_all_review_apps_follow_one_push_by_http_and_whoever_leaves_meanwhile_stops_none(
    platform: Platform, own: Work
) -> None:
    for branch in ("oolong", "white"):
        own.git("checkout", "--quiet", "-b", branch, "main")
        own.commit(branch)
        own.git("push", "--quiet", "paas", branch)
        platform.ok("reviews", "open", branch, "-a", "teahouse", timeout=600)
    for branch in ("main", "oolong", "white"):
        own.git("checkout", "--quiet", branch)
        own.commit(f"more {branch}")
    listen, token = platform.environ["PAAS_LISTEN"], platform.environ["PAAS_TOKEN"]
    lines = remote_lines(own.git("push", "--all", f"http://anybody:{token}@{listen}/git/teahouse.git").err)
    served = [line.partition(" serves")[0] for line in lines if " serves" in line]
    assert served == ["teahouse v2", "teahouse-oolong", "teahouse-white"], lines
    for app, text in (("teahouse", "main"), ("teahouse-oolong", "oolong"), ("teahouse-white", "white")):
        assert platform.get(app).body == f"more {text}"
    assert platform.json("releases", "-a", "teahouse-white")[0]["actor"] == "token"

    for branch in ("oolong", "white"):
        own.git("checkout", "--quiet", branch)
        own.commit(f"most {branch}", boot=2)
    with own.start("push", "paas", "oolong", "white") as pushing:
        assert pushing.stderr is not None
        until = "oolong has a review app: deploying teahouse-oolong"
        assert any(until in line for line in pushing.stderr), "it never began"
        os.killpg(pushing.pid, signal.SIGKILL)
    own.git("checkout", "--quiet", "main")
    own.commit("most main")
    assert "waiting for it" not in own.git("push", "paas", "main").err, "the push before was taken long ago"
    for branch in ("oolong", "white"):
        app, text = f"teahouse-{branch}", f"most {branch}"
        eventually(lambda app=app, text=text: platform.get(app).body == text, seconds=120, what=text)  # type: ignore[misc]


def test_one_whose_time_is_over_goes_with_its_database_while_a_command_of_it_runs(
    platform: Platform, work: Work, hook: dict[str, Any]
) -> None:
    before = platform.volumes()
    work.git("branch", "--force", "short", "main")
    platform.ok("reviews", "open", "short", "-a", "shop", timeout=600)
    assert len(platform.volumes()) > len(before)
    platform.ok("run", "--detach", "-a", "shop-short", "--", "sleep 600")
    platform.ok("reviews", "extend", "shop-short", "--by", "1m", "-a", "shop")
    eventually(lambda: status(platform, "shop-short") == "gone", seconds=150, what="its end")
    assert platform.volumes() == before
    assert [name for name in platform.containers() if "shop-short" in name] == []
    told = [event["kind"] for event in platform.json("events", "-a", "shop") if event["kind"].startswith("review.")]
    assert told[-3:] == ["review.expires", "review.expired", "review.closed"]


def test_a_strangers_code_is_not_built(platform: Platform, hook: dict[str, Any], work: Work) -> None:
    fork = about("opened", work.head(), 9)
    fork["pull_request"]["head"]["repo"] = {"full_name": "stranger/shop"}
    assert say(platform, hook, fork) == "ignored"
    assert status(platform, "shop-pr-9") == "gone"


def test_what_a_killed_server_left_is_finished(platform: Platform, work: Work, hook: dict[str, Any]) -> None:
    work.git("checkout", "--quiet", "better")
    assert say(platform, hook, about("reopened", work.commit("three"), 11)) == "accepted"
    eventually(lambda: status(platform, "shop-pr-11") == "opening", seconds=120, what="its beginning")
    os.kill(platform.server_pid(), signal.SIGKILL)
    platform.ok("up")
    eventually(lambda: status(platform, "shop-pr-11") == "open", seconds=240, what="the review app")
    assert platform.get("shop-pr-11").body == "three"
    assert sql(platform, "shop-pr-11", "SELECT name FROM wares").split() == ["tea"]
    closing = platform.start("reviews", "close", "shop-pr-11", "-a", "shop", "--confirm", "shop-pr-11")
    eventually(
        lambda: status(platform, "shop-pr-11") in ("closing", "gone"), seconds=60, what="the beginning of its end"
    )
    os.kill(platform.server_pid(), signal.SIGKILL)
    closing.communicate(timeout=120)
    platform.ok("up")
    eventually(lambda: status(platform, "shop-pr-11") == "gone", seconds=120, what="its end")
    assert [addon["name"] for addon in platform.json("addons")] == ["shop-postgres"]
