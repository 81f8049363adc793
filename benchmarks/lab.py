"""A platform of its own on this machine's Engine: own instance, home and ports, taken away at the end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paas.client import Client
from paas.requests.base import Request
from paas.settings import load

APP = Path(__file__).parent / "app"
PAAS = Path(sys.executable).with_name("paas")
LONGEST = 120.0
"""Seconds that any one command may take."""
POLL = 0.01
"""Seconds between two looks whether the new version serves, here and by hand."""


class Lab:
    """Runs `paas` commands against its own platform; `port` is its router's."""

    port = 18480
    api = 18481
    instance = "bench"
    subnets = "10.199.0.0/20"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            **os.environ,
            "PAAS_HOME": str(folder / "home"),
            "PAAS_INSTANCE": self.instance,
            "PAAS_HTTP_PORT": str(self.port),
            "PAAS_HTTPS_PORT": str(self.port + 2),
            "PAAS_TRAEFIK_PORT": str(self.api),
            "PAAS_BIND": "127.0.0.1",
            "PAAS_SUBNETS": self.subnets,
        }

    def paas(self, *argv: str | Path, check: bool = True) -> str:
        """Standard output of one command."""
        done = subprocess.run(
            [str(PAAS), *map(str, argv)], env=self.environ, cwd=self.folder, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise SystemExit(f"paas {' '.join(map(str, argv))} exited {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def until_served(self, folder: Path, app: str, text: str) -> float:
        """Seconds from the start of `paas deploy` until the app's answer starts with `text`.

        The deploy then goes on to its end. As by hand, nobody is asked before the new replica is started: the version
        before would have to answer all those requests while the next one is built.
        """
        argv = [str(PAAS), "deploy", str(folder), "-a", app]
        begin = time.perf_counter()
        with subprocess.Popen(argv, env=self.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as command:
            assert command.stderr is not None
            said = []
            for line in command.stderr:
                said.append(line)
                if line.startswith(b"- wait until"):
                    break
            while not self.get(f"{app}.localhost").startswith(text) and time.perf_counter() < begin + LONGEST:
                if command.poll():
                    break
                time.sleep(POLL)
            seconds = time.perf_counter() - begin
            said += command.stderr.readlines()
            if command.wait(LONGEST) or seconds > LONGEST:
                raise SystemExit(f"paas deploy -a {app} exited {command.returncode}\n{b''.join(said).decode()}")
        return seconds

    def json(self, *argv: str) -> Any:
        """Its `--json` answer."""
        return json.loads(self.paas(*argv, "--json"))

    def ask(self, request: Request) -> Any:
        """The server's answer, without a command's start: for what is asked every second."""
        with Client(load(self.environ)) as client:
            return client.ask(request)

    def carry_out(self, request: Request) -> None:
        """An operation, followed to its end. Raises what it failed with."""
        with Client(load(self.environ)) as client:
            for _ in client.follow(request):
                pass

    def traefik(self, path: str) -> Any:
        """An answer of the router's own API."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.api}{path}", timeout=10) as answer:
            return json.load(answer)

    def copy_of_app(self, name: str) -> Path:
        """A private copy of the measured app, to change."""
        return Path(shutil.copytree(APP, self.folder / name))

    def get(self, host: str, path: str = "/") -> str:
        """The body of one request through the router; empty when it is not answered with 200."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return ""


def change_version(folder: Path, version: str) -> None:
    """A code-only change: the version string in app.py."""
    source = folder / "app.py"
    lines = [
        f'VERSION = "{version}"' if line.startswith("VERSION") else line for line in source.read_text().splitlines()
    ]
    source.write_text("\n".join(lines) + "\n")


@contextmanager
def lab() -> Iterator[Lab]:
    """A running platform, and nothing left of it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="paas-bench-"))
    here = Lab(folder)
    try:
        here.paas("up")
        yield here
    finally:
        for app in json.loads(here.paas("apps", "--json", check=False) or "[]"):
            here.paas("destroy", "-a", app["name"], "--confirm", app["name"], "--addons", check=False)
        here.paas("down", check=False)
        shutil.rmtree(folder, ignore_errors=True)
