"""Every sample app, built for real and asked over HTTP; by both of the Engine's builders where they differ."""

from __future__ import annotations

import http.client
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import docker
import pytest

from paas.build.detect import Inspection, inspect
from paas.build.dockerfile import BuildFacts, render
from paas.build.files import Files
from paas.errors import BuildFailed
from paas.images import DockerBuilder
from paas.model.build import Image
from paas.model.events import Event, silent
from paas.settings import load
from paas.stacks import DebianStack, build_env, ca_image
from tests.e2e.platform import APPS
from tests.ports import free_port

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


class Classic(DockerBuilder):
    """The builder of an Engine without BuildKit."""

    def buildkit(self) -> bool:
        return False


@dataclass
class Workshop:
    """Builds apps and runs them; keeps what the builds said, and takes everything away that it made."""

    builder: DockerBuilder
    mark: str = field(default_factory=lambda: f"t-{uuid.uuid4().hex[:8]}")
    output: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = load()
        self.api = docker.APIClient(base_url=settings.docker, version="auto", timeout=120)
        self.stack = DebianStack(settings, self.builder)
        self.facts = BuildFacts(
            cache_mounts=self.builder.buildkit(),
            ca_image=ca_image(settings, self.builder, silent),
            build_env=build_env(os.environ),
            cache_id="tests",
        )

    def build(self, folder: Path) -> tuple[Inspection, Image]:
        found = inspect(Files.of(folder), offers=self.stack.offers)
        bases = {stage: self.stack.answer(runtime) for stage, runtime in found.plan.runtimes.items()}
        for base in bases.values():
            self.stack.prepare(base, silent)
        self.output.clear()
        image = self.builder.build(
            folder,
            render(found.plan, bases, self.facts),
            f"{self.mark}/{folder.name}:1",
            labels={"paas.test": self.mark},
            emit=self._keep,
            build_args=found.manifest.build_args,
        )
        return found, image

    def start(self, found: Inspection, image: Image, **env: str) -> tuple[str, int]:
        """A container as the platform runs it, and the loopback port that leads to it."""
        inside, outside = found.plan.port or 8000, free_port()
        made = self.api.create_container(
            image.id,
            labels={"paas.test": self.mark},
            environment={"PORT": str(inside), **env},
            ports=[inside],
            host_config=self.api.create_host_config(
                init=True, cap_drop=["ALL"], security_opt=["no-new-privileges"],
                port_bindings={inside: ("127.0.0.1", outside)},
            ),
        )["Id"]  # fmt: skip
        self.api.start(made)
        return made, outside

    def inside(self, container: str, script: str) -> str:
        made = self.api.exec_create(container, ["sh", "-c", script])
        return str(self.api.exec_start(made["Id"]).decode())

    def close(self) -> None:
        label = {"label": f"paas.test={self.mark}"}
        for container in self.api.containers(all=True, filters=label):
            self.api.remove_container(container["Id"], force=True, v=True)
        for image in self.api.images(filters=label):
            for ref in image["RepoTags"] or ():
                if ref.startswith(f"{self.mark}/"):
                    self.builder.remove(ref)
        self.api.close()

    def _keep(self, event: Event) -> None:
        self.output.append(event.message)


@pytest.fixture(params=[DockerBuilder, Classic], ids=["buildkit", "classic"])
def either(request: pytest.FixtureRequest, bases: None) -> Iterator[Workshop]:
    workshop = Workshop(request.param(load()))
    yield workshop
    workshop.close()


@pytest.fixture
def workshop(bases: None) -> Iterator[Workshop]:
    workshop = Workshop(DockerBuilder(load()))
    yield workshop
    workshop.close()


def ask(port: int, path: str = "/") -> tuple[int, str]:
    """Status and body, once the app answers."""
    deadline = time.monotonic() + 30
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < deadline, "the app never answered"
            time.sleep(0.1)
        finally:
            connection.close()


def checked(workshop: Workshop, name: str, words: str) -> None:
    """The app answers, runs as `app`, may write into its folder, and its image holds no trace of the build."""
    found, image = workshop.build(APPS / name)
    container, port = workshop.start(found, image, SECRET_KEY="test")
    status, body = ask(port)
    assert status == 200, body
    assert words in body
    look = "exec 2>&1; id -u; touch /app/written && echo written; ls /run /opt; ls -d /paas /out; env"
    seen = workshop.inside(container, look)
    assert seen.startswith("1000\nwritten\n"), seen
    for trace in ("ca.pem", "/paas\n", "/out\n", "PIP_INDEX_URL", "SSL_CERT_FILE", "UV_", "YARN_", "proxy"):
        assert trace not in seen, seen
    assert "ca.pem" not in str(workshop.api.history(image.id))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("flask-hello", "hello from flask"),
        ("fastapi-hello", "hello from fastapi"),
        ("poetry-hello", "hello from poetry"),
        ("pipenv-hello", "hello from pipenv"),
        ("uv-hello", "hello from uv"),
        ("wsgi-plain", "hello from wsgi"),
        ("worker", "hello from web"),
        ("node-express", "hello from express"),
        ("node-pnpm", "hello from pnpm 1000 true"),
    ],
)
def test_an_app_is_built_and_answers(workshop: Workshop, name: str, words: str) -> None:
    checked(workshop, name, words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("django-hello", "hello from django"),
        ("node-yarn", "hello from yarn 1000 true"),
        ("vite-spa", "<title>Single page</title>"),
        ("static-site", "hello from files"),
    ],
)
def test_both_builders_build_what_answers(either: Workshop, name: str, words: str) -> None:
    checked(either, name, words)


