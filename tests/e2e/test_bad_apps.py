"""Apps that cannot run: each is refused with the file, the line or the cause, the right exit code, and nothing left."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.platform import Platform

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

SERVE = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({status}); self.end_headers(); self.wfile.write(b"{text}")
http.server.ThreadingHTTPServer(("{host}", {port}), Handler).serve_forever()
"""


def app(folder: Path, files: dict[str, str]) -> Path:
    """A folder with these files, and what makes it a Python app."""
    folder.mkdir(exist_ok=True)
    for name, text in {"requirements.txt": "", **files}.items():
        (folder / name).write_text(text)
    return folder


def server(text: str = "ok", *, status: int = 200, host: str = "0.0.0.0", port: str = "int(os.environ['PORT'])") -> str:
    return SERVE.format(text=text, status=status, host=host, port=port)


WEB = "web: python app.py\n"
HEALTH = "[deploy]\ntimeout = 15\n[processes.web.health]\npath = '/health'\ngrace = 6\ninterval = 1\ntimeout = 1\n"


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        pytest.param(
            {"notes.txt": "x", "requirements.txt": None}, 5, ["requirements.txt", "package.json"], id="nothing"
        ),
        pytest.param({"Procfile": "web python app.py\n"}, 5, ["Procfile:1"], id="bad-procfile-line"),
        pytest.param({"Procfile": "worker: python w.py\n"}, 5, ["Procfile", "web"], id="no-web"),
        pytest.param(
            {"Procfile": WEB, "paas.toml": "[proceses.web]\n"}, 5, ["paas.toml", "processes"], id="unknown-key"
        ),
        pytest.param(
            {"Procfile": WEB, ".python-version": "2.7\n"}, 5, [".python-version", "3.13"], id="impossible-runtime"
        ),
        pytest.param({"Procfile": WEB, "requirements.txt": "flask==99.99\n"}, 6, ["flask"], id="bad-requirement"),
    ],
)
def test_a_source_that_cannot_be_built_is_refused(
    platform: Platform, tmp_path: Path, files: dict[str, str | None], code: int, words: list[str]
) -> None:
    folder = app(tmp_path / "bad", {name: text for name, text in files.items() if text is not None})
    if files.get("requirements.txt", "") is None:
        (folder / "requirements.txt").unlink()
    said = platform.fails(code, "deploy", folder, "-a", "bad-source")
    for word in words:
        assert word in said, said
    assert "hint:" in said, said
    assert platform.get("bad-source").status == 404


@pytest.mark.parametrize(
    ("files", "words"),
    [
        pytest.param(
            {"app.py": "print('cannot go on'); raise SystemExit(3)"}, ["exit", "3", "cannot go on"], id="exits"
        ),
        pytest.param({"app.py": server(host="127.0.0.1")}, ["127.0.0.1", "0.0.0.0"], id="loopback-only"),
        pytest.param({"app.py": server(port="3456")}, ["3456", "PORT"], id="another-port"),
        pytest.param({"app.py": server(status=500)}, ["/health", "500"], id="health-500"),
        pytest.param({"app.py": server(status=404)}, ["/health", "404"], id="health-404"),
        pytest.param({"app.py": "import time; time.sleep(999)"}, ["no port"], id="listens-nowhere"),
    ],
)
def test_a_first_deploy_that_never_gets_well_says_why_and_leaves_nothing_running(
    platform: Platform, tmp_path: Path, files: dict[str, str], words: list[str]
) -> None:
    folder = app(tmp_path / "ill", {"Procfile": WEB, "paas.toml": HEALTH, **files})
    said = platform.fails(8, "deploy", folder, "-a", "ill-app")
    for word in words:
        assert word in said, said
    assert not platform.containers("label=paas.app-name=ill-app")


def test_a_bad_version_leaves_the_good_one_serving_and_rollback_is_not_needed(
    platform: Platform, tmp_path: Path
) -> None:
    folder = app(tmp_path / "good", {"Procfile": WEB, "paas.toml": HEALTH, "app.py": server("good")})
    platform.ok("deploy", folder, "-a", "keeps")
    app(folder, {"app.py": "raise SystemExit('broken')"})
    said = platform.fails(8, "deploy", folder, "-a", "keeps")
    assert "broken" in said
    assert platform.get("keeps").body == "good"
    assert [release["status"] for release in platform.json("releases", "-a", "keeps")] == ["failed", "succeeded"]
    assert len(platform.containers("label=paas.app-name=keeps")) == 1


