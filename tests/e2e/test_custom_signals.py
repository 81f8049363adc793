"""Replicas that follow numbers only the app knows: of its own replicas, and of its PostgreSQL. Real parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.platform import Platform, eventually

pytestmark = pytest.mark.docker

CODE = """
import json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECOND = os.environ["PAAS_PROCESS"].endswith("2")

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
        if self.path == "/slow" or self.path == "/half" and SECOND:
            time.sleep(60)
        if self.path == "/huge":
            return self.endless()
        depth = "99" if self.path == "/good" else Handler.depth
        text = f'# TYPE jobs gauge\\njobs{{queue="mail"}} {depth}\\njobs{{queue="other"}} 1000\\n'
        if self.path == "/stats.json":
            text = json.dumps({"queues": [{"depth": 4.5}, {"depth": "many"}]})
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def endless(self):
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"x" * 65536)

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
in_window = "10s"
targets = { mail = 10 }
"""

OF_SICK_ONES = """
[signals.depth]
path = "/stats.json"
json = "/queues/0/depth"
combine = "average"
period = "5s"
[signals.text]
path = "/stats.json"
json = "/queues/1/depth"
period = "5s"
[signals.slow]
path = "/slow"
prometheus = "jobs"
period = "5s"
[signals.huge]
path = "/huge"
prometheus = "jobs"
period = "5s"
[signals.half]
path = "/half"
prometheus = "jobs"
period = "5s"
[processes.worker.autoscale]
max = 3
targets = { depth = 100, slow = 10 }
"""

OF_DATABASE = """
[signals.jobs]
query = "SELECT count(*) FROM jobs WHERE NOT done"
period = "5s"
[signals.writes]
query = "WITH gone AS (DELETE FROM jobs RETURNING 1) SELECT count(*) FROM gone"
period = "5s"
[signals.spends]
query = "SELECT spend()"
period = "5s"
[signals.sleeps]
query = "SELECT pg_sleep(1000)::text"
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


def signals(platform: Platform, app: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in platform.json("autoscale", "list", "-a", app)["signals"]}


def whys(platform: Platform, app: str) -> dict[str, str]:
    return {name: one["why"] for name, one in signals(platform, app).items()}


def standing(platform: Platform, app: str, **states: str) -> dict[str, dict[str, Any]]:
    """The signals, once each of these is as said."""

    def look() -> dict[str, dict[str, Any]] | None:
        found = signals(platform, app)
        return found if {name: one["state"] for name, one in found.items()} == states else None

    found = eventually(look, seconds=120, what=f"{states}")
    assert found
    return found


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
    assert failed == "signal mail cannot be read: web.1: GET /metrics answered 302, not 200"
    cause = "no value of mail (web.1: GET /metrics answered 302, not 200): the number is held"
    eventually(lambda: cause in platform.ok("autoscale", "explain", "-a", "queue"), seconds=60, what="the cause")
    assert workers(platform, "queue") == 3, "the number is held"
    platform.get("queue", "/set/25")
    eventually(lambda: told(platform, "queue", "signal.works"), seconds=180, what="word that it works")
    platform.get("queue", "/set/0")
    eventually(lambda: workers(platform, "queue") == 1, seconds=180, what="a scale-in, as the queue is empty")


def test_who_is_slow_huge_or_nonsense_is_named_and_takes_no_value_from_the_others(
    platform: Platform, tmp_path: Path
) -> None:
    platform.ok("deploy", write(tmp_path / "app", OF_SICK_ONES), "-a", "sick")
    platform.ok("scale", "web=2", "worker=1", "-a", "sick")
    causes = {
        "half": "1 of 2 replicas gave no number; web.2: GET /half: no answer in 3 s",
        "slow": "2 of 2 replicas gave no number; web.1: GET /slow: no answer in 3 s",
        "huge": "2 of 2 replicas gave no number; web.1: GET /huge: the answer is larger than 1048576 bytes",
        "text": "2 of 2 replicas gave no number; web.1: /queues/1/depth is no number",
        "depth": "",
    }
    eventually(lambda: whys(platform, "sick") == causes, seconds=120, what="the causes")
    found = standing(platform, "sick", depth="ok", text="dead", slow="dead", huge="dead", half="partial")
    assert found["depth"]["value"] == 4.5
    assert found["half"]["value"] == 2 * 1001, "the second counts as the first does"
    shown = platform.ok("metrics", "sick")
    assert "signal slow has no value: 2 of 2 replicas gave no number; web.1: GET /slow: no answer in 3 s" in shown
    said = "; no value of slow (2 of 2 replicas gave no number; web.1: GET /slow: no answer in 3 s)"
    eventually(lambda: said in platform.ok("autoscale", "explain", "-a", "sick"), seconds=60, what="the cause")
    platform.ok("scale", "web=0", "-a", "sick")
    off = standing(platform, "sick", depth="off", text="off", slow="off", huge="off", half="off")
    assert off["depth"]["why"] == "web is scaled to 0"


def test_workers_follow_what_a_query_of_the_database_answers(platform: Platform, tmp_path: Path) -> None:
    folder = write(tmp_path / "app", OF_DATABASE)
    platform.ok("create", "base")
    platform.ok("addons", "create", "postgres", "-a", "base")
    made = (
        "CREATE TABLE jobs (done bool NOT NULL DEFAULT false);"
        "CREATE FUNCTION spend() RETURNS bigint LANGUAGE sql AS $$ DELETE FROM jobs RETURNING 1::bigint $$"
    )
    platform.ok("db", "shell", "-a", "base", "--", "-X", "-c", made)
    platform.ok("deploy", folder, "-a", "base")
    platform.ok("scale", "worker=1", "-a", "base")
    assert workers(platform, "base") == 1
    platform.ok(
        "db", "shell", "-a", "base", "--", "-X", "-c", "INSERT INTO jobs SELECT false FROM generate_series(1, 30)"
    )
    eventually(lambda: workers(platform, "base") == 3, seconds=180, what="a scale-out")
    found = standing(platform, "base", jobs="ok", writes="dead", spends="dead", sleeps="dead")
    assert found["jobs"]["value"] == 30, "nothing was written"
    assert "must be at the top level" in found["writes"]["why"]
    assert "cannot execute DELETE in a read-only transaction" in found["spends"]["why"]
    assert "statement timeout" in found["sleeps"]["why"]
    platform.ok("db", "shell", "-a", "base", "--", "-X", "-c", "DROP TABLE jobs")
    gone = 'relation "jobs" does not exist'
    eventually(lambda: gone in " ".join(told(platform, "base", "signal.failed")), seconds=180, what="word of it")
    assert workers(platform, "base") == 3, "the number is held"
