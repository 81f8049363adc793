"""An app out of a repository, a clone of it with its data, and the scripts it brings: real git, Docker, PostgreSQL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.git_lab import PERSON, Work
from tests.e2e.platform import PAAS, Platform, eventually
from tests.git_server import GitServer, git_server

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

APP = """
import http.server, json, os, psycopg

def rows(sql, *values):
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        found = connection.execute(sql, values)
        return [row[0] for row in found] if found.description else []

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        told = {key: os.environ.get(key, "") for key in ("MODE", "TITLE", "SECRET_KEY")}
        self.say({**told, "rows": rows("SELECT text FROM entries ORDER BY id")})

    def do_POST(self):
        rows("INSERT INTO entries (text) VALUES (%s)", self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.say({})

    def say(self, value):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
MIGRATE = 'from app import rows\nrows("CREATE TABLE IF NOT EXISTS entries (id bigserial PRIMARY KEY, text text)")\n'
SCRIPT = """
import os, sys
from app import rows
print("{word} as", os.environ["PAAS_APP"], flush=True)
if os.environ.get("{stop}"):
    sys.exit(3)
rows("INSERT INTO entries (text) VALUES ('{word}')")
"""
FILES = {
    "app.py": APP,
    "migrate.py": MIGRATE,
    "seed.py": SCRIPT.format(word="seeded", stop="SEED_FAILS"),
    "goodbye.py": SCRIPT.format(word="goodbye", stop="HOLD"),
    "requirements.txt": "psycopg[binary]==3.3.2\n",
    "Procfile": "release: python migrate.py\nweb: python app.py\n",
    "app.json": json.dumps(
        {
            "env": {
                "TITLE": {"description": "what it is called"},
                "SECRET_KEY": {"generator": "secret"},
                "MODE": "live",
            },
            "addons": ["heroku-postgresql"],
            "cron": [{"command": "python seed.py", "schedule": "@yearly"}],
            "scripts": {"postdeploy": "python seed.py", "predestroy": "python goodbye.py"},
            "environments": {"review": {"env": {"MODE": "review", "TITLE": {"required": False}}}},
        }
    ),
}


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """`team/book`, on the branch main, as a git host has it."""
    folder = tmp_path_factory.mktemp("hosted")
    book = folder / "team" / "book"
    book.mkdir(parents=True)
    for name, text in FILES.items():
        (book / name).write_text(text)
    environ = {**os.environ, **PERSON}
    for argv in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "First")):
        subprocess.run(["git", *argv], cwd=book, env=environ, check=True)
    with git_server(folder) as server:
        yield server


@pytest.fixture(scope="module")
def url(repositories: GitServer) -> str:
    return repositories.url("team/book")


@pytest.fixture(scope="module")
def book(platform: Platform, url: str) -> str:
    """The app `book`, set up with one more row than its seed."""
    platform.ok("create", "--from", url, "--env", "TITLE=Ours")
    assert platform.get("book", data=b"written").status == 200
    return "book"


def told(platform: Platform, app: str) -> dict[str, Any]:
    """What the app says of itself."""
    answer = platform.get(app)
    assert answer.status == 200, answer
    return dict(json.loads(answer.body))


def names(platform: Platform) -> set[str]:
    return {one["name"] for one in platform.json("apps")}


def kinds(platform: Platform, app: str) -> list[str]:
    return [one["kind"] for one in platform.json("events", "-a", app)]


def test_one_command_brings_a_repository_to_an_address(platform: Platform, book: str, url: str) -> None:
    found = told(platform, book)
    assert (found["TITLE"], found["MODE"], found["rows"][0]) == ("Ours", "live", "seeded")
    assert len(found["SECRET_KEY"]) > 20
    again = platform.run("create", "--from", url, "--env", "TITLE=Ours")
    assert again.code == 0, again.said
    assert "nothing changed" in again.err
    assert told(platform, book) == found


def test_what_it_requires_is_listed_and_nothing_is_made(platform: Platform, url: str) -> None:
    said = platform.fails(5, "create", "lacking", "--from", url)
    assert "TITLE: what it is called" in said
    assert "--env TITLE=…" in said
    assert "lacking" not in names(platform)


def test_what_cannot_be_fetched_makes_nothing_and_changes_nothing(
    platform: Platform, book: str, repositories: GitServer
) -> None:
    platform.fails(3, "create", "other", "--from", repositories.url("team/nowhere"))
    assert "other" not in names(platform)
    before = platform.json("info", "-a", book)
    platform.fails(2, "create", book, "--from", "file:///etc")
    assert platform.json("info", "-a", book)["release"] == before["release"]


def test_an_environment_differs_and_a_failed_postdeploy_runs_again_until_it_works(platform: Platform, url: str) -> None:
    first = platform.run("create", "tried", "--from", url, "--environment", "review", "--env", "SEED_FAILS=1")
    assert first.code == 12, first.said
    assert first.out == f"http://tried.localhost:{platform.port}\n"
    assert "seeded as tried" in first.err, "its output is streamed"
    assert "postdeploy exited with code 3" in first.err
    found = told(platform, "tried")
    assert (found["MODE"], found["TITLE"], found["rows"]) == ("review", "", [])
    platform.ok("config", "unset", "SEED_FAILS", "-a", "tried")
    assert told(platform, "tried")["rows"] == []
    platform.ok("create", "tried", "--from", url)
    platform.ok("create", "tried", "--from", url)
    assert told(platform, "tried")["rows"] == ["seeded"]
    assert [kind for kind in kinds(platform, "tried") if kind.startswith("postdeploy")] == [
        "postdeploy.failed", "postdeploy.succeeded",
    ]  # fmt: skip