@pytest.mark.parametrize(
    "name", ["a;id", "$(id)", "-rf", "../x", "UPPER", "a" * 41, "x_y", "traefik", "ends-", "1st", ""]
)
def test_a_name_that_is_no_dns_label_is_refused(platform: Platform, name: str) -> None:
    said = platform.fails(2, "create", "--", name)
    assert name in said or not name
    assert "hint:" in said


@pytest.mark.parametrize("pair", ["A B=1", "1A=1", "=1", "PORT=1", "PAAS_APP=x", "A;id=1", "noequals"])
def test_a_config_key_outside_the_grammar_is_refused(platform: Platform, pair: str) -> None:
    platform.run("create", "keyed")
    before = platform.json("releases", "-a", "keyed")
    platform.fails(2, "config", "set", pair, "-a", "keyed")
    assert platform.json("releases", "-a", "keyed") == before


def test_a_config_value_of_a_megabyte_is_refused_with_its_size(platform: Platform) -> None:
    platform.run("create", "keyed")
    big = platform.folder / "big.env"
    big.write_text(f"BIG={'x' * 1_000_000}\n")
    said = platform.fails(2, "config", "import", str(big), "-a", "keyed")
    assert "BIG" in said
    assert "1000000" in said


def test_config_and_build_args_never_become_dockerfile_lines_or_labels(platform: Platform, tmp_path: Path) -> None:
    folder = app(tmp_path / "inert", {"Procfile": WEB, "app.py": server("fine")})
    platform.run("create", "inert")
    evil = '"\nRUN touch /pwned\nLABEL paas.app=x\n`touch /tmp/pwned`$(touch /tmp/pwned){{ 7*7 }}'
    platform.ok("config", "set", f"EVIL={evil}", "-a", "inert")
    platform.ok("deploy", folder, "-a", "inert")
    assert platform.get("inert").body == "fine"
    shown = platform.ok("run", "-a", "inert", "--", "sh", "-c", "ls /pwned /tmp/pwned 2>/dev/null; printenv EVIL")
    assert shown == evil + "\n"
    assert not Path("/tmp/pwned").exists()


def test_a_domain_of_another_app_and_a_rule_in_a_domain_are_refused(platform: Platform) -> None:
    platform.run("create", "first-owner")
    platform.run("create", "second-owner")
    platform.ok("domains", "add", "shop.example.com", "-a", "first-owner")
    platform.fails(4, "domains", "add", "shop.example.com", "-a", "second-owner")
    for bad in ("a.com`) || Host(`b.com", "a b", "-a.com", "http://x.com", "x.com:80", "10.0.0.1", "*"):
        platform.fails(2, "domains", "add", "-a", "second-owner", "--", bad)


@pytest.mark.parametrize(
    "url",
    ["ext::sh -c touch% /tmp/pwned", "--upload-pack=touch /tmp/pwned", "https://127.0.0.1:1/none.git", "ftp://x/y.git"],
)
def test_a_git_url_that_smuggles_or_does_not_exist_is_refused(platform: Platform, url: str) -> None:
    ran = platform.run("deploy", "-a", "smuggled", "--", url)
    assert ran.code in (2, 3, 5, 11), ran.said
    assert "Traceback" not in ran.err
    assert not Path("/tmp/pwned").exists()


# --- nothing of the host -------------------------------------------------------------------------------------------

