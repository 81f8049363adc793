"""The baseline: the same app by hand, with the docker command, a poll loop and a Traefik file one rewrites oneself."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.lab import POLL, Lab
from paas import stacks
from paas.build.dockerfile import CA, CA_VARIABLES
from paas.images import DockerBuilder
from paas.model.events import silent
from paas.settings import load


def docker(*argv: str, check: bool = True) -> str:
    """One docker command of the client that can drive BuildKit, wherever it is."""
    client = next((path for path in ("/usr/bin/docker", "/usr/local/bin/docker") if Path(path).exists()), "docker")
    done = subprocess.run(
        [client, *argv], env={**os.environ, "DOCKER_BUILDKIT": "1"}, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise SystemExit(f"docker {' '.join(argv)}: {done.stderr}")
    return done.stdout.strip()


class ByHand:
    """What somebody without a platform would script: build, run, poll until 200, rewrite the file, poll the API."""

    port = 18490
    api = 18491

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder, self.number = lab, folder, 0
        self.files = lab.folder / f"{folder.name}-router"
        (self.files / "dynamic").mkdir(parents=True)
        self.old = ""
        (folder / "Dockerfile").write_text(_dockerfile(lab, folder))

    def start_router(self) -> None:
        """The same Traefik image and throttle as the platform's, on other ports."""
        static = {
            "entryPoints": {
                "web": {"address": f"127.0.0.1:{self.port}"},
                "traefik": {"address": f"127.0.0.1:{self.api}"},
            },
            "api": {"insecure": True},
            "providers": {
                "file": {"directory": "/etc/traefik/dynamic", "watch": True},
                "providersThrottleDuration": "10ms",
            },
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        }
        (self.files / "traefik.yml").write_text(json.dumps(static))
        image = docker("ps", "--filter", "name=bench-traefik", "--format", "{{.Image}}")
        docker(
            "run", "-d", "--name", "byhand-traefik", "--network", "host", "--label", "paas-bench=byhand",
            "-v", f"{self.files}:/etc/traefik:ro", image, "--configFile=/etc/traefik/traefik.yml",
        )  # fmt: skip
        docker("network", "create", "--subnet", "10.199.240.0/26", "--label", "paas-bench=byhand", "byhand")

    def deploy(self) -> float:
        """One deploy; seconds until the router shows the new container."""
        begin = time.perf_counter()
        self.number += 1
        name = f"byhand-{self.number}"
        docker("build", "-q", "-t", f"byhand:{self.number}", str(self.folder))
        docker(
            "run", "-d", "--name", name, "--init", "--network", "byhand", "-e", "PORT=8000",
            "--label", "paas-bench=byhand", f"byhand:{self.number}",
        )  # fmt: skip
        address = docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name)
        url = f"http://{address}:8000"
        while not _answers(url):
            time.sleep(POLL)
        self._route(url)
        seconds = time.perf_counter() - begin
        if self.old:
            docker("rm", "-f", self.old)
        self.old = name
        return seconds

    def clean(self) -> None:
        """Everything this baseline made."""
        for container in docker("ps", "-aq", "--filter", "label=paas-bench=byhand").split():
            docker("rm", "-f", container, check=False)
        docker("network", "rm", "byhand", check=False)
        for image in docker("images", "-q", "byhand").split():
            docker("rmi", "-f", image, check=False)

    def _route(self, url: str) -> None:
        config = {
            "http": {
                "routers": {"app": {"rule": "Host(`byhand.localhost`)", "service": "app"}},
                "services": {"app": {"loadBalancer": {"servers": [{"url": url}]}}},
            }
        }
        part = self.files / "part"
        part.write_text(json.dumps(config))
        part.replace(self.files / "dynamic" / "app.yml")
        while True:
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.api}/api/http/services/app@file", timeout=5
                ) as answer:
                    if json.load(answer)["loadBalancer"]["servers"] == [{"url": url}]:
                        return
            except (urllib.error.URLError, KeyError):
                pass
            time.sleep(POLL)


def _dockerfile(lab: Lab, folder: Path) -> str:
    """The Dockerfile the platform would build from, with this machine's CA, and with package caches of its own: one
    that an earlier run filled would make the baseline faster than it is."""
    text = lab.paas("dockerfile", folder).replace("type=cache,id=paas-", f"type=cache,id=byhand-{folder.parent.name}-")
    settings = load(lab.environ)
    authority = stacks.ca_image(settings, DockerBuilder(settings), silent)
    if not authority:
        return text
    variables = " ".join(f"{name}={CA}" for name in CA_VARIABLES)
    return text.replace("USER root\n", f"USER root\nCOPY --from={authority} /ca.pem {CA}\nENV {variables}\n", 1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False
