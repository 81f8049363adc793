"""Replicas that follow numbers only the app knows: of its own replicas, and of its PostgreSQL. Real parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.platform import Platform, eventually

pytestmark = pytest.mark.docker

CODE = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    depth = "1"

    def do_GET(self):
        if self.path.startswith("/set/"):
            Handler.depth = self.path.removeprefix("/set/")
        if self.path == "/metrics" and Handler.depth == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
            return
        depth = "99" if self.path == "/good" else Handler.depth
        body = f'# TYPE jobs gauge\\njobs{{queue="mail"}} {depth}\\njobs{{queue="other"}} 1000\\n'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""

RULES = """
[processes.web]
memory = "64M"
stop_grace = 1
[processes.worker]
memory = "64M"
stop_grace = 1
"""

OF_REPLICAS = """
[signals.mail]
path = "/metrics"
prometheus = 'jobs{queue="mail"}'
period = "5s"
[processes.worker.autoscale]
max = 3
targets = { mail = 10 }
"""

OF_DATABASE = """
[signals.jobs]
query = "SELECT count(*) FROM jobs WHERE NOT done"
period = "5s"
[processes.worker.autoscale]
max = 3
targets = { jobs = 10 }
"""


def write(folder: Path, signals: str) -> Path:
    folder.mkdir()
    (folder / "app.py").write_text(CODE)
    (folder / "Procfile").write_text("web: exec python app.py\nworker: exec sleep 86400\n")
    (folder / "requirements.txt").write_text("")
    (folder / "paas.toml").write_text(RULES + signals)
    return folder


def workers(platform: Platform, app: str) -> int:
    (line,) = platform.json("autoscale", "list", "-a", app)["processes"]
    return int(line["replicas"])


def told(platform: Platform, app: str, kind: str) -> list[str]:
    events: list[dict[str, Any]] = platform.json("events", "-a", app)
    return [event["message"] for event in events if event["kind"] == kind]


def test_workers_follow_the_queue_that_web_tells_of_and_a_redirect_is_not_followed(
    platform: Platform, tmp_path: Path
) -> None:
    platform.ok("deploy", write(tmp_path / "app", OF_REPLICAS), "-a", "queue")
    platform.ok("scale", "worker=1", "-a", "queue")
    assert workers(platform, "queue") == 1
    platform.get("queue", "/set/25")
    eventually(lambda: workers(platform, "queue") == 3, seconds=180, what="a scale-out")
    said = "mail 25 of 10 per replica wants 3"
    eventually(lambda: said in platform.ok("autoscale", "explain", "-a", "queue"), seconds=60, what="the reason")
    platform.get("queue", "/set/elsewhere")
    (failed,) = eventually(lambda: told(platform, "queue", "signal.failed"), seconds=180, what="word of the signal")
    assert failed == "signal mail cannot be read: GET /metrics answered 302, not 200"
    assert workers(platform, "queue") == 3, "the number is held"
    platform.get("queue", "/set/25")
    eventually(lambda: told(platform, "queue", "signal.works"), seconds=180, what="word that it works")


def test_workers_follow_what_a_query_of_the_database_answers(platform: Platform, tmp_path: Path) -> None:
    folder = write(tmp_path / "app", OF_DATABASE)
    platform.ok("create", "base")
    platform.ok("addons", "create", "postgres", "-a", "base")
    made = "CREATE TABLE jobs (done bool NOT NULL DEFAULT false)"
    platform.ok("db", "shell", "-a", "base", "--", "-X", "-c", made)
    platform.ok("deploy", folder, "-a", "base")
    platform.ok("scale", "worker=1", "-a", "base")
    assert workers(platform, "base") == 1
    platform.ok(
        "db", "shell", "-a", "base", "--", "-X", "-c", "INSERT INTO jobs SELECT false FROM generate_series(1, 30)"
    )
    eventually(lambda: workers(platform, "base") == 3, seconds=180, what="a scale-out")
    platform.ok("db", "shell", "-a", "base", "--", "-X", "-c", "DROP TABLE jobs")
    (failed,) = eventually(lambda: told(platform, "base", "signal.failed"), seconds=180, what="word of the signal")
    assert 'relation "jobs" does not exist' in failed
    assert workers(platform, "base") == 3, "the number is held"
