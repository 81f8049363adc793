"""An app that sleeps, woken through the real router."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme
from websockets.sync.client import connect

from tests.e2e.platform import Answer, Platform, eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

APP = "sleeper"
CODE = """
import base64, hashlib, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if time.time() > float(os.environ.get("DIES_AFTER", "inf")):
    raise SystemExit("its time is over")

time.sleep(float(os.environ.get("BOOT", "0")))
POSTS = []

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/posts":
            return self.answer(str(len(POSTS)).encode())
        if self.headers.get("Upgrade", "").lower() == "websocket":
            return self.echo()
        self.answer(self.path.encode())

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "12345")
        self.send_header("X-Method", "HEAD")
        self.end_headers()

    def do_POST(self):
        POSTS.append(self.path)
        self.answer(str(sum(map(len, self.parts()))).encode())

    def parts(self):
        left = int(self.headers.get("Content-Length", 0))
        while left:
            part = self.rfile.read(min(65536, left))
            left -= len(part)
            yield part
        while "chunked" in self.headers.get("Transfer-Encoding", ""):
            size = int(self.rfile.readline(), 16)
            part = self.rfile.read(size)
            self.rfile.readline()
            if not size:
                return
            yield part

    def echo(self):
        # One short text frame of the client, which masks it, and back.
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        _, length = self.rfile.read(2)
        mask = self.rfile.read(4)
        text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.rfile.read(length & 127)))
        self.wfile.write(bytes([0x81, len(text)]) + text)
        self.close_connection = True

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
TOML = '[sleep]\nafter = "1m"\n[deploy]\ntimeout = 20\n'


