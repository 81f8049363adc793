"""Two people on two teams and one server with a certificate: clone, push, refused push, promote, review app, rollback,
revoke, audit; each from a laptop of their own, by https and by ssh. All parts are real."""

from __future__ import annotations

import getpass
import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.git_lab import APP, PERSON, Work
from tests.e2e.pebble import Pebble, proxy
from tests.e2e.platform import PAAS, Platform, Ran, eventually
from tests.e2e.sshd import Sshd, sshd
from tests.git_server import git_server
from tests.ports import free_port

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

HOST = "paas.example.com"


@dataclass
class Office:
    """The server of two teams. Its laptops reach it by the proxy of a company, and trust pebble."""

    platform: Platform
    ssh: Sshd
    environ: dict[str, str]

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.platform.tls_port}"


@pytest.fixture(scope="module")
def office(bases: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    platform = Platform(folder / "platform")
    platform.folder.mkdir()
    keys = folder / "keys" / "authorized_keys"
    platform.environ |= {"PAAS_SSH_KEYS": str(keys), "PAAS_SERVER_PORT": str(free_port())}
    platform.environ["PAAS_EGRESS_ALLOW"] = "127.0.0.0/8"  # where the git host of this test is
    pebble_folder = folder / "pebble"
    pebble_folder.mkdir()
    pebble = Pebble(pebble_folder, platform.port, platform.tls_port)
    pebble.start()
    try:
        platform.ok("up", "--domain", HOST)
        platform.ok(
            "certs", "auto", "on", "--email", "a@example.com", "--directory", pebble.directory, "--ca", pebble.ca
        )
        eventually(lambda: certified(platform), seconds=90, what="the certificate")
        (folder / "root.pem").write_text(pebble.roots())
        with (
            proxy({HOST: platform.tls_port}) as company,
            sshd(folder / "sshd", keys, getpass.getuser()) as ssh_server,
        ):
            environ = {"HTTPS_PROXY": company, "SSL_CERT_FILE": str(folder / "root.pem"),
                       "GIT_SSL_CAINFO": str(folder / "root.pem")}  # fmt: skip
            yield Office(platform, ssh_server, environ)
    finally:
        platform.close()
        pebble.stop()


def certified(platform: Platform) -> bool:
    found = [one for one in platform.json("certs") if one["host"] == HOST]
    return bool(found) and found[0]["status"] in ("valid", "expiring")


@dataclass
class Laptop:
    """Somebody's machine: a home, nothing of the platform but its URL."""

    office: Office
    folder: Path
    name: str
    environ: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PAAS_", "GIT_", "XDG_"))}
        path = f"{PAAS.parent}:{os.environ['PATH']}"
        self.environ = {**kept, **PERSON, "PATH": path, "HOME": str(self.folder), "NO_COLOR": "1", "COLUMNS": "200",
                        "GIT_TERMINAL_PROMPT": "0", **self.office.environ}  # fmt: skip

    def run(self, *argv: str | Path, text: str = "", cwd: Path | None = None) -> Ran:
        done = subprocess.run(
            [*map(str, argv)], env=self.environ, cwd=cwd or self.folder, input=text, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def paas(self, *argv: str | Path, code: int = 0, text: str = "", cwd: Path | None = None) -> str:
        ran = self.run("paas", *argv, text=text, cwd=cwd)
        assert ran.code == code, f"{self.name}: paas {' '.join(map(str, argv))}: expected {code}; {ran.said}"
        assert "Traceback" not in ran.err, ran.said
        return ran.out + (ran.err if code else "")

    def json(self, *argv: str | Path) -> Any:
        return json.loads(self.paas(*argv, "--json"))

    def repository(self, app: str, *remote: str) -> Work:
        """A new repository with the remote `paas`, made as the docs say."""
        work = Work(self.office.platform, self.folder / f"work-{app}", app, environ=self.environ)
        work.environ = dict(self.environ)
        work.git("remote", "remove", "paas")
        self.paas("git", "remote", "-a", app, *remote, cwd=work.folder)
        return work


def joined(office: Office, folder: Path, name: str, code: str) -> Laptop:
    laptop = Laptop(office, folder, name)
    laptop.paas("login", office.url, "--invite", "-", text=code)
    assert laptop.json("whoami")["name"] == name
    return laptop


@pytest.fixture(scope="module")
def people(office: Office, tmp_path_factory: pytest.TempPathFactory) -> tuple[Laptop, Laptop]:
    """Ann of the team `web`, Bob of the team `data`, each invited by the operator at the server."""
    folder, boss = tmp_path_factory.mktemp("laptops"), office.platform
    found = []
    for name, team in (("ann", "web"), ("bob", "data")):
        boss.ok("teams", "create", team)
        code = boss.json("invites", "create", name, "--team", team)["code"]
        found.append(joined(office, folder / name, name, code))
    return found[0], found[1]


def serves(office: Office, app: str) -> str:
    return office.platform.get(app).body


def test_the_story_of_two_teams_by_https(office: Office, people: tuple[Laptop, Laptop]) -> None:
    ann, bob = people
    work = ann.repository("shop", "--http")
    first = work.commit("first")
    assert "shop v1 serves" in work.git("push", "paas", "main").err
    assert serves(office, "shop") == "first"

    cloned = ann.folder / "cloned"
    ann.paas("git", "clone", "shop", cloned, "--http")
    assert APP.format(text="first", boot=0) == (cloned / "app.py").read_text()

    work.commit("broken", procfile="web python app.py\n")
    assert "Procfile" in work.git("push", "paas", "main", code=1).err
    assert (work.remote(), serves(office, "shop")) == (first, "first")

    for_bob = bob.repository("shop", "--http")
    for_bob.commit("bob's")
    assert for_bob.attempt("push", "paas", "main").code != 0
    assert "shop" in bob.paas("logs", "-a", "shop", code=3)
    assert bob.json("apps") == []
    assert serves(office, "shop") == "first"

    ann.paas("pipelines", "create", "shops", "-a", "shop", "--stage", "staging")
    ann.paas("create", "shop-live")
    ann.paas("pipelines", "add", "shops", "-a", "shop-live", "--stage", "production")
    ann.paas("pipelines", "promote", "-a", "shop")
    assert serves(office, "shop-live") == "first"
    bob.paas("pipelines", "promote", "-a", "shop", code=3)

    reviewed(office, ann, bob, work)

    work.git("reset", "--quiet", "--hard", first)
    work.commit("second")
    work.git("push", "--quiet", "paas", "main")
    assert serves(office, "shop") == "second"
    ann.paas("rollback", "-a", "shop")
    assert serves(office, "shop") == "first"


def reviewed(office: Office, ann: Laptop, bob: Laptop, work: Work) -> None:
    """Ann shows a branch of the repository that a git host has; Bob, who has no role on shop, sees nothing of it."""
    work.git("checkout", "--quiet", "-b", "better")
    work.commit("better")
    work.git("checkout", "--quiet", "main")
    with git_server(work.folder.parent) as host:
        ann.paas("reviews", "enable", "-a", "shop", "--source", host.url(work.folder.name), "--ttl", "1d")
        ann.paas("reviews", "open", "better", "-a", "shop")
    assert serves(office, "shop-better") == "better"
    staged = [(at["stage"], at["app"]) for at in ann.json("pipelines", "show", "shops")["apps"]]
    assert staged[0] == ("review", "shop-better")
    assert ann.json("info", "-a", "shop-better")["release"] == 1
    bob.paas("reviews", "-a", "shop", code=3)
    bob.paas("info", "-a", "shop-better", code=3)
    ann.paas("reviews", "close", "shop-better", "-a", "shop", "--confirm", "shop-better")
    assert office.platform.get("shop-better").status == 404


def test_a_role_lets_in_and_its_end_shuts_out(office: Office, people: tuple[Laptop, Laptop]) -> None:
    ann, bob = people
    ann.paas("create", "lent")
    ann.paas("members", "add", "bob", "viewer", "-a", "lent")
    assert [app["name"] for app in bob.json("apps")] == ["lent"]
    assert "role" in bob.paas("config", "set", "A=1", "-a", "lent", code=11)
    ann.paas("members", "remove", "bob", "-a", "lent")
    bob.paas("info", "-a", "lent", code=3)

    token = ann.json("tokens", "create", "ci", "--app", "lent", "--role", "deployer")
    robot = Laptop(office, ann.folder / "robot", "robot")
    robot.environ |= {"PAAS_HOST": office.url, "PAAS_TOKEN": token["token"]}
    robot.paas("config", "set", "A=1", "-a", "lent")
    robot.paas("info", "-a", "shop", code=3)
    ann.paas("tokens", "revoke", token["id"])
    assert "logged in" in robot.paas("config", "list", "-a", "lent", code=11)


def test_a_team_lets_in_and_leaving_it_shuts_out(office: Office, people: tuple[Laptop, Laptop]) -> None:
    """Ann gives an app to her team; who else is in it deploys by that alone, until they are not any more."""
    ann, bob = people
    ours = ann.repository("ours", "--http")
    ours.commit("ann's")
    ours.git("push", "--quiet", "paas", "main")
    code = office.platform.json("invites", "create", "dora", "--team", "web")["code"]
    dora = joined(office, ann.folder / "dora", "dora", code)
    dora.paas("info", "-a", "ours", code=3)
    ann.paas("members", "add", "--team", "web", "deployer", "-a", "ours")
    assert [app["name"] for app in dora.json("apps")] == ["ours"]
    cloned = dora.folder / "ours"
    dora.paas("git", "clone", "ours", cloned, "--http")
    (cloned / "app.py").write_text(APP.format(text="dora's", boot=0))
    assert dora.run("git", "commit", "--quiet", "--all", "--message", "dora's", cwd=cloned).code == 0
    pushed = dora.run("git", "push", "paas", "main", cwd=cloned)
    assert pushed.code == 0, pushed.said
    assert "ours v2 serves" in pushed.err
    assert serves(office, "ours") == "dora's"
    dora.paas("deploy", ours.folder, "-a", "ours")
    assert serves(office, "ours") == "ann's"
    assert [one["actor"] for one in ann.json("releases", "-a", "ours")] == ["dora", "dora", "ann"]
    assert "operator" in dora.paas("scale", "web=2", "-a", "ours", code=11), "the team's role, no more"
    bob.paas("info", "-a", "ours", code=3)

    office.platform.ok("teams", "remove", "web", "dora")
    assert dora.json("apps") == []
    (cloned / "app.py").write_text(APP.format(text="too late", boot=0))
    assert dora.run("git", "commit", "--quiet", "--all", "--message", "late", cwd=cloned).code == 0
    late = dora.run("git", "push", "paas", "main", cwd=cloned)
    assert late.code != 0, late.said
    dora.paas("deploy", cloned, "-a", "ours", code=4)
    dora.paas("info", "-a", "ours", code=3)
    assert serves(office, "ours") == "ann's"
    assert len(ann.json("releases", "-a", "ours")) == 3


def test_what_a_command_destroys_is_its_own_container(office: Office, people: tuple[Laptop, Laptop]) -> None:
    """Who may run commands runs any; it has the app's files in a container of its own, and nothing else."""
    ann, bob = people
    work = ann.repository("walled", "--http")
    work.commit("whole")
    work.git("push", "--quiet", "paas", "main")
    replicas = office.platform.containers("label=paas.app-name=walled")
    assert bob.run("paas", "run", "-a", "walled", "--", "id").code == 3
    ann.paas("members", "add", "bob", "operator", "-a", "walled")
    ran = bob.run("paas", "run", "-a", "walled", "--", "sh", "-c",
                  "id; rm -rf --no-preserve-root /; rm -rf /; test -e app.py || echo gone")  # fmt: skip
    assert ran.out.startswith("uid="), ran.said
    assert "gone" in ran.out, "it did what it could"
    assert serves(office, "walled") == "whole"
    assert office.platform.containers("label=paas.app-name=walled") == replicas
    assert "app.py" in bob.paas("run", "-a", "walled", "--", "ls"), "the next one has all files again"
    assert bob.paas("exec", "-a", "walled", "--", "ls") == bob.paas("run", "-a", "walled", "--", "ls")
    ran = bob.run("paas", "run", "-a", "walled", "--", "cat", "/etc/hostname", str(office.platform.folder / "home"))
    assert "No such file" in ran.err, ran.said
    assert (Path(office.platform.environ["PAAS_HOME"]) / "server.pid").exists()
    ann.paas("restart", "-a", "walled")
    assert serves(office, "walled") == "whole"
    assert {one["actor"] for one in ann.json("audit", "-a", "walled")} == {"ann", "bob"}
    ann.paas("members", "remove", "bob", "-a", "walled")


def test_the_same_over_ssh(office: Office, people: tuple[Laptop, Laptop]) -> None:
    ann, bob = people
    for laptop in people:
        laptop.paas("keys", "add", f"{laptop.name}-laptop", text=office.ssh.public(laptop.name))
        laptop.environ |= {"GIT_SSH_COMMAND": shlex.join(office.ssh.ssh(laptop.name)), "GIT_SSH_VARIANT": "ssh"}
    work = ann.repository("far", "--ssh", office.ssh.host)
    first = work.commit("by ssh")
    assert "far v1 serves" in work.git("push", "paas", "main").err
    work.commit("broken", procfile="web python app.py\n")
    assert "Procfile" in work.git("push", "paas", "main", code=1).err
    assert (work.remote(), serves(office, "far")) == (first, "by ssh")
    foreign = bob.repository("far", "--ssh", office.ssh.host)
    foreign.commit("bob's")
    refused = foreign.attempt("push", "paas", "main")
    assert refused.code != 0, refused.said
    assert serves(office, "far") == "by ssh"
    assert ann.json("releases", "-a", "far")[0]["actor"] == "ann"

    cloned = ann.folder / "far-cloned"
    ran = ann.run("git", "clone", "--quiet", "--origin", "paas", f"ssh://{office.ssh.host}/far", cloned)
    assert ran.code == 0, ran.said
    assert APP.format(text="by ssh", boot=0) == (cloned / "app.py").read_text()
    (cloned / "app.py").write_text(APP.format(text="second", boot=0))
    assert ann.run("git", "commit", "--quiet", "--all", "--message", "second", cwd=cloned).code == 0
    pushed = ann.run("git", "push", "paas", "main", cwd=cloned)
    assert "far v2 serves" in pushed.err, pushed.said
    assert serves(office, "far") == "second"
    ann.paas("rollback", "-a", "far")
    assert serves(office, "far") == "by ssh"

    ann.paas("pipelines", "create", "fars", "-a", "far", "--stage", "staging")
    ann.paas("create", "far-live")
    ann.paas("pipelines", "add", "fars", "-a", "far-live", "--stage", "production")
    ann.paas("pipelines", "promote", "-a", "far")
    assert serves(office, "far-live") == "by ssh"

    assert ann.run("git", "push", "--quiet", "paas", "main:tea", cwd=cloned).code == 0
    ann.paas("reviews", "enable", "-a", "far")
    ann.paas("reviews", "open", "tea", "-a", "far")
    assert serves(office, "far-tea") == "second"
    ann.paas("reviews", "close", "far-tea", "-a", "far", "--confirm", "far-tea")

    ann.paas("keys", "remove", "ann-laptop")
    assert ann.run("git", "push", "paas", "main:late", cwd=cloned).code != 0
    assert {one["actor"] for one in ann.json("audit", "-a", "far")} == {"ann"}


def test_who_leaves_is_out_and_what_was_done_stays_known(office: Office, people: tuple[Laptop, Laptop]) -> None:
    ann, _ = people
    carl = joined(office, ann.folder / "carl", "carl", office.platform.json("invites", "create", "carl")["code"])
    carl.paas("keys", "add", "carl-laptop", text=office.ssh.public("carl"))
    carl.environ |= {"GIT_SSH_COMMAND": shlex.join(office.ssh.ssh("carl")), "GIT_SSH_VARIANT": "ssh"}
    ann.paas("create", "kept")
    ann.paas("members", "add", "carl", "deployer", "-a", "kept")
    carl.paas("config", "set", "A=1", "-a", "kept")
    assert carl.run("git", "ls-remote", f"ssh://{office.ssh.host}/kept").code == 0
    office.platform.ok("users", "remove", "carl", "--confirm", "carl")
    assert "logged in" in carl.paas("apps", code=11)
    assert carl.run("git", "ls-remote", f"ssh://{office.ssh.host}/kept").code != 0
    assert {record["actor"] for record in ann.json("audit", "-a", "kept")} == {"ann", "carl"}
    assert office.platform.json("audit", "--verify")["broken"] == 0


def test_the_servers_certificate_is_checked(office: Office, people: tuple[Laptop, Laptop], tmp_path: Path) -> None:
    stranger = Laptop(office, tmp_path / "stranger", "stranger")
    del stranger.environ["SSL_CERT_FILE"]
    root = office.environ["SSL_CERT_FILE"]
    said = stranger.paas("login", office.url, "--invite", "-", text="x", code=9)
    assert f"the certificate of {office.url} is not trusted" in said
    assert "paas login --ca FILE" in said
    said = stranger.paas("login", office.url, "--invite", "-", "--ca", root, text="x", code=11)
    assert "this code does not count" in said  # the word of the server, which was reached by now
