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

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            **os.environ,
            "PAAS_HOME": str(folder / "home"),
            "PAAS_INSTANCE": "bench",
            "PAAS_HTTP_PORT": str(self.port),
            "PAAS_HTTPS_PORT": str(self.port + 2),
            "PAAS_TRAEFIK_PORT": str(self.api),
            "PAAS_BIND": "127.0.0.1",
            "PAAS_SUBNETS": "10.199.0.0/20",
        }

    def paas(self, *argv: str | Path, check: bool = True) -> str:
        """Standard output of one command."""
        done = subprocess.run(
            [str(PAAS), *map(str, argv)], env=self.environ, cwd=self.folder, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise SystemExit(f"paas {' '.join(map(str, argv))} exited {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    @contextmanager
    def start(self, *argv: str | Path) -> Iterator[subprocess.Popen[bytes]]:
        """The same in the background; at the end of the block it has ended, and well."""
        with (
            tempfile.TemporaryFile() as said,
            subprocess.Popen(
                [str(PAAS), *map(str, argv)], env=self.environ, cwd=self.folder, stdout=said, stderr=said
            ) as command,
        ):
            yield command
            if command.wait(LONGEST):
                said.seek(0)
                raise SystemExit(f"paas {' '.join(map(str, argv))} exited {command.returncode}\n{said.read().decode()}")

    def json(self, *argv: str) -> Any:
        """Its `--json` answer."""
        return json.loads(self.paas(*argv, "--json"))

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

    def wait_for(self, host: str, text: str, command: subprocess.Popen[bytes]) -> float:
        """Poll until the answer starts with `text`; the time it was first seen (perf_counter). The loop by hand polls
        as often; more would measure the polling. Gives up when the command fails first."""
        deadline = time.perf_counter() + LONGEST
        while time.perf_counter() < deadline and not command.poll():
            if self.get(host).startswith(text):
                return time.perf_counter()
            time.sleep(POLL)
        return deadline


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