def made(folder: Path, toml: str = TOML) -> Path:
    folder.mkdir(exist_ok=True)
    files = {"app.py": CODE, "requirements.txt": "", "Procfile": "web: python app.py\n", "paas.toml": toml}
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def sleeper(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """An app that may sleep, as its file says."""
    platform.ok("deploy", made(tmp_path_factory.mktemp("apps") / APP), "--app", APP)
    shown = platform.json("sleep", "show", APP)
    assert (shown["after"], shown["by_file"]) == (60.0, True)
    return platform


def asleep(platform: Platform, app: str = APP) -> None:
    """Have it sleep now, and nothing of it run."""
    eventually(lambda: platform.run("sleep", "now", app).code == 0, what="an app that sleeps")
    assert platform.json("info", "-a", app)["status"] == "asleep"
    assert not platform.containers(f"label=paas.app={platform.json('info', '-a', app)['id']}", "status=running")


def starts(platform: Platform, app: str = APP) -> int:
    """How often a request woke it."""
    return platform.ok("events", "--app", app).count("a request woke it")


def woken(platform: Platform, app: str) -> bool:
    """Whether it runs and answers; nobody asked it before."""
    before = starts(platform, app)
    runs = platform.json("info", "-a", app)["status"] == "running" and platform.get(app).status == 200
    return runs and starts(platform, app) == before


def web(platform: Platform, app: str) -> int:
    """How many replicas of web run."""
    filters = (f"label=paas.app={platform.json('info', '-a', app)['id']}", "label=paas.process=web", "status=running")
    return len(platform.containers(*filters))


def plain(platform: Platform, app: str = APP) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(f"{app}.localhost", platform.port, timeout=60)


def opened(platform: Platform, app: str = APP) -> http.client.HTTPConnection:
    """To this machine, whatever resolves the name."""
    connection = plain(platform, app)
    connection.sock = socket.create_connection(("127.0.0.1", platform.port), timeout=60)
    return connection


def test_an_idle_app_falls_asleep_by_itself(sleeper: Platform) -> None:
    assert sleeper.get(APP).status == 200
    eventually(lambda: sleeper.json("sleep", "show", APP)["asleep"], seconds=180, what="an app that sleeps")
    assert "asleep: the next request starts it" in sleeper.run("ps", "-a", APP).said


def test_a_sleeping_app_is_woken_once_by_many_and_loses_no_body(sleeper: Platform) -> None:
    before = starts(sleeper)
    asleep(sleeper)
    with ThreadPoolExecutor(10) as pool:
        posts = [pool.submit(sleeper.get, APP, "/", data=bytes(5_000_000)) for _ in range(2)]
        gets = [pool.submit(sleeper.get, APP, f"/{number}") for number in range(8)]
        assert [one.result(120).body for one in posts] == ["5000000"] * 2
        assert [one.result(120).body for one in gets] == [f"/{number}" for number in range(8)]
    # They were answered by the first replica; the waking goes on, and is told when it has ended.
    eventually(lambda: starts(sleeper) > before, what="the end of the waking")
    asleep(sleeper)
    assert starts(sleeper) == before + 1
    assert sleeper.get(APP, "/after").body == "/after"


def test_a_websocket_a_head_and_a_body_in_chunks_wake_it_as_they_are(sleeper: Platform) -> None:
    asleep(sleeper)
    with (
        socket.create_connection(("127.0.0.1", sleeper.port), timeout=60) as line,
        connect(
            f"ws://{APP}.localhost:{sleeper.port}/", sock=line, open_timeout=60, compression=None, proxy=None
        ) as web,
    ):
        web.send("first")
        assert web.recv(30) == "first"
    asleep(sleeper)
    connection = opened(sleeper)
    connection.request("HEAD", "/", headers={"Host": f"{APP}.localhost"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["X-Method"], answer.headers["Content-Length"]) == (200, "HEAD", "12345")
    assert answer.read() == b""
    connection.close()
    asleep(sleeper)
    connection = opened(sleeper)
    parts = (b"x" * 1000 for _ in range(50))
    connection.request("POST", "/", body=parts, headers={"Host": f"{APP}.localhost"}, encode_chunked=True)
    assert connection.getresponse().read() == b"50000"
    connection.close()


def test_a_client_that_goes_away_leaves_an_app_that_is_awake(sleeper: Platform) -> None:
    asleep(sleeper)
    with socket.create_connection(("127.0.0.1", sleeper.port), timeout=60) as line:
        line.sendall(f"GET / HTTP/1.1\r\nHost: {APP}.localhost\r\n\r\n".encode())
        time.sleep(0.2)
    eventually(lambda: sleeper.json("info", "-a", APP)["status"] == "running", what="the app")
    assert sleeper.get(APP).status == 200


def test_what_a_client_posted_that_has_gone_is_not_done(
    sleeper: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sleeper.ok("create", "slow")
    sleeper.ok("config", "set", "BOOT=5", "-a", "slow")
    sleeper.ok("deploy", made(tmp_path_factory.mktemp("apps") / "slow"), "--app", "slow")
    asleep(sleeper, "slow")
    with ThreadPoolExecutor(1) as pool:
        with socket.create_connection(("127.0.0.1", sleeper.port), timeout=60) as line:
            line.sendall(b"POST /pay HTTP/1.1\r\nHost: slow.localhost\r\nContent-Length: 3\r\n\r\n100")
            # Its first process is there: the waking has begun, and takes five seconds more.
            eventually(lambda: web(sleeper, "slow") == 1, what="the start")
        stays = pool.submit(sleeper.get, "slow", "/posts")
        assert (stays.result(60).status, stays.result().body) == (200, "0")
    assert sleeper.get("slow", "/posts").body == "0"
    assert sleeper.get("slow", "/pay", data=b"100").body == "3"
    assert sleeper.get("slow", "/posts").body == "1"


def test_it_sleeps_on_over_a_restart_of_the_server_and_still_wakes(sleeper: Platform) -> None:
    asleep(sleeper)
    pid = sleeper.server_pid()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists(), what="the server's end")
    assert sleeper.get(APP).status in (502, 503), "nobody can wake it, and nobody is told otherwise"
    sleeper.ok("up")
    assert sleeper.json("info", "-a", APP)["status"] == "asleep"
    assert eventually(lambda: sleeper.get(APP).status == 200, seconds=60, what="its answer")


def test_a_crash_on_waking_is_an_honest_page_and_no_loop(
    sleeper: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    over = time.time() + 40
    sleeper.ok("create", "broken")
    sleeper.ok("config", "set", f"DIES_AFTER={over}", "-a", "broken")
    sleeper.ok("deploy", made(tmp_path_factory.mktemp("apps") / "broken"), "--app", "broken")
    asleep(sleeper, "broken")
    eventually(lambda: time.time() > over, seconds=60, what="the end of its time")
    answers: list[Answer] = [sleeper.get("broken") for _ in range(4)]
    assert [one.status for one in answers] == [503] * 4
    assert all(int(one.headers["Retry-After"]) >= 1 for one in answers)
    events = sleeper.ok("events", "-a", "broken")
    assert events.count("could not be woken") == 1, "who comes before the back-off is over starts nothing"
    assert sleeper.json("info", "-a", "broken")["status"] == "asleep"
    assert not sleeper.containers("name=broken", "status=running")


def test_what_is_done_to_a_sleeping_app_wakes_it(sleeper: Platform, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = made(tmp_path_factory.mktemp("apps") / "worked")
    sleeper.ok("deploy", folder, "--app", "worked")
    asleep(sleeper, "worked")
    (folder / "app.py").write_text(CODE + "\n# another version\n")
    sleeper.ok("deploy", folder, "--app", "worked")
    assert woken(sleeper, "worked")
    for command in (("scale", "web=2"), ("config", "set", "GREETING=hello"), ("restart",)):
        asleep(sleeper, "worked")
        sleeper.ok(*command, "-a", "worked")
        assert woken(sleeper, "worked"), command
    assert web(sleeper, "worked") == 2, "the number is kept while it sleeps"
    asleep(sleeper, "worked")
    assert "nothing to change" in sleeper.run("scale", "web=2", "-a", "worked").said
    assert sleeper.json("info", "-a", "worked")["status"] == "asleep"


def test_commands_and_jobs_run_while_it_sleeps_on(sleeper: Platform, tmp_path_factory: pytest.TempPathFactory) -> None:
    job = '[[cron]]\nname = "report"\nschedule = "0 0 1 1 *"\ncommand = "echo from $PAAS_APP"\n'
    sleeper.ok("deploy", made(tmp_path_factory.mktemp("apps") / "jobs", TOML + job), "--app", "jobs")
    asleep(sleeper, "jobs")
    assert "hello jobs" in sleeper.ok("run", "-a", "jobs", "--", "sh", "-c", "echo hello $PAAS_APP")
    sleeper.ok("cron", "run", "report", "-a", "jobs")

    def done() -> bool:
        return [one["status"] for one in sleeper.json("cron", "history", "report", "-a", "jobs")] == ["succeeded"]

    eventually(done, seconds=90, what="the job's end")
    assert "from jobs" in sleeper.ok("cron", "logs", "report", "-a", "jobs")
    assert sleeper.json("info", "-a", "jobs")["status"] == "asleep"
    assert (web(sleeper, "jobs"), starts(sleeper, "jobs")) == (0, 0)
    said = sleeper.fails(3, "exec", "-a", "jobs", "--", "true")
    assert "jobs is asleep" in said
    assert "paas sleep wake jobs" in said
    sleeper.ok("run", "-a", "jobs", "--detach", "--", "sleep", "60")
    sleeper.ok("sleep", "wake", "jobs")
    asleep_with_a_run(sleeper, "jobs")


def asleep_with_a_run(platform: Platform, app: str) -> None:
    """A command of somebody goes on while the app falls asleep."""
    eventually(lambda: platform.run("sleep", "now", app).code == 0, what="an app that sleeps")
    assert platform.json("runs", "-a", app)[0]["status"] == "running"
    assert web(platform, app) == 0


def test_what_is_told_of_a_sleeping_app(sleeper: Platform) -> None:
    sleeper.get(APP, "/before")
    asleep(sleeper)
    (line,) = [one for one in sleeper.json("apps") if one["name"] == APP]
    assert line["status"] == sleeper.json("info", "-a", APP)["status"] == "asleep"
    assert "asleep" in sleeper.ok("apps")
    assert "asleep" in sleeper.ok("info", "-a", APP)
    answer = sleeper.json("ps", "-a", APP)
    assert (answer["asleep"], answer["replicas"]) == (True, [])
    assert "asleep: the next request starts it" in sleeper.run("ps", "-a", APP).said
    assert "what a replica said goes with it" in sleeper.run("logs", "-a", APP).err
    assert "/before" in sleeper.ok("logs", "--source", "router", "-a", APP)
    assert sleeper.run("metrics", APP, "--last", "10m").code == 0
    assert sleeper.json("info", "-a", APP)["status"] == "asleep", "to look wakes nobody"


def test_every_host_wakes_it_and_a_redirect_does_not(
    sleeper: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, authority = tmp_path_factory.mktemp("certificates"), trustme.CA()
    made_by = authority.issue_cert("secure.example.com")
    made_by.private_key_pem.write_to_path(folder / "key.pem")
    for part in made_by.cert_chain_pems:
        part.write_to_path(folder / "chain.pem", append=True)
    sleeper.ok("deploy", made(tmp_path_factory.mktemp("apps") / "hosts"), "--app", "hosts")
    sleeper.ok("domains", "add", "second.example.com", "secure.example.com", "-a", "hosts")
    sleeper.ok("certs", "add", folder / "chain.pem", folder / "key.pem")
    asleep(sleeper, "hosts")
    moved = sleeper.get("secure.example.com", "/path")
    assert (moved.status, moved.headers["Location"]) == (302, f"https://secure.example.com:{sleeper.tls_port}/path")
    assert sleeper.json("info", "-a", "hosts")["status"] == "asleep"
    assert sleeper.get("second.example.com", "/second").body == "/second"
    asleep(sleeper, "hosts")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    plain = socket.create_connection(("127.0.0.1", sleeper.tls_port), timeout=60)
    with trust.wrap_socket(plain, server_hostname="secure.example.com") as line:
        line.sendall(b"GET /third HTTP/1.1\r\nHost: secure.example.com\r\nConnection: close\r\n\r\n")
        assert b"".join(iter(lambda: line.recv(65536), b"")).endswith(b"/third")
    eventually(lambda: starts(sleeper, "hosts") == 2, what="two wakings")


def test_rules_of_autoscaling_rest_while_it_sleeps_and_it_wakes_with_the_least(
    sleeper: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rules = "[processes.web.autoscale]\nmin = 1\nmax = 4\ntargets = { requests = 1000 }\n"
    sleeper.ok("deploy", made(tmp_path_factory.mktemp("apps") / "ruled", TOML + rules), "--app", "ruled")
    sleeper.ok("scale", "web=3", "-a", "ruled")
    assert web(sleeper, "ruled") == 3
    asleep(sleeper, "ruled")
    assert sleeper.get("ruled").status == 200
    eventually(lambda: starts(sleeper, "ruled") == 1, what="the end of the waking")
    eventually(lambda: web(sleeper, "ruled") == 1, seconds=60, what="the least")
    (line,) = sleeper.json("autoscale", "list", "-a", "ruled")["processes"]
    assert line["replicas"] == 1
    assert "set by hand" not in sleeper.ok("autoscale", "explain", "-a", "ruled").split("web=3")[-1]


def test_a_worker_that_does_not_start_keeps_nobody_waiting(
    sleeper: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, over = made(tmp_path_factory.mktemp("apps") / "limping"), time.time() + 40
    (folder / "worker.py").write_text(
        f"import sys, time\nif time.time() > {over}:\n    sys.exit(3)\ntime.sleep(1000)\n"
    )
    (folder / "Procfile").write_text("web: python app.py\nworker: python worker.py\n")
    sleeper.ok("deploy", folder, "--app", "limping")
    sleeper.ok("scale", "worker=1", "-a", "limping")
    asleep(sleeper, "limping")
    eventually(lambda: time.time() > over, seconds=60, what="the end of its worker's time")
    assert sleeper.get("limping").status == 200
    eventually(lambda: "is awake, but not all of it: worker.1" in sleeper.ok("events", "-a", "limping"), seconds=60)
    assert sleeper.json("info", "-a", "limping")["status"] != "asleep"
    assert sleeper.get("limping").status == 200