def test_an_own_dockerfile_is_built_as_it_is(workshop: Workshop) -> None:
    found, image = workshop.build(APPS / "dockerfile-hello")
    assert image.exposed == (3000,)
    assert "hello from a Dockerfile" in ask(workshop.start(found, image)[1])[1]


def test_django_serves_the_static_files_it_collected(workshop: Workshop) -> None:
    found, image = workshop.build(APPS / "django-hello")
    _, port = workshop.start(found, image, SECRET_KEY="test")
    assert ask(port, "/static/hello.css") == (200, "body { color: darkgreen }\n")


def test_files_are_served_with_their_own_404_and_a_single_page_app_answers_every_path(workshop: Workshop) -> None:
    _, port = workshop.start(*workshop.build(APPS / "static-site"))
    assert ask(port)[0] == 200
    assert ask(port, "/gone") == (404, (APPS / "static-site" / "404.html").read_text())
    for hidden in ("/paas.toml", "/Procfile", "/.git/config", "/../etc/passwd"):
        assert ask(port, hidden)[0] in (400, 404), hidden
    _, port = workshop.start(*workshop.build(APPS / "vite-spa"))
    assert ask(port, "/some/route") == ask(port, "/")
    assert ask(port, "/assets/gone.js")[0] in (200, 404)


@pytest.mark.parametrize(
    ("name", "source", "install"),
    [("flask-hello", "app.py", "flask"), ("node-express", "server.js", "added"), ("node-pnpm", "index.js", "progress")],
)
def test_a_code_only_change_re_runs_no_install(
    workshop: Workshop, tmp_path: Path, name: str, source: str, install: str
) -> None:
    folder = Path(shutil.copytree(APPS / name, tmp_path / name))
    _, first = workshop.build(folder)
    path = folder / source
    path.write_text(path.read_text().replace("hello from", f"{workshop.mark} from"))
    found, second = workshop.build(folder)
    assert second.id != first.id
    assert workshop.mark in ask(workshop.start(found, second)[1])[1]
    assert not [line for line in workshop.output if install in line.lower() and "RUN" not in line], workshop.output


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("flask-hello", 0, "Shutting down"),
        # uvicorn ends what it does, and then itself by the same signal.
        ("fastapi-hello", 143, "Application shutdown complete"),
        ("node-express", 0, ""),
        ("static-site", 0, ""),
    ],
)
def test_sigterm_reaches_the_app_itself(workshop: Workshop, name: str, code: int, words: str) -> None:
    container, port = workshop.start(*workshop.build(APPS / name))
    ask(port)
    workshop.api.stop(container, timeout=20)
    assert workshop.api.inspect_container(container)["State"]["ExitCode"] == code
    assert words in workshop.api.logs(container).decode()


def test_a_stale_lock_file_fails_with_the_package_managers_own_words(workshop: Workshop) -> None:
    with pytest.raises(BuildFailed) as caught:
        workshop.build(APPS / "bad-lock")
    said = "\n".join(caught.value.details)
    assert "lock file's ms@2.1.3 does not satisfy ms@2.0.0" in said
    assert "Usage" not in said


def test_a_requirement_that_does_not_exist_fails_with_its_name(workshop: Workshop) -> None:
    with pytest.raises(BuildFailed) as caught:
        workshop.build(APPS / "bad-build")
    assert "no-such-package-anywhere-1a2b3c" in "\n".join(caught.value.details)


def test_values_from_outside_are_values_inside(workshop: Workshop, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(APPS / "wsgi-plain", tmp_path / "wsgi-plain"))
    hostile = "a \"b\" 'c' $HOME ${X:-y} `id` \\ {{ 7*7 }} # %s $(touch /pwned) ü"
    (folder / "paas.toml").write_text(
        f"[build]\ncommand = 'printenv ARG > arg.txt'\n[build.args]\nARG = '''{hostile}'''\n"
    )
    workshop.facts = replace(workshop.facts, build_env={**workshop.facts.build_env, "NO_PROXY": hostile})
    found, image = workshop.build(folder)
    container, port = workshop.start(found, image)
    ask(port)
    assert workshop.inside(container, "cat arg.txt; ls /pwned 2>/dev/null") == f"{hostile}\n"
