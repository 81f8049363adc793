"""The story the product exists for, told once from beginning to end, on real Docker, Traefik and PostgreSQL."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.platform import APPS, Platform, eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

APP = "guestbook"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private copy of the sample app, to change."""
    return Path(shutil.copytree(APPS / APP, tmp_path_factory.mktemp("apps") / APP))


@pytest.fixture(scope="module")
def guestbook(platform: Platform, folder: Path) -> Platform:
    """The sample app deployed by one command: two replicas and a database, as its manifest says."""
    out = platform.run("deploy", folder)
    assert out.code == 0, out.said
    return platform


def served_by(platform: Platform, wanted: int = 2) -> set[str]:
    """The replicas that answered, asked until `wanted` different ones did or 40 requests passed."""
    seen: set[str] = set()
    for _ in range(40):
        answer = platform.get(APP, "/whoami")
        assert answer.status == 200, answer
        seen.add(json.loads(answer.body)["process"])
        if len(seen) >= wanted:
            break
    return seen


def releases(platform: Platform) -> list[dict[str, object]]:
    found = platform.json("releases", "-a", APP)
    assert isinstance(found, list)
    return found


def test_one_command_serves_the_app_by_two_replicas_with_a_database(guestbook: Platform) -> None:
    assert served_by(guestbook) == {"web.1", "web.2"}
    posted = guestbook.get(
        APP, "/entries", data=json.dumps({"text": "hello"}).encode(), headers={"Content-Type": "application/json"}
    )
    assert posted.status in (200, 201), posted
    readers = set()
    for _ in range(20):
        answer = guestbook.get(APP, "/entries")
        assert "hello" in answer.body
        readers.add(answer.headers.get("X-Replica"))
    assert readers == {"web.1", "web.2"}, "what one replica wrote, both read"


def test_ps_shows_two_healthy_replicas_with_their_release_and_memory(guestbook: Platform) -> None:
    seen = guestbook.json("ps", "-a", APP)
    web = [replica for replica in seen["replicas"] if replica["process"] == "web"]
    assert [replica["state"] for replica in web] == ["healthy", "healthy"]
    assert all(replica["memory"] > 1_000_000 for replica in web)


def test_the_database_url_is_bound_and_hidden_unless_asked_for(guestbook: Platform) -> None:
    url = guestbook.ok("config", "get", "DATABASE_URL", "-a", APP).strip()
    assert url.startswith("postgresql://")
    password = url.split(":")[2].split("@")[0]
    for argv in (
        ["releases", "show", "1", "-a", APP],
        ["addons", "-a", APP],
        ["info", "-a", APP],
        ["events", "-a", APP],
    ):
        assert password not in guestbook.run(*argv).out
    home = guestbook.folder / "home"
    for path in home.rglob("*"):
        if path.is_file() and path.name != "secret.key":
            assert password.encode() not in path.read_bytes(), path


def test_a_code_change_replaces_the_replicas_and_reinstalls_nothing(guestbook: Platform, folder: Path) -> None:
    source = folder / "app.py"
    source.write_text(source.read_text() + '\n\n@app.get("/new")\ndef new():\n    return "new code"\n')
    ran = guestbook.run("deploy", folder)
    assert ran.code == 0, ran.said
    assert guestbook.get(APP, "/new").body == "new code"
    build = guestbook.ok("logs", "-a", APP, "--source", "build", "-n", "0")
    assert "Installed" not in build, build
    assert "Downloading" not in build, build


def test_deploying_the_same_again_makes_no_release(guestbook: Platform, folder: Path) -> None:
    before = len(releases(guestbook))
    guestbook.ok("deploy", folder)
    assert len(releases(guestbook)) == before


def test_config_set_of_several_is_one_release_and_reaches_the_process_byte_by_byte(guestbook: Platform) -> None:
    before = len(releases(guestbook))
    value = "a \"quoted\" $HOME {{ 7*7 }} 'single' `id`\nsecond line \\ and ünïcode"
    guestbook.ok("config", "set", f"GREETING={value}", "OTHER=1", "-a", APP)
    assert len(releases(guestbook)) == before + 1
    assert guestbook.ok("config", "get", "GREETING", "-a", APP) == value + "\n"
    seen = guestbook.ok(
        "run", "-a", APP, "--", "python", "-c", "import os,sys; sys.stdout.write(os.environ['GREETING'])"
    )
    assert seen == value
    guestbook.ok("config", "unset", "OTHER", "-a", APP)
    assert guestbook.run("config", "get", "OTHER", "-a", APP).code != 0


def test_rollback_brings_back_image_and_config_without_a_build(guestbook: Platform) -> None:
    guestbook.ok("config", "set", "GREETING=later", "-a", APP)
    guestbook.ok("rollback", str(first_deploy(guestbook)), "-a", APP)
    assert guestbook.get(APP, "/new").status == 404
    assert guestbook.run("config", "get", "GREETING", "-a", APP).code != 0
    newest = releases(guestbook)[0]
    assert newest["kind"] == "rollback"
    assert newest["status"] == "succeeded"


