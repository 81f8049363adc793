"""A Docker Engine of a test's own, in its own network namespace, that may be stopped, killed and filled up."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

MAIN = "unix:///var/run/docker.sock"


class PrivateEngine:
    """`dockerd` with its own data on a loopback filesystem of `megabytes`; the platform under test runs beside it.

    The namespace has no way out: builds there need no network. `enter` is the argv prefix to run something inside.
    """

    def __init__(self, folder: Path, name: str, megabytes: int) -> None:
        self.folder, self.name = folder, name
        self.address = f"unix://{folder}/docker.sock"
        self.enter = ["nsenter", f"--net=/run/netns/{name}"]
        self._process: subprocess.Popen[bytes] | None = None
        _root("ip", "netns", "add", name)
        _root(*self.enter, "ip", "link", "set", "lo", "up")
        disk = folder / "disk.img"
        with disk.open("wb") as file:
            file.truncate(megabytes << 20)
        _root("mkfs.ext4", "-q", "-F", str(disk))
        self.data = folder / "data"
        self.data.mkdir()
        _root("mount", "-o", "loop", str(disk), str(self.data))

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = (self.folder / "dockerd.log").open("ab")
        dockerd = shutil.which("dockerd") or "/usr/sbin/dockerd"
        self._process = subprocess.Popen(
            [
                *self.enter, dockerd, "-H", self.address, "--data-root", str(self.data),
                "--exec-root", str(self.folder / "exec"), "--pidfile", str(self.folder / "dockerd.pid"),
            ],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        log.close()
        deadline = time.monotonic() + 60
        while subprocess.run(self._docker("version"), capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, (self.folder / "dockerd.log").read_text()[-2000:]
            time.sleep(0.2)

    def load(self, *images: str) -> None:
        """Copy images over from the machine's own Engine."""
        saved = subprocess.Popen(["docker", "-H", MAIN, "save", *images], stdout=subprocess.PIPE)
        subprocess.run(self._docker("load", "-q"), stdin=saved.stdout, capture_output=True, check=True)
        assert saved.stdout is not None
        saved.stdout.close()
        assert saved.wait(60) == 0

    def stop(self) -> None:
        """SIGTERM, as a service manager does; containers end with it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def docker(self, *argv: str) -> str:
        """Output of one docker command on it."""
        return subprocess.run(self._docker(*argv), capture_output=True, text=True, check=True).stdout.strip()

    def http(self, host: str, port: int, path: str = "/") -> str:
        """The body of one request through the router inside the namespace; empty when it fails."""
        address = f"http://127.0.0.1:{port}{path}"
        argv = [*self.enter, "curl", "-fsS", "--max-time", "10", "-H", f"Host: {host}", address]
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout

    def close(self) -> None:
        """Take everything away."""
        if self._process is not None:
            with suppress(subprocess.CalledProcessError):
                for container in self.docker("ps", "-aq").split():
                    self.docker("rm", "-fv", container)
        self.stop()
        for left in (self.folder / "exec/netns").glob("*"):  # the namespace of a container with the host's network
            subprocess.run(["umount", str(left)], capture_output=True, check=False)
        for _ in range(20):
            if subprocess.run(["umount", str(self.data)], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.5)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)

    def _docker(self, *argv: str) -> list[str]:
        return ["docker", "-H", self.address, *argv]


def _root(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    assert done.returncode == 0, f"{argv}: {done.stderr}"