def test_a_clone_with_data_has_the_rows_and_goes_its_own_way(platform: Platform, book: str) -> None:
    ran = platform.run("clone", book, "copy", "--with-data")
    assert ran.code == 0, ran.said
    original, copy = told(platform, book), told(platform, "copy")
    assert copy == original
    assert "written" in copy["rows"]
    assert platform.get("copy", data=b"only here").status == 200
    assert platform.get(book, data=b"only there").status == 200
    assert "only here" not in told(platform, book)["rows"]
    assert "only there" not in told(platform, "copy")["rows"]
    assert [one["paused_by"] != "" for one in platform.json("cron", "-a", "copy")] == [True]
    assert platform.json("info", "-a", "copy")["version"] == platform.json("info", "-a", book)["version"]
    assert list((Path(platform.environ["PAAS_HOME"]) / "work").iterdir()) == []
    platform.ok("destroy", "copy", "--confirm", "copy", "--addons")
    assert "only there" in told(platform, book)["rows"]


def test_a_clone_without_data_is_filled_by_release_command_and_postdeploy(platform: Platform, book: str) -> None:
    platform.ok("clone", book, "empty")
    assert told(platform, "empty")["rows"] == ["seeded"]
    assert told(platform, "empty")["SECRET_KEY"] == told(platform, book)["SECRET_KEY"]
    said = platform.fails(4, "clone", book, "empty", "--with-data")
    assert "there is an app 'empty' already" in said
    assert told(platform, "empty")["rows"] == ["seeded"]


@pytest.mark.parametrize("moment", ["app", "release"])
def test_a_clone_whose_server_is_killed_is_not_left_half_made(platform: Platform, book: str, moment: str) -> None:
    name = f"struck-{moment}"

    def reached() -> bool:
        if moment == "app":
            return name in names(platform)
        return name in names(platform) and "clone" in {one["kind"] for one in platform.json("releases", "-a", name)}

    cloning = platform.start("clone", book, name, "--with-data")
    eventually(reached, seconds=120, what=f"the new {moment}")
    os.kill(platform.server_pid(), signal.SIGKILL)
    cloning.communicate(timeout=120)
    platform.ok("up")

    def whole_or_gone() -> bool:
        if name not in names(platform):
            return not [one for one in platform.json("addons") if one["name"].startswith(name)]
        return platform.get(name).status == 200

    eventually(whole_or_gone, seconds=180, what="a whole clone or none")
    if name not in names(platform):
        platform.ok("clone", book, name, "--with-data")
    assert "written" in told(platform, name)["rows"]
    assert [one["name"] for one in platform.json("addons", "-a", name)] == [f"{name}-postgres"]


def test_predestroy_has_the_last_word_unless_forced(platform: Platform, book: str) -> None:
    platform.ok("clone", book, "leaving")
    platform.ok("config", "set", "HOLD=1", "-a", "leaving")
    said = platform.fails(12, "destroy", "leaving", "--confirm", "leaving")
    assert "goodbye as leaving" in said
    assert "leaving is not destroyed: predestroy exited with code 3" in said
    assert told(platform, "leaving")["rows"] == ["seeded"]
    platform.ok("config", "unset", "HOLD", "-a", "leaving")
    platform.ok("destroy", "leaving", "--confirm", "leaving")
    sql = "SELECT text FROM entries ORDER BY id DESC LIMIT 1"
    left = platform.ok("db", "shell", "--addon", "leaving-postgres", "--", "-Atc", sql)
    assert left.strip() == "goodbye", "it ran while the database was there"
    platform.ok("clone", book, "gone")
    platform.ok("config", "set", "HOLD=1", "-a", "gone")
    platform.ok("destroy", "gone", "--confirm", "gone", "--addons", "--force")
    assert "gone" not in names(platform)


def test_what_is_required_is_asked_for_where_somebody_can_answer(platform: Platform, url: str, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    told_to = tmp_path / "stderr"
    with told_to.open("w") as stderr:
        # In a session of its own there is no terminal but this one.
        asking = subprocess.Popen(
            [str(PAAS), "create", "asked", "--from", url], env=platform.environ, cwd=platform.folder, stdin=theirs,
            stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True,
        )  # fmt: skip
    try:
        # What is typed before it asks is thrown away, as at every prompt for a password.
        eventually(lambda: told_to.read_text().endswith("TITLE: "), seconds=120, what="the question")
        os.write(ours, b"Typed here\n")
        out, _ = asking.communicate(timeout=300)
    finally:
        asking.kill()
        asking.wait()
        os.close(ours)
        os.close(theirs)
    assert asking.returncode == 0, told_to.read_text()
    assert "asked needs config that is not set: TITLE" in told_to.read_text()
    assert "Typed here" not in out + told_to.read_text()
    assert told(platform, "asked")["TITLE"] == "Typed here"


def test_a_push_whose_postdeploy_fails_is_taken_with_a_warning(platform: Platform, tmp_path: Path) -> None:
    work = Work(platform, tmp_path / "pushed", "pushed")
    (work.folder / "paas.toml").write_text("[scripts]\npostdeploy = 'echo sowing; exit 4'\n")
    work.commit("first")
    first = work.git("push", "paas", "main")
    assert "sowing" in first.err
    assert "postdeploy exited with code 4" in first.err
    assert work.serves() == "first"
    (work.folder / "paas.toml").write_text("[scripts]\npostdeploy = 'echo sowing'\n")
    work.commit("second")
    assert "postdeploy of v2 is done" in work.git("push", "paas", "main").err
    work.commit("third")
    assert "sowing" not in work.git("push", "paas", "main").err
