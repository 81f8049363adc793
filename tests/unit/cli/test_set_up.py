"""`paas create --from`, `paas clone`, `paas destroy --force`: what is sent, printed, asked and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paas.errors import ConfigError, ScriptFailed
from paas.requests.apps import CloneApp, CreateApp, DestroyApp, ShowApp
from paas.requests.deploy_hooks import AddDeployHook, ListDeployHooks
from paas.requests.deploys import DeployApp, SetUpApp
from tests.unit.cli.conftest import Paas
from tests.unit.cli.test_commands import SERVES
from tests.unit.server.stub import Running

URL = "https://git.example.com/team/Web_App.git"
FAILED = {"script": "postdeploy", "exit_code": 3, "failure": "postdeploy exited with code 3"}
HOOK = {
    "name": "github", "provider": "github", "path": "/deploy-hooks/abc", "url": "https://paas.example.com/deploy-hooks/abc",
    "source": URL, "repository": "team/Web_App", "branch": "main", "wait": False, "reviews": "",
    "secret": "hunter2hunter2hunter2",
}  # fmt: skip
CLONED = {
    "app": "copy", "source": "shop", "source_release": 4, "release": 2, "url": "http://copy.localhost",
    "processes": {"web": 2}, "addons": ["copy-postgres"], "paused": ["bills"], "postdeploy": None,
    "copied": [{"source": "shop-postgres", "addon": "copy-postgres", "tables": 3, "size": 900, "counts": "tables"}],
}  # fmt: skip


def test_create_from_a_url_sends_one_request_and_ends_with_the_address(server: Running, paas: Paas) -> None:
    server.operations.answers = {SetUpApp: [{**SERVES, "app": "web-app"}]}
    ran = paas(
        "create", "--from", URL, "--ref", "next", "--env", "A=x=y", "-e", "B=", "--environment", "review",
        "--team", "web",
    )  # fmt: skip
    assert (ran.code, ran.out) == (0, "http://my-app.localhost\n")
    assert server.operations.requests == [
        SetUpApp(app="web-app", url=f"{URL}#next", environment="review", env={"A": "x=y", "B": ""}, team="web")
    ]


def test_a_name_goes_before_that_of_the_repository(server: Running, paas: Paas) -> None:
    server.operations.answers = {SetUpApp: [SERVES]}
    assert paas("create", "shop", "--from", f"{URL}#main").code == 0
    assert server.operations.requests == [SetUpApp(app="shop", url=f"{URL}#main")]


def test_with_a_hook_the_address_and_the_secret_are_printed_once(server: Running, paas: Paas) -> None:
    server.operations.answers = {SetUpApp: [SERVES, SERVES]}
    server.door.answers = {ListDeployHooks: (), AddDeployHook: HOOK}
    ran = paas("create", "--from", URL, "--hook", "github")
    assert ran.code == 0
    assert HOOK["url"] in ran.out + ran.err
    assert HOOK["secret"] in ran.out + ran.err
    sent = [request for request, _, _ in server.door.seen if isinstance(request, AddDeployHook)]
    assert sent == [AddDeployHook(app="web-app", provider="github", url=URL, branch="main")]
    server.door.answers = {ListDeployHooks: ({**HOOK, "secret": ""},)}
    again = paas("create", "--from", URL, "--hook", "github")
    assert "as it was when it was added" in again.out + again.err


def test_json_has_the_deploy_and_the_hook(server: Running, paas: Paas) -> None:
    server.operations.answers = {SetUpApp: [SERVES]}
    ran = paas("create", "--from", URL, "--json")
    assert json.loads(ran.out)["hook"] is None
    assert json.loads(ran.out)["url"] == SERVES["url"]


def test_what_the_server_refuses_keeps_its_exit_code_and_hint(server: Running, paas: Paas) -> None:
    refusal = ConfigError("shop needs config that is not given: KEY", hint="give the same command with --env KEY=…")
    server.operations.answers = {SetUpApp: [refusal]}
    ran = paas("create", "shop", "--from", URL)
    assert ran.code == 5
    assert "--env KEY=…" in ran.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--from", URL, "--env", "A"), "has no value"),
        (("--from", URL, "--env", "=x"), "has no value"),
        (("--from", URL, "--hook", "sourceforge"), "no deploys come from"),
        (("--from", "https://git.example.com/shop.git", "--hook", "gitea"), "no repository of an owner"),
        (("--from", f"{URL}#a", "--ref", "b"), "named twice"),
        (("--from", URL, "No Name"), "cannot"),
        (("shop", "--env", "A=1"), "--env is for an app that is set up from a repository"),
        (("shop", "--hook", "github"), "--hook is for"),
        (("shop", "--ref", "main"), "--ref is for"),
    ],
)
def test_what_was_typed_wrong_sends_nothing(server: Running, paas: Paas, argv: tuple[str, ...], said: str) -> None:
    ran = paas("create", *argv)
    assert ran.code == 2
    assert said in ran.err
    assert server.operations.requests == []


def test_an_empty_app_may_have_an_environment_and_a_team(server: Running, paas: Paas) -> None:
    assert paas("create", "shop", "--environment", "staging", "--team", "web").code == 0
    assert server.door.seen[-1][0] == CreateApp(name="shop", team="web", environment="staging")


@pytest.mark.parametrize("argv", [("create", "shop", "--from", URL), ("deploy", "--image", "reg/shop:1")])
def test_a_postdeploy_that_failed_is_an_exit_code_of_its_own_after_the_address(
    server: Running, paas: Paas, argv: tuple[str, ...]
) -> None:
    answer = {**SERVES, "postdeploy": FAILED}
    server.operations.answers = {SetUpApp: [answer], DeployApp: [answer]}
    ran = paas(*argv)
    assert ran.code == ScriptFailed.exit_code == 12
    assert ran.out == "http://my-app.localhost\n"
    assert "postdeploy exited with code 3" in ran.err


def test_clone_sends_its_request_and_says_what_is_paused(server: Running, paas: Paas) -> None:
    server.operations.answers = {CloneApp: [CLONED, CLONED]}
    ran = paas("clone", "shop", "copy", "--with-data", "--team", "web")
    assert (ran.code, ran.out) == (0, "http://copy.localhost\n")
    assert server.operations.requests == [CloneApp(app="shop", name="copy", with_data=True, team="web")]
    for words in ("copy-postgres has the data of shop-postgres: 3 tables", "paused: bills", "paas cron resume"):
        assert words in ran.err
    assert paas("apps:clone", "shop", "copy").code == 0


def test_destroy_can_be_forced_past_its_script(server: Running, paas: Paas) -> None:
    server.door.answers = {ShowApp: {"name": "shop", "addons": []}}
    server.operations.answers = {DestroyApp: [{"app": "shop", "addons": [], "kept_addons": []}]}
    assert paas("destroy", "shop", "--confirm", "shop", "--force").code == 0
    assert server.operations.requests == [DestroyApp(app="shop", confirm="shop", force=True)]


def test_check_looks_at_every_environment(paas: Paas) -> None:
    Path("requirements.txt").write_text("")
    Path("Procfile").write_text("web: python app.py\n")
    Path("paas.toml").write_text("[environments.review.processes.mail]\nreplicas = 1\n")
    ran = paas("check")
    assert ran.code == 5
    assert "as the environment review has it" in ran.err
    Path("paas.toml").write_text("[environments.review.processes.web]\nreplicas = 1\n")
    assert paas("check").code == 0