COMPOSE = """
services:
  web:
    image: paas-base/python:3.13
    privileged: true
    network_mode: host
    pid: host
    volumes: ["/:/host", "/var/run/docker.sock:/var/run/docker.sock"]
    devices: ["/dev/mem"]
    cap_add: [SYS_ADMIN]
"""
DOCKERFILE = """
FROM paas-base/python:3.13
LABEL paas.kind=addon privileged=true
COPY app.py /app.py
USER 0
VOLUME ["/var/run", "/host"]
HEALTHCHECK --interval=1s CMD true
CMD ["python3", "/app.py"]
"""


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"paas.toml": "privileged = true\n"}, "paas.toml: privileged: there is no such key"),
        ({"paas.toml": "[processes.web]\nvolumes = ['/:/host']\n"}, "paas.toml: processes.web.volumes"),
        ({"paas.toml": "[processes.web]\ndevices = ['/dev/mem']\n"}, "paas.toml: processes.web.devices"),
        ({"paas.toml": "[deploy]\nnetwork_mode = 'host'\n"}, "paas.toml: deploy.network_mode"),
        ({"app.json": '{"formation": {"web": {"privileged": true}}}'}, "app.json: formation.web"),
        ({"app.json": '{"environments": {"review": {"cap_add": ["ALL"]}}}'}, "app.json: environments.review"),
        ({"app.json": '{"volumes": ["/var/run/docker.sock:/sock"]}'}, "'volumes'"),
    ],
)
def test_a_file_that_asks_for_something_of_the_host_is_refused_with_file_and_key(
    platform: Platform, tmp_path: Path, files: dict[str, str], place: str
) -> None:
    folder = app(tmp_path / "asks", {"Procfile": WEB, "app.py": server(), **files})
    said = platform.fails(5, "deploy", folder, "-a", "asks")
    assert place in said, said
    assert "hint:" in said or "nothing of the host" in said, said
    assert platform.run("info", "-a", "asks").code == 3, "no app was made"


@pytest.mark.parametrize("dockerfile", [DOCKERFILE, ""])
def test_containers_have_nothing_of_the_host_whatever_lies_in_the_folder(
    platform: Platform, tmp_path: Path, dockerfile: str
) -> None:
    name = "walled-own" if dockerfile else "walled"
    files = {"docker-compose.yml": COMPOSE, "compose.yaml": COMPOSE, "Procfile": WEB, "app.py": server("walled")}
    files |= {"Dockerfile": dockerfile} if dockerfile else {}
    platform.ok("deploy", app(tmp_path / name, {**files, "paas.toml": "port = 8000\n"}), "-a", name)
    platform.ok("run", "--detach", "-a", name, "--", "sleep", "60")
    found = [one for one in containers(platform) if one["Config"]["Labels"].get("paas.app-name") == name]
    kinds = sorted(one["Config"]["Labels"]["paas.kind"] for one in found)
    assert kinds == ["oneoff", "replica"], "no label of an image counts"
    for one in found:
        nothing_of_the_host(one)
    look = "import os, stat; print([p for p in ('/var/run/docker.sock', '/host/etc') if os.path.exists(p)])"
    assert platform.ok("run", "-a", name, "--", "python3", "-c", look).strip() == "[]"


def test_what_one_app_leaves_in_a_cache_of_its_build_is_not_what_another_installs(
    platform: Platform, tmp_path: Path
) -> None:
    cache = f"--mount=type=cache,id=shared-{platform.instance},target=/c"

    def dockerfile(run: str) -> dict[str, str]:
        serve = 'CMD ["python3", "-m", "http.server", "8000"]'
        return {"Dockerfile": f"FROM paas-base/python:3.13\nRUN {cache} {run}\n{serve}\n"}

    leaves, keeps = "echo from-leaver > /c/x", "grep -q from-leaver /c/x"
    platform.ok("deploy", app(tmp_path / "leaver", dockerfile(leaves)), "-a", "leaver")
    platform.ok("deploy", app(tmp_path / "again", dockerfile(keeps)), "-a", "leaver")
    said = platform.fails(6, "deploy", app(tmp_path / "taker", dockerfile(keeps)), "-a", "taker")
    assert "/c/x" in said, said


def containers(platform: Platform) -> list[dict[str, Any]]:
    """All of the platform's, as the Engine has them."""
    ids = platform.containers()
    shown = subprocess.run(["docker", "-H", platform.engine, "inspect", *ids], capture_output=True, check=True)
    return list(json.loads(shown.stdout))


def nothing_of_the_host(one: dict[str, Any]) -> None:
    host = one["HostConfig"]
    assert not host["Privileged"]
    for key in ("Binds", "Devices", "CapAdd", "DeviceRequests", "VolumesFrom", "DeviceCgroupRules", "PortBindings"):
        assert not host.get(key), (key, host[key])
    assert [mount["Type"] for mount in one["Mounts"] if mount["Type"] != "volume"] == []
    assert not [mount for mount in one["Mounts"] if "docker.sock" in mount["Source"]]
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert not [option for option in host["SecurityOpt"] if "unconfined" in option]
    for key in ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode"):
        assert "host" not in host.get(key, "").split(":"), (key, host[key])
    assert "host" not in one["NetworkSettings"]["Networks"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