def first_deploy(platform: Platform) -> int:
    return min(
        int(str(r["number"])) for r in releases(platform) if r["kind"] == "deploy" and r["status"] == "succeeded"
    )


def test_releases_say_who_when_why_and_what_changed(guestbook: Platform) -> None:
    guestbook.ok("config", "set", "GREETING=a quoted value", "-a", APP)
    newest = releases(guestbook)[0]
    assert newest["actor"]
    assert newest["description"]
    diff = guestbook.ok("releases", "show", str(newest["number"]), "--diff", "-a", APP)
    assert "GREETING" in diff
    assert "quoted" not in diff, "values stay hidden"


def test_scale_changes_the_number_of_replicas_and_makes_no_release(guestbook: Platform) -> None:
    before = len(releases(guestbook))
    guestbook.ok("scale", "web=3", "-a", APP)
    assert served_by(guestbook, 3) == {"web.1", "web.2", "web.3"}
    guestbook.ok("ps:scale", "web=1", "-a", APP)
    assert served_by(guestbook) == {"web.1"}
    assert len(releases(guestbook)) == before
    guestbook.ok("scale", "web=2", "-a", APP)


def test_run_passes_the_exit_code_and_standard_input_through(guestbook: Platform) -> None:
    assert guestbook.run("run", "-a", APP, "--", "sh", "-c", "exit 7").code == 7
    assert guestbook.run("run", "-a", APP, "--", "cat", text="from here\n").out == "from here\n"
    assert guestbook.run("exec", "-a", APP, "--", "sh", "-c", "echo $PAAS_PROCESS; exit 3").out.strip() == "web.1"


def test_db_shell_backup_and_restore(guestbook: Platform) -> None:
    assert guestbook.get(APP, "/entries", data=b"author=Ada&text=kept").status < 400
    count = "select count(*) from entries"
    before = guestbook.ok("db", "shell", "-a", APP, "--", "-Atc", count).strip()
    assert int(before) > 0
    guestbook.ok("db", "backup", "-a", APP)
    backup = guestbook.json("db", "backups", "-a", APP)[0]["id"]
    guestbook.ok("db", "shell", "-a", APP, "--", "-c", "delete from entries")
    addon = guestbook.json("addons", "-a", APP)[0]["name"]
    guestbook.ok("db", "restore", backup, "-a", APP, "--confirm", addon)
    assert guestbook.ok("db", "shell", "-a", APP, "--", "-Atc", count).strip() == before


def test_logs_show_the_app_the_router_and_the_build(guestbook: Platform) -> None:
    guestbook.get(APP, "/marked?token=secret")
    router = eventually(
        lambda: guestbook.ok("logs", "-a", APP, "--source", "router", "-n", "50"), what="an access line"
    )
    assert "/marked" in router
    assert "secret" not in router, "queries may hold tokens"
    assert "web.1" in guestbook.ok("logs", "-a", APP, "-n", "20", "--source", "app")
    assert guestbook.ok("logs", "-a", APP, "--source", "build", "-n", "20")


def test_a_failed_release_command_leaves_the_old_release_serving(guestbook: Platform, folder: Path) -> None:
    procfile = folder / "Procfile"
    good = procfile.read_text()
    lines = [line for line in good.splitlines() if not line.startswith("release:")]
    procfile.write_text("\n".join([*lines, "release: echo migration broke; exit 5"]) + "\n")
    said = guestbook.fails(7, "deploy", folder)
    assert "migration broke" in said
    assert "5" in said
    assert guestbook.get(APP, "/entries").status == 200
    procfile.write_text(good)


def test_the_app_can_be_renamed_and_keeps_everything(guestbook: Platform) -> None:
    guestbook.ok("rename", "visitors", "-a", APP)
    assert guestbook.get("visitors", "/entries").status == 200
    assert guestbook.get(APP, "/entries").status == 404
    guestbook.ok("rename", APP, "-a", "visitors")


def test_destroying_the_app_needs_its_name_and_leaves_the_database(guestbook: Platform) -> None:
    guestbook.fails(2, "destroy", "-a", APP)
    guestbook.fails(2, "destroy", "-a", APP, "--confirm", "another")
    addon = guestbook.json("addons")[0]["name"]
    guestbook.ok("destroy", "-a", APP, "--confirm", APP)
    assert guestbook.get(APP).status == 404
    assert [found["name"] for found in guestbook.json("addons")] == [addon]
    assert not guestbook.containers(f"label=paas.app-name={APP}", "label=paas.kind=replica")
    guestbook.ok("addons", "destroy", addon, "--confirm", addon)
    assert guestbook.json("db", "backups", addon), "the last dump stays"
