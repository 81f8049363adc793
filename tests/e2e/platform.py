"""A platform of its own for tests: own instance, home, ports and address range on the machine's one Engine."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
APPS = ROOT / "tests" / "apps"
PAAS = Path(sys.executable).with_name("paas")
TOKEN = "open-sesame-1"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything it printed, for messages of assertions."""
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: str
    headers: dict[str, str]


@dataclass
class Platform:
    """Runs `paas` and sends requests through its router."""

    folder: Path
    instance: str = field(default_factory=lambda: f"t{random.randrange(16**6):06x}")
    enter: tuple[str, ...] = ()
    engine: str = "unix:///var/run/docker.sock"

    def __post_init__(self) -> None:
        self.port, self.tls_port, self.api_port = free_port(), free_port(), free_port()
        octets = f"10.{random.randrange(100, 200)}.{random.randrange(0, 16) * 16}"
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PAAS_")},
            "PAAS_HOME": str(self.folder / "home"),
            "PAAS_INSTANCE": self.instance,
            "DOCKER_HOST": self.engine,
            "PAAS_BIND": "127.0.0.1",
            "PAAS_HTTP_PORT": str(self.port),
            "PAAS_HTTPS_PORT": str(self.tls_port),
            "PAAS_TRAEFIK_PORT": str(self.api_port),
            "PAAS_SUBNETS": f"{octets}.0/20",
            "PAAS_STACK": "debian",
            "PAAS_TICK": "1",
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    def run(self, *argv: str | Path, cwd: Path | None = None, text: str = "", timeout: float = 300) -> Ran:
        """One `paas` command; never raises for its exit code."""
        done = subprocess.run(
            [*self.enter, str(PAAS), *map(str, argv)],
            env=self.environ, cwd=cwd or self.folder, input=text, capture_output=True, text=True, timeout=timeout,
            check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def ok(self, *argv: str | Path, cwd: Path | None = None, text: str = "", timeout: float = 300) -> str:
        """Standard output of a command that must succeed."""
        ran = self.run(*argv, cwd=cwd, text=text, timeout=timeout)
        assert ran.code == 0, f"paas {' '.join(map(str, argv))}: {ran.said}"
        return ran.out

    def fails(self, code: int, *argv: str | Path, cwd: Path | None = None, text: str = "") -> str:
        """Everything printed by a command that must fail with this exit code, without a traceback."""
        ran = self.run(*argv, cwd=cwd, text=text)
        assert ran.code == code, f"paas {' '.join(map(str, argv))}: expected exit {code}; {ran.said}"
        assert "Traceback" not in ran.err, ran.said
        return ran.out + ran.err

    def json(self, *argv: str | Path) -> Any:
        """The `--json` answer of a command."""
        return json.loads(self.ok(*argv, "--json"))

    def start(self, *argv: str | Path) -> subprocess.Popen[str]:
        """A command in the background."""
        return subprocess.Popen(
            [*self.enter, str(PAAS), *map(str, argv)],
            env=self.environ, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def get(
        self, app: str, path: str = "/", *, data: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request through the router; status 0 when there was no answer. `app` may be a whole host name."""
        host = app if "." in app else f"{app}.localhost"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=data, headers={"Host": host, **(headers or {})}
        )
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=30) as answer:
                return Answer(answer.status, answer.read().decode(errors="replace"), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode(errors="replace"), dict(error.headers))
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            return Answer(0, str(error), {})

    def server_pid(self) -> int:
        """The server's process."""
        return int((self.folder / "home" / "server.pid").read_text().split()[0])

    def containers(self, *filters: str) -> list[str]:
        """Names of this platform's containers, stopped ones included. One that is told to stop gets another name."""
        return self._containers("{{.Names}}", filters)

    def container_ids(self, *filters: str) -> list[str]:
        """The same, by id."""
        return self._containers("{{.ID}}", filters)

    def _containers(self, what: str, filters: Sequence[str]) -> list[str]:
        wanted = [f"label=paas.instance={self.instance}", *filters]
        return self._docker("ps", "-a", "--format", what, wanted=wanted).split()

    def volumes(self) -> set[str]:
        """Names of this platform's volumes."""
        return set(self._docker("volume", "ls", "-q", wanted=[f"label=paas.instance={self.instance}"]).split())

    def close(self) -> None:
        """Take away every app, the platform, and whatever carries its label on the Engine."""
        for app in json.loads(self.run("apps", "--json").out or "[]"):
            self.run("destroy", "-a", app["name"], "--confirm", app["name"], "--addons")
        for addon in json.loads(self.run("addons", "--json").out or "[]"):
            self.run("addons", "destroy", addon["name"], "--confirm", addon["name"], "--no-backup")
        self.run("down")
        for listing, removing in (
            (["ps", "-aq"], ["rm", "-fv"]),
            (["network", "ls", "-q"], ["network", "rm"]),
            (["volume", "ls", "-q"], ["volume", "rm", "-f"]),
            (["images", "-q"], ["rmi", "-f"]),
        ):
            for left in set(self._docker(*listing, wanted=[f"label=paas.instance={self.instance}"]).split()):
                subprocess.run(["docker", "-H", self.engine, *removing, left], capture_output=True, check=False)

    def _docker(self, *argv: str, wanted: list[str]) -> str:
        filters = (part for one in wanted for part in ("--filter", one))
        command = ["docker", "-H", self.engine, *argv, *filters]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def listening() -> dict[str, str]:
    """What a platform is told that is to be reached by TCP, with a token."""
    return {"PAAS_LISTEN": f"127.0.0.1:{free_port()}", "PAAS_TOKEN": TOKEN}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def eventually(look: Callable[[], T], *, seconds: float = 30, what: str = "it") -> T:
    """The first true answer of `look`, polled to a deadline."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds:g} s; last seen: {seen!r}"
        time.sleep(0.1)
