"""Commands as people and scripts use them: requests they send, what goes to stdout and stderr, exit codes."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paas.errors import BuildFailed, Conflict, DeployFailed, NotFound
from paas.model.events import Event
from paas.model.service import LogLine
from paas.requests.addons import ListAddons, RestoreAddon
from paas.requests.apps import CloneApp, CreateApp, DestroyApp, ListApps, ShowApp
from paas.requests.config import ChangeConfig, ChangeDomains, PutCertificate, ShowConfig
from paas.requests.deploys import DeployApp, PlanApp, Rollback
from paas.requests.platform import ListOperations
from paas.requests.processes import ListReplicas, ReadLogs, Scale, SetLimits
from paas.requests.sessions import AddonShell, ExecCommand, RunCommand
from paas.requests.sleep import SetSleep
from tests.unit.cli.conftest import Paas
from tests.unit.server.stub import Running, eventually

CHANGED = {"app": "shop", "release": 4, "changed": True, "message": ""}
SHOWN = {"name": "shop", "addons": [{"name": "shop-postgres", "alias": "DATABASE"}]}
SERVES = {
    "app": "my-app", "release": 3, "url": "http://my-app.localhost", "upload": False, "unchanged": False,
    "cached": False, "created": True, "image": "sha256:1", "buildpack": "python", "processes": {"web": 2},
    "generated": ["KEY"], "warnings": [], "seconds": 1.25,
}  # fmt: skip
SLEEPS = {"after": 1800, "asleep": False, "by_file": False}
CLONED = {"copied": [], "paused": [], "source_release": 1, "postdeploy": None}
APP = {"name": "shop", "id": "1", "status": "running", "url": "http://shop", "release": 2, "processes": {"web": 1}}


@pytest.mark.parametrize(
    ("argv", "sent"),
    [
        ("scale web=3 worker=0 -a shop", Scale(app="shop", counts={"web": 3, "worker": 0})),
        ("ps:scale web=3 -a shop", Scale(app="shop", counts={"web": 3})),
        ("ps -a shop scale web=1", Scale(app="shop", counts={"web": 1})),
        (
            "limits worker --memory 1G --cpus 0.5 -a shop",
            SetLimits(app="shop", process="worker", memory="1G", cpus=0.5),
        ),
        ("rollback v9 -a shop", Rollback(app="shop", number=9)),
        ("rollback -a shop", Rollback(app="shop")),
        ("sleep set shop 30m", SetSleep(app="shop", after=1800)),
        ("sleep set 30m -a shop", SetSleep(app="shop", after=1800)),
        ("sleep -a shop set off", SetSleep(app="shop", after=0)),
        ("clone shop copy", CloneApp(app="shop", name="copy")),
        ("clone copy -a shop", CloneApp(app="shop", name="copy")),
        ("config set A=1 B=x=y -a shop", ChangeConfig(app="shop", set={"A": "1", "B": "x=y"})),
        ("config:unset A B -a shop", ChangeConfig(app="shop", unset=("A", "B"))),
        ("domains add Shop.Example.com. -a shop", ChangeDomains(app="shop", add=("shop.example.com",))),
        ("deploy --image reg/shop:1", DeployApp(app="shop", source=None)),  # type: ignore[arg-type]
        ("deploy https://x.org/team/Web_App.git#main", DeployApp(app="web-app", source=None)),  # type: ignore[arg-type]
    ],
)
def test_a_command_sends_its_request(server: Running, paas: Paas, argv: str, sent: object) -> None:
    answer = {**CHANGED, "processes": {}, "warnings": [], **SERVES, **SLEEPS, **CLONED}
    server.operations.answers = {type(sent): [answer]}  # type: ignore[dict-item]
    ran = paas(*argv.split())
    assert ran.code == 0, ran
    got = server.operations.requests[0]
    if isinstance(sent, DeployApp):
        assert isinstance(got, DeployApp)
        assert got.app == sent.app
        assert got.source.image or got.source.git
    else:
        assert got == sent


@pytest.mark.parametrize(
    "argv",
    [
        "sleep set shop 30m -a other", "sleep set", "clone shop", "clone a b -a c", "git clone",
        "git clone shop folder -a other",
        "scale web=NaN", "scale web=-1", "scale web=101", "scale web", "scale web=1 web=2", "scale web=1.5", "scale =1",
        "limits web", "rollback 0", "rollback -- -1", "rollback vv1", "releases show x", "logs -n -1",
        "logs --source no", "logs --replica web", "logs --replica web.0", "logs --since yesterday", "config set A",
        "config set =x", "config set PORT=1", "config set A=1 A=2", "domains add 10.0.0.1", "domains add http://x.com",
        "create UPPER", "create traefik", "rename a_b", "info -a ../x", "deploy --image x --ref y", "nonsense",
        "deploy --no-such-flag", "completion tcsh", "run", "watch",
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_refused_with_a_hint_and_sends_nothing(server: Running, paas: Paas, argv: str) -> None:
    ran = paas(*argv.split())
    assert ran.code == 2, ran
    assert ran.err.startswith("error: ")
    assert "hint: " in ran.err
    assert not ran.out
    assert not server.operations.requests
    assert not server.door.seen


def test_a_time_is_refused_by_what_it_was_given_for(paas: Paas) -> None:
    said = "no time between 10 seconds and 7 days"
    assert f"error: the idle time soon is {said}" in paas("sleep", "set", "shop", "soon").err
    assert f"error: --last soon is {said}" in paas("recommend", "shop", "--last", "soon").err


def test_a_value_that_lost_its_key_is_not_shown(server: Running, paas: Paas) -> None:
    ran = paas("config", "set", "hunter2", "-a", "shop")
    assert ran.code == 2
    assert "hunter2" not in ran.err


def test_reads_print_a_table_or_json(server: Running, paas: Paas) -> None:
    server.door.answers[ListApps] = (APP,)
    assert paas("apps").out.splitlines() == [
        "NAME  STATUS   RELEASE  PROCESSES  URL",
        "shop  running  v2       web=1      http://shop",
    ]
    assert json.loads(paas("apps", "--json").out) == [APP]


def test_operations_are_listed_in_words(server: Running, paas: Paas) -> None:
    one = {"id": "feed", "app": "shop", "verb": "SetUpApp", "actor": "ann", "status": "failed", "started_at": 1.0}
    one["error"] = "no"
    server.door.answers[ListOperations] = (one,)
    assert "set up app" in paas("operations").out
    assert json.loads(paas("operations", "--json").out) == [one]


def test_ps_json_lists_replicas_with_their_process(server: Running, paas: Paas) -> None:
    replica = {"name": "web.1", "state": "healthy", "release": 1, "started_at": time.time() - 61, "restarts": 0,
               "cpu": 0.5, "memory": 1 << 20, "detail": ""}  # fmt: skip
    process = {"process": "web", "command": "run", "wanted": 1, "memory_limit": 1 << 29, "cpus": 1.0, "pids": 9,
               "replicas": [replica]}  # fmt: skip
    server.door.answers[ListReplicas] = {"app": "shop", "release": 1, "processes": [process]}
    seen = json.loads(paas("ps", "-a", "shop", "--json").out)
    assert [(one["process"], one["name"]) for one in seen["replicas"]] == [("web", "web.1")]
    line = paas("ps", "-a", "shop").out.splitlines()[1]
    assert line.split() == ["web.1", "healthy", "v1", "1m", "0", "50%", "1.0", "MB"]
    replica |= {"detail": "GET / answers 500", "protected_until": time.time() + 60}
    line = paas("ps", "-a", "shop").out.splitlines()[1]
    assert re.search(r"GET / answers 500; asked to be spared by scale-ins until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", line)


def test_config_values_are_printed_exactly_and_only_on_stdout(server: Running, paas: Paas) -> None:
    value = 'a "b" $C\nsecond\\ ünï'
    server.door.answers[ShowConfig] = {"app": "shop", "config": {"KEY": value, "OTHER": "x"}}
    ran = paas("config", "get", "KEY", "-a", "shop")
    assert ran.out == value + "\n"
    assert value not in ran.err
    assert json.loads(paas("config", "-a", "shop", "--json").out) == {"KEY": value, "OTHER": "x"}
    shell = paas("config", "--shell", "-a", "shop").out
    done = subprocess.run(["sh", "-c", f'{shell}\nprintf %s "$KEY"'], capture_output=True, text=True, check=True)
    assert done.stdout == value
    missing = paas("config", "get", "NONE", "-a", "shop")
    assert (missing.code, missing.out) == (3, "")


def test_a_dotenv_file_is_imported_as_one_change(server: Running, paas: Paas) -> None:
    server.operations.answers[ChangeConfig] = [CHANGED]
    Path(".env").write_text("# comment\nexport A=1\nB=\"two words\"\nC='$A{{x}}'\nD=\n")
    assert paas("config", "import", "-a", "shop").code == 0
    assert server.operations.requests == [
        ChangeConfig(app="shop", set={"A": "1", "B": "two words", "C": "$A{{x}}", "D": ""})
    ]


@pytest.mark.parametrize(("text", "where"), [("A=1\nBARE\n", ".env:2"), ("", ".env"), ("A='open\n", ".env:1")])
def test_a_bad_dotenv_file_is_refused_by_line(server: Running, paas: Paas, text: str, where: str) -> None:
    Path(".env").write_text(text)
    ran = paas("config", "import", "-a", "shop")
    assert ran.code == 5
    assert where in ran.err
    assert not server.operations.requests


def test_an_import_over_the_limit_names_key_and_size_and_not_the_value(server: Running, paas: Paas) -> None:
    Path("big.env").write_text(f"BIG={'x' * 1_000_000}\n")
    ran = paas("config", "import", "big.env", "-a", "shop")
    assert ran.code == 2
    assert "BIG" in ran.err
    assert "1000000" in ran.err
    assert "xxx" not in ran.err


def test_a_deploy_of_an_app_that_is_scaled_to_nothing_is_not_said_to_serve(server: Running, paas: Paas) -> None:
    Path("index.html").write_text("hi")
    server.operations.answers[DeployApp] = [{**SERVES, "processes": {"web": 0}}]
    assert "my-app v3 is deployed, with no replica running (1.2 s)" in paas("deploy").err


def test_a_certificate_that_no_app_has_use_for_yet_is_said_to_be_one(server: Running, paas: Paas) -> None:
    Path("chain.pem").write_text("chain")
    Path("key.pem").write_text("key")
    line = {"host": "a.example", "names": ["a.example"], "apps": [], "message": "no app answers at these hosts yet"}
    server.operations.answers[PutCertificate] = [line]
    assert "no app answers at these hosts yet" in paas("certs", "add", "chain.pem", "key.pem").err


def test_deploy_sends_a_large_source_only_when_the_server_asks_for_it(server: Running, paas: Paas) -> None:
    Path("index.html").write_text("hi" * 1_000_000)
    server.operations.answers[DeployApp] = [{**SERVES, "upload": True}, SERVES, {**SERVES, "unchanged": True}]
    ran = paas("deploy")
    assert ran.code == 0, ran.err
    asked, sent = server.operations.requests
    assert isinstance(asked, DeployApp)
    assert isinstance(sent, DeployApp)
    assert asked.app == "my-app"
    assert asked.source.content_id
    assert not asked.source.upload
    assert (server.settings.home / "uploads" / sent.source.upload).is_file()
    assert ran.out == "http://my-app.localhost\n"
    assert "my-app v3 serves (1.2 s)" in ran.err
    assert ran.err.splitlines()[-1].startswith("next: ")
    again = paas("deploy")
    assert "nothing changed" in again.err
    assert len(server.operations.requests) == 3, "it was asked, and nothing was sent"


def test_deploy_sends_a_small_source_at_once_in_one_operation(server: Running, paas: Paas) -> None:
    Path("index.html").write_text("hi")
    server.operations.answers[DeployApp] = [{**SERVES, "unchanged": True}]
    assert "nothing changed" in paas("deploy").err
    (request,) = server.operations.requests
    assert isinstance(request, DeployApp)
    assert request.source.upload
    assert request.source.content_id


def test_deploy_force_does_not_ask_first(server: Running, paas: Paas) -> None:
    Path("index.html").write_text("hi" * 1_000_000)
    server.operations.answers[DeployApp] = [SERVES]
    assert paas("deploy", "--force", "-m", "why").code == 0
    request = server.operations.requests[0]
    assert isinstance(request, DeployApp)
    assert request.source.upload
    assert request.message == "why"


def test_deploy_detached_leaves_it_to_the_server(server: Running, paas: Paas) -> None:
    server.operations.go.clear()
    ran = paas("deploy", "--image", "x", "-a", "shop", "--detach")
    assert (ran.code, ran.out) == (0, "op0\n")
    assert "paas watch op0" in ran.err


def test_a_deploy_that_fails_prints_cause_details_and_hint_and_exits_by_kind(server: Running, paas: Paas) -> None:
    failed = DeployFailed("web.1 exited with 3", hint="see paas logs", details=("cannot go on", "\x1b[2Jsneaky"))
    server.operations.answers[DeployApp] = [failed, BuildFailed("step 3 failed")]
    ran = paas("deploy", "--image", "x", "-a", "shop")
    assert ran.code == 8
    assert ran.out == ""
    assert ran.err.endswith("error: web.1 exited with 3\n  cannot go on\n  \\x1b[2Jsneaky\nhint: see paas logs\n")
    assert paas("deploy", "--image", "x", "-a", "shop").code == 6


def test_an_error_is_json_when_json_was_asked_for(server: Running, paas: Paas) -> None:
    server.door.answers[ShowApp] = NotFound("no app 'x'", hint="h")
    ran = paas("info", "-a", "x", "--json")
    assert (ran.code, ran.out) == (3, "")
    assert json.loads(ran.err)["error"] == {"code": "NotFound", "message": "no app 'x'", "hint": "h", "details": []}


def test_an_app_guessed_from_the_folder_is_told_when_there_is_none(server: Running, paas: Paas) -> None:
    server.door.answers[ShowApp] = NotFound("no app 'my-app'")
    assert "--app" in paas("info").err
    assert "--app" not in paas("info", "-a", "my-app").err


def test_progress_goes_to_stderr_in_order(server: Running, paas: Paas) -> None:
    server.operations.events = [
        Event(kind="step", message="build"),
        Event(kind="output", message="line \x1b[31mone"),
        Event(kind="done", message="build", data={"seconds": 2.5}),
        Event(kind="warning", message="careful"),
    ]
    server.operations.answers[Scale] = [{"app": "shop", "processes": {"web": 2}, "changed": True}]
    ran = paas("scale", "web=2", "-a", "shop")
    assert ran.err == "- build\n    line one\n  done in 2.5 s\nwarning: careful\n"
    assert ran.out == "web=2\n"


def test_a_change_before_the_first_deploy_is_not_said_to_be_live(server: Running, paas: Paas) -> None:
    server.operations.answers[ChangeConfig] = [{**CHANGED, "runs": False}, CHANGED]
    assert paas("config", "set", "A=b", "-a", "shop").err.endswith("shop v4 counts from the first deploy on\n")
    assert paas("config", "set", "A=c", "-a", "shop").err.endswith("shop v4 is live\n")


def test_json_of_an_operation_is_its_answer_alone(server: Running, paas: Paas) -> None:
    server.operations.answers[Scale] = [{"app": "shop", "processes": {"web": 2}, "changed": True}]
    ran = paas("scale", "web=2", "-a", "shop", "--json")
    assert json.loads(ran.out)["processes"] == {"web": 2}
    assert ran.err == ""


@pytest.mark.parametrize("confirm", [[], ["--confirm", "another"], ["--confirm", ""]])
def test_destroy_needs_the_typed_name_and_changes_nothing_without(
    server: Running, paas: Paas, confirm: list[str]
) -> None:
    server.door.answers[ShowApp] = SHOWN
    ran = paas("destroy", "-a", "shop", *confirm)
    assert ran.code == 2
    assert "--confirm shop" in ran.err
    assert not server.operations.requests


def test_destroy_with_the_name_says_what_stays(server: Running, paas: Paas) -> None:
    server.door.answers[ShowApp] = SHOWN
    server.operations.answers[DestroyApp] = [{"app": "shop", "addons": [], "kept_addons": ["shop-postgres"]}]
    ran = paas("destroy", "-a", "shop", "--confirm", "shop")
    assert ran.code == 0
    assert server.operations.requests == [DestroyApp(app="shop", confirm="shop")]
    assert "shop-postgres stays with its data" in ran.err


@pytest.mark.parametrize("named", [["shop"], ["shop", "-a", "shop"]])
def test_destroy_takes_the_name_as_an_argument_too(server: Running, paas: Paas, named: list[str]) -> None:
    server.door.answers[ShowApp] = SHOWN
    server.operations.answers[DestroyApp] = [{"app": "shop", "addons": [], "kept_addons": []}]
    assert paas("destroy", *named, "--confirm", "shop").code == 0
    assert server.operations.requests == [DestroyApp(app="shop", confirm="shop")]


def test_destroy_of_two_names_is_refused(server: Running, paas: Paas) -> None:
    ran = paas("destroy", "shop", "-a", "other", "--confirm", "shop")
    assert ran.code == 2
    assert "two apps are named" in ran.err
    assert not server.operations.requests


def test_destroying_what_is_not_there_is_not_found(server: Running, paas: Paas) -> None:
    server.door.answers[ShowApp] = NotFound("no app 'gone'")
    assert paas("destroy", "-a", "gone", "--confirm", "gone").code == 3
    assert not server.operations.requests


def test_create_prints_the_name_and_what_to_do_next(server: Running, paas: Paas) -> None:
    ran = paas("create", "shop")
    assert (ran.code, ran.out) == (0, "shop\n")
    assert "paas deploy" in ran.err
    assert server.door.seen[0][0] == CreateApp(name="shop")


def test_logs_escape_what_apps_say(server: Running, paas: Paas) -> None:
    server.door.answers[ReadLogs] = iter([LogLine(at=0, text="a\x1b[2J\rb", process="web", replica=2)])
    ran = paas("logs", "-a", "shop", "-n", "5", "-p", "web")
    assert ran.out == "web.2 | a\\x1b[2J\\rb\n"
    request = server.door.seen[0][0]
    assert request == ReadLogs(app="shop", lines=5, process="web")


def test_logs_json_keeps_the_line_as_it_was(server: Running, paas: Paas) -> None:
    server.door.answers[ReadLogs] = iter([LogLine(at=1.5, text='"\x1b</script>\u2028', process="web", replica=2)])
    assert json.loads(paas("logs", "-a", "shop", "--json").out)["text"] == '"\x1b</script>\u2028'


def test_a_replica_and_a_time_span_become_parts_of_the_request(server: Running, paas: Paas) -> None:
    server.door.answers[ReadLogs] = iter([])
    assert paas("logs", "-a", "shop", "--replica", "web.2", "--since", "10m").code == 0
    request = server.door.seen[0][0]
    assert isinstance(request, ReadLogs)
    assert (request.process, request.replica) == ("web", 2)
    assert 0 < time.time() - request.since - 600 < 60


@pytest.mark.parametrize(
    ("argv", "sent"),
    [
        (["run", "-a", "shop", "ls", "-la", "--json"], RunCommand(app="shop", command=("ls", "-la", "--json"))),
        (["run", "-a", "shop", "--", "sh", "-c", "exit 7"], RunCommand(app="shop", command=("sh", "-c", "exit 7"))),
    ],
)
def test_run_passes_the_command_as_typed_and_returns_its_exit_code(
    server: Running, paas: Paas, monkeypatch: pytest.MonkeyPatch, argv: list[str], sent: RunCommand
) -> None:
    with Path("/dev/null").open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        ran = paas(*argv)
    assert ran.code == 7
    assert ran.out == " ".join(sent.command) + "\n"
    assert ran.err == "bye\n"
    request = server.door.seen[0][0]
    assert isinstance(request, RunCommand)
    assert request.command == sent.command
    assert not request.tty


def test_the_database_is_the_apps_database_url(server: Running, paas: Paas) -> None:
    def addon(name: str, variable: str) -> dict[str, object]:
        return {"name": name, "apps": [{"app": "shop", "config_var": variable}]}

    server.door.answers[ListAddons] = (addon("reports", "REPORTS_URL"), addon("main", "DATABASE_URL"))
    restored = {"addon": "main", "backup": "b", "tables": 1, "size": 10, "counts": "tables"}
    server.operations.answers[RestoreAddon] = [restored] * 2
    assert paas("db", "restore", "b1", "-a", "shop", "--confirm", "main").code == 0
    assert server.operations.requests[0] == RestoreAddon(addon="main", confirm="main", backup="b1")
    assert paas("db", "restore", "b1", "--addon", "other", "--confirm", "main").code == 2
    server.door.answers[ListAddons] = ()
    assert paas("db", "backup", "-a", "shop").code == 3
    server.door.answers[ListAddons] = (addon("one", "ONE_URL"), addon("two", "TWO_URL"))
    assert paas("db", "backup", "-a", "shop").code == 2


def test_plan_of_an_image_prints_the_steps(server: Running, paas: Paas) -> None:
    server.door.answers[PlanApp] = {
        "app": "shop", "exists": True, "buildpack": "python", "image": "x", "plan": "start web v2\n  because\n",
        "steps": 1, "processes": {}, "reasons": [], "warnings": ["w"], "missing": ["KEY"],
    }  # fmt: skip
    ran = paas("plan", "--image", "x", "-a", "shop")
    assert ran.out == "start web v2\n  because\n"
    assert "warning: w" in ran.err
    assert "KEY" in ran.err
    assert not server.operations.requests


def test_watch_raises_the_operations_failure(server: Running, paas: Paas) -> None:
    server.operations.answers[Scale] = [Conflict("taken")]
    assert paas("scale", "web=1", "-a", "shop").code == 4


def test_status_of_a_platform_that_does_not_run_says_so_and_starts_nothing(paas: Paas, tmp_path: Path) -> None:
    ran = paas("status")
    assert ran.code == 9
    assert "paas up" in ran.err
    assert not (tmp_path / "no-home").exists()


def test_down_when_nothing_runs_is_fine_and_starts_nothing(paas: Paas, tmp_path: Path) -> None:
    ran = paas("down")
    assert ran.code == 0
    assert "does not run" in ran.err
    assert not (tmp_path / "no-home").exists()


def test_a_home_that_cannot_be_used_is_a_platform_error(
    paas: Paas, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PAAS_HOME", str(tmp_path / "file" / "home"))
    ran = paas("apps")
    assert ran.code == 9
    assert "PAAS_HOME" in ran.err


@pytest.mark.parametrize(
    ("name", "value", "code"), [("PAAS_TICK", "soon", 5), ("PAAS_HOST", "ftp://x", 2), ("PAAS_HOST", "https://x", 2)]
)
def test_a_wrong_setting_is_named(
    paas: Paas, monkeypatch: pytest.MonkeyPatch, name: str, value: str, code: int
) -> None:
    monkeypatch.setenv(name, value)
    ran = paas("apps")
    assert ran.code == code, ran
    assert "PAAS_" in ran.err


def test_a_remote_server_needs_no_platform_here(server: Running, paas: Paas, monkeypatch: pytest.MonkeyPatch) -> None:
    server.door.answers[ListApps] = (APP,)
    monkeypatch.setenv("PAAS_HOST", f"http://{server.settings.listen}")
    monkeypatch.setenv("PAAS_TOKEN", "let-me-in")
    assert "shop" in paas("apps").out
    monkeypatch.setenv("PAAS_TOKEN", "wrong")
    assert paas("apps").code == 11


def test_ctrl_c_leaves_the_operation_to_the_server_and_says_how_to_come_back(server: Running) -> None:
    server.operations.go.clear()
    environ = {"PATH": "/usr/bin:/bin", "PAAS_HOME": str(server.settings.home)}
    argv = [sys.executable, "-m", "paas", "scale", "web=1", "-a", "shop"]
    with subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as command:
        eventually(lambda: server.operations.started, seconds=30)
        assert command.stdout is not None
        assert command.stdout.readline() == "- begin\n"
        command.send_signal(2)
        out, _ = command.communicate(timeout=30)
    assert command.returncode == 130
    assert "still running: paas watch op0" in out
    assert "Traceback" not in out


def test_a_bug_keeps_its_traceback_and_is_called_one(paas: Paas, server: Running) -> None:
    server.door.answers[ListApps] = {"not": "a list"}
    with pytest.raises(TypeError):
        paas("apps")


@pytest.mark.parametrize("argv", [["exec", "-a", "shop", "ls"], ["db", "shell", "--addon", "x"]])
def test_sessions_of_all_kinds_are_sent(
    server: Running, paas: Paas, monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    server.door.session = lambda request, *_, **__: 3 if isinstance(request, (ExecCommand, AddonShell)) else 0  # type: ignore[method-assign]
    sys.stdin.close()
    assert paas(*argv).code == 3
