"""The Debian stack's real images: what every base promises, seen from inside a container."""

from __future__ import annotations

import http.client
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import docker
import pytest

from paas.images import DockerBuilder
from paas.model.build import Base, Runtime
from paas.model.events import silent
from paas.settings import load
from paas.stacks import DebianStack

pytestmark = [pytest.mark.docker, pytest.mark.skipif(os.geteuid() != 0, reason="the Debian stack needs root")]


@dataclass
class Lab:
    """Containers and volumes with this test's label, and the bases they run on."""

    api: docker.APIClient
    stack: DebianStack
    label: dict[str, str] = field(default_factory=lambda: {"paas.test": uuid.uuid4().hex})
    made: list[str] = field(default_factory=list)

    def base(self, runtime: str) -> Base:
        base = self.stack.answer(Runtime(runtime))
        self.stack.prepare(base, silent)
        return base

    def start(self, image: str, *command: str, user: str = "", volume: str = "", **env: str) -> str:
        host = self.api.create_host_config(
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            init=True,
            binds=[f"{volume}:/var/lib/postgresql/data"] if volume else None,
        )
        made = self.api.create_container(
            image, list(command) or None, labels=self.label, environment=env, host_config=host, user=user
        )
        self.made.append(made["Id"])
        self.api.start(made["Id"])
        return str(made["Id"])

    def run(self, image: str, script: str, user: str = "") -> str:
        made = self.start(image, "sh", "-c", script, user=user)
        code = self.api.wait(made)["StatusCode"]
        said = str(self.api.logs(made).decode())
        assert code == 0, said
        return said.strip()

    def inside(self, container: str, *command: str, **env: str) -> tuple[int, str]:
        made = self.api.exec_create(container, list(command), environment=env)
        said = self.api.exec_start(made["Id"]).decode()
        return self.api.exec_inspect(made["Id"])["ExitCode"], said


@pytest.fixture
def lab() -> Iterator[Lab]:
    settings = load()
    api = docker.APIClient(base_url=settings.docker, version="auto")
    lab = Lab(api, DebianStack(settings, DockerBuilder(settings)))
    yield lab
    for container in lab.made:
        api.remove_container(container, force=True, v=True)
    for volume in api.volumes(filters={"label": f"paas.test={lab.label['paas.test']}"})["Volumes"] or ():
        api.remove_volume(volume["Name"])
    api.close()


