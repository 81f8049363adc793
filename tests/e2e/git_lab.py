"""A git repository with a small app in it, and the pushes people make from it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.e2e.platform import PAAS, Platform, Ran

APP = """
import http.server, os, time
time.sleep({boot})
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"{text}")
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
PERSON = {
    "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org", "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
}  # fmt: skip


class Work:
    """Somebody's clone, beside a platform. `url` is the remote `paas`."""

    def __init__(
        self, platform: Platform, folder: Path, app: str, url: str = "", environ: dict[str, str] | None = None
    ):
        self.platform, self.folder, self.app = platform, folder, app
        path = f"{PAAS.parent}:{os.environ['PATH']}"
        self.environ = {**platform.environ, **PERSON, "PATH": path, **(environ or {})}
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("remote", "add", "paas", url or f"paas::{app}")

    def git(self, *argv: str, code: int = 0) -> Ran:
        """One git command that ends with this exit code."""
        ran = self.attempt(*argv)
        assert ran.code == code, f"git {' '.join(argv)}: expected {code}; {ran.said}"
        return ran

    def attempt(self, *argv: str) -> Ran:
        """One git command, however it ends."""
        with self.start(*argv) as process:
            out, err = process.communicate(timeout=300)
        return Ran(process.returncode, out, err)

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """A git command in the background, in a process group of its own, as a shell would start it."""
        return subprocess.Popen(
            ["git", *argv], cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def commit(self, text: str, *, boot: float = 0, procfile: str = "web: python app.py\n") -> str:
        """Commit an app that answers with this text; the commit's id."""
        (self.folder / "app.py").write_text(APP.format(text=text, boot=boot))
        (self.folder / "Procfile").write_text(procfile)
        (self.folder / "requirements.txt").write_text("")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", text)
        return self.head()

    def head(self) -> str:
        """The commit that is checked out."""
        return self.git("rev-parse", "HEAD").out.strip()

    def remote(self, ref: str = "refs/heads/main") -> str:
        """The commit that a ref of the app's repository names; empty: there is none."""
        return self.git("ls-remote", "paas", ref).out.partition("\t")[0]

    def release(self) -> int:
        """The number of the app's release."""
        return int(self.platform.json("info", "-a", self.app)["release"])

    def running(self) -> list[object]:
        """What is being done to the app."""
        return [one for one in self.platform.json("operations", "-a", self.app) if one["status"] == "running"]

    def serves(self) -> str:
        """What the app answers."""
        return self.platform.get(self.app).body
