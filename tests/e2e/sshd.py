"""A real sshd on a free port of this machine, as this user, with keys of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.platform import eventually
from tests.ports import free_port

CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {keys}
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AcceptEnv *
"""


@dataclass(frozen=True)
class Sshd:
    """Where it listens, and how ssh gets there with a key of the folder."""

    folder: Path
    port: int
    user: str

    @property
    def host(self) -> str:
        """For URLs."""
        return f"{self.user}@127.0.0.1:{self.port}"

    def public(self, name: str) -> str:
        """A new key pair's public line; its private half stays in the folder."""
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name}@laptop", "-f", str(self.folder / name)]
        subprocess.run(made, check=True)
        return (self.folder / f"{name}.pub").read_text()

    def ssh(self, name: str) -> list[str]:
        """The ssh command with that key and nothing of this user's settings."""
        options = ["IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
                   "BatchMode=yes"]  # fmt: skip
        return ["ssh", "-F", "none", "-i", str(self.folder / name), *(part for one in options for part in ("-o", one))]

    def run(
        self, name: str, *command: str, send_env: str = "", options: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """One command over ssh."""
        more = (*options, *(("-o", f"SetEnv={send_env}") if send_env else ()))
        argv = [*self.ssh(name), *more, "-p", str(self.port)]
        argv = [*argv, f"{self.user}@127.0.0.1", *command]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL)


@contextmanager
def sshd(folder: Path, keys: Path, user: str) -> Iterator[Sshd]:
    """Runs while the block lasts."""
    folder.mkdir()
    found = Sshd(folder, free_port(), user)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "host")], check=True)
    (folder / "config").write_text(CONFIG.format(port=found.port, folder=folder, keys=keys))
    Path("/run/sshd").mkdir(exist_ok=True)  # where it goes before it knows who is there
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    assert program, "sshd is missing: scripts/setup --test"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "config")], stderr=log)
        try:
            eventually(lambda: _answers(found.port), what="sshd")
            yield found
        finally:
            process.terminate()
            process.wait(timeout=10)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        return connection.recv(4) == b"SSH-"
    return False