def until(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("runtime", ["python", "node", "static"])
def test_apps_run_as_a_user_that_may_not_become_root(lab: Lab, runtime: str) -> None:
    base = lab.base(runtime)
    assert lab.run(base.image, "id -u; id -g; id -un; echo $HOME; touch $HOME/x", user="app").split() == [
        *("1000", "1000", "app", "/home/app"),
    ]


@pytest.mark.parametrize("runtime", ["python", "node", "static", "postgres", "redis"])
def test_no_package_lists_caches_or_certificates_of_this_machine_are_left(lab: Lab, runtime: str) -> None:
    base = lab.base(runtime)
    script = (
        "find /var/lib/apt/lists /var/cache/apt/archives /tmp /root/.cache /root/.npm -type f ! -name lock 2>/dev/null;"
        " find /usr/local/share/ca-certificates /usr/share/man -type f; find / -xdev -name 'ca.pem' 2>/dev/null; true"
    )
    for image in {base.image, base.build_image}:
        assert lab.run(image, script, user="0") == ""


def test_python_builds_with_uv_and_compilers_and_runs_without(lab: Lab) -> None:
    base = lab.base("python")
    assert lab.run(base.image, "python -c 'import sys; print(*sys.version_info[:2], sep=\".\")'") == base.version
    assert lab.run(base.image, "command -v uv gcc pip || echo none") == "none"
    said = lab.run(base.build_image, "uv --version && python3 -m pip --version && gcc --version && pg_config --version")
    assert "uv " in said
    assert "pip " in said


def test_a_virtual_environment_made_in_the_build_image_runs_in_the_other(lab: Lab) -> None:
    base = lab.base("python")
    script = "uv venv --python python3 --quiet /tmp/v && readlink -f /tmp/v/bin/python"
    interpreter = lab.run(base.build_image, script)
    assert lab.run(base.image, f"{interpreter} -c 'print(1)'") == "1"


def test_node_has_its_package_managers_in_both_images(lab: Lab) -> None:
    base = lab.base("node")
    script = "node --version && npm --version && yarn --version && pnpm --version && npx --version"
    said = [lab.run(image, script, user="app").split() for image in (base.image, base.build_image)]
    assert said[0] == said[1]
    assert said[0][0].startswith(f"v{base.version}.")
    assert lab.run(base.build_image, "ls /usr/local/include/node/node.h && make --version && python3 --version")


def test_static_serves_files_as_an_ordinary_user(lab: Lab) -> None:
    base = lab.base("static")
    script = """
        mkdir -p /tmp/site && echo hello > /tmp/site/index.html
        echo 'pid /tmp/pid; daemon off; events {} http { include /etc/nginx/mime.types; client_body_temp_path /tmp/body;
              server { listen 8000; root /tmp/site; } }' > /tmp/nginx.conf
        exec nginx -c /tmp/nginx.conf
    """
    made = lab.start(base.image, "sh", "-c", script, user="app")
    address = lab.api.inspect_container(made)["NetworkSettings"]["IPAddress"]

    def answer() -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection(address, 8000, timeout=5)
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
            return response.status, response.headers["Content-Type"], response.read()
        except OSError:
            return 0, "", b""
        finally:
            connection.close()

    assert until(lambda: answer() == (200, "text/html", b"hello\n")), (answer(), lab.api.logs(made).decode())


POSTGRES = {"POSTGRES_USER": "shop-db", "POSTGRES_PASSWORD": "p'w \"$x", "POSTGRES_DB": 'we"ird'}


def test_postgres_makes_its_database_once_and_asks_for_the_password(lab: Lab) -> None:
    base = lab.base("postgres")
    volume = lab.api.create_volume(labels=lab.label)["Name"]
    query = ("psql", "-h", "127.0.0.1", "-U", "shop-db", "-d", 'we"ird', "-Atc")

    def answers(container: str) -> bool:
        return lab.inside(container, *query, "select 1", PGPASSWORD=POSTGRES["POSTGRES_PASSWORD"]) == (0, "1\n")

    first = lab.start(base.image, volume=volume, **POSTGRES)
    assert until(lambda: answers(first)), lab.api.logs(first).decode()
    assert lab.inside(first, *query, "create table kept (a int)", PGPASSWORD=POSTGRES["POSTGRES_PASSWORD"])[0] == 0
    assert lab.inside(first, *query, "select 1", PGPASSWORD="wrong")[0] != 0
    started = lab.inside(first, "sh", "-c", "tr '\\0' '\\n' < /proc/$(head -1 $PGDATA/postmaster.pid)/environ")
    assert "POSTGRES_PASSWORD" not in started[1]
    lab.api.stop(first)
    assert lab.api.inspect_container(first)["State"]["ExitCode"] == 0
    lab.api.remove_container(first)
    lab.made.remove(first)
    second = lab.start(base.image, volume=volume, **POSTGRES)
    assert until(lambda: answers(second)), lab.api.logs(second).decode()
    assert lab.inside(second, *query, "select count(*) from kept", PGPASSWORD=POSTGRES["POSTGRES_PASSWORD"])[1] == "0\n"


@pytest.mark.parametrize(
    ("before", "env", "words"),
    [
        ("", {}, "POSTGRES_PASSWORD is not set"),
        ("", {"POSTGRES_PASSWORD": "x", "POSTGRES_USER": 'a"b'}, "may have letters"),
        (
            "mkdir $PGDATA && echo 16 > $PGDATA/PG_VERSION &&",
            {"POSTGRES_PASSWORD": "x"},
            "was made by PostgreSQL 16, this is 17",
        ),
    ],
    ids=["no password", "odd user", "another version"],
)
def test_postgres_says_why_it_does_not_start(lab: Lab, before: str, env: dict[str, str], words: str) -> None:
    base = lab.base("postgres")
    made = lab.start(base.image, "sh", "-c", f"{before} exec postgres-entrypoint", **env)
    assert lab.api.wait(made)["StatusCode"] == 1
    assert words in lab.api.logs(made).decode()


def test_a_first_start_that_was_cut_short_begins_again(lab: Lab) -> None:
    base = lab.base("postgres")
    script = "mkdir -p $PGDATA.new/base && echo 17 > $PGDATA.new/PG_VERSION && exec postgres-entrypoint"
    made = lab.start(base.image, "sh", "-c", script, POSTGRES_PASSWORD="x")
    assert until(lambda: lab.inside(made, "pg_isready", "-h", "127.0.0.1")[0] == 0), lab.api.logs(made).decode()
