"""The real server process tells of what happens by real HTTP, and takes in what git hosts send it. Its Engine is one
that is not there, so what it is to deploy fails: the deploys that succeed are in tests/e2e/test_webhooks.py."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from paas.client import Client
from paas.model.app import Addon, App
from paas.model.deploy_hook import DeployHook, Provider
from paas.model.notification import Target, TargetKind
from paas.model.route import Certificate
from paas.model.secret import Secret
from paas.settings import Settings
from paas.store.sql import SqlStore
from paas.webhooks.signature import standard_headers
from tests.git_server import git_server
from tests.ports import free_port
from tests.unit.egress.test_http import receiver
from tests.unit.server.stub import eventually
from tests.unit.server.test_process import COMMAND, environ
from tests.unit.sources.test_clone import git
from tests.unit.webhooks.say import body, github, gitlab_push, push

SHOP = App(id="0a0a0a0a", name="shop", created_at=1.0)
SIGNS, OPENS = Secret("whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="), "a-secret-of-some-length"


@dataclass
class Receiver:
    """Keeps what is posted, by path: headers in lower case, and the body."""

    seen: dict[str, list[tuple[dict[str, str], bytes]]] = field(default_factory=dict)

    def take(self, request: http.server.BaseHTTPRequestHandler) -> None:
        data = request.rfile.read(int(request.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.setdefault(request.path, []).append((headers, data))
        request.send_response(200)
        request.end_headers()

    def topics(self) -> list[str]:
        return [json.loads(data)["type"] for _, data in self.seen.get("/signed", [])]

    def texts(self) -> list[str]:
        return [json.loads(data)["text"] for _, data in self.seen.get("/slack", [])]


def filled(home: Path, port: int, source: str) -> None:
    """An app with an old addon without a backup, a certificate that ends tomorrow, two targets, a hook of each kind."""
    store = SqlStore.open(home)
    store.add_app(SHOP)
    store.add_addon(Addon(id="0d0d0d0d", name="shop-db", kind="postgres", version="17", image="i", volume="v",
                          created_at=1.0, owner_app=SHOP.id))  # fmt: skip
    store.put_certificate(
        Certificate(host="www.example.com", chain="C", key=Secret("K"), not_after=time.time() + 80_000)
    )
    for kind, name in ((TargetKind.WEBHOOK, "signed"), (TargetKind.SLACK, "slack")):
        secrets = {"url": Secret(f"http://127.0.0.1:{port}/{name}")}
        if kind is TargetKind.WEBHOOK:
            secrets["secret"] = SIGNS
        store.add_target(
            Target(id=f"t-{name}", name=name, kind=kind, created_at=1.0, created_by="ann", secrets=secrets)
        )
    store.queue_notifications(0, ())
    for number, provider in enumerate(Provider):
        store.add_deploy_hook(
            DeployHook(
                id=str(number) * 48, app_id=SHOP.id, name=provider.value, provider=provider, source=Secret(source),
                secret=Secret(OPENS), created_at=1.0, created_by="ann",
                repository="" if provider is Provider.SIGNED else "team/shop",
            )
        )  # fmt: skip
    store.close()


@dataclass
class Told:
    """A server that runs, and what it told."""

    listen: str
    home: Path
    receiver: Receiver


@pytest.fixture(scope="module")
def told(folder: Path) -> Iterator[Told]:
    """A server on what `filled` made."""
    home, found, listen = folder / "told", Receiver(), f"127.0.0.1:{free_port()}"
    work = folder / "served" / "team" / "shop"
    work.mkdir(parents=True)
    git(work, "init", "--quiet", "--initial-branch=main")
    (work / "app.py").write_text("print('hello')\n")
    git(work, "add", ".")
    git(work, "commit", "--quiet", "--message", "made")
    with receiver(found.take) as port, git_server(folder / "served") as served:
        filled(home, port, served.url("team/shop"))
        more = {"PAAS_LISTEN": listen, "PAAS_TOKEN": "open-sesame-1", "PAAS_EGRESS_ALLOW": "127.0.0.0/8"}
        with subprocess.Popen(COMMAND, env=environ(home, **more), stdout=subprocess.DEVNULL) as process:
            try:
                with Client.connect(Settings(home=home)) as client:
                    eventually(lambda: client.version() or process.poll() is not None, seconds=60)
                assert process.poll() is None
                yield Told(listen, home, found)
            finally:
                process.send_signal(signal.SIGKILL)


def test_silence_of_backups_and_the_end_of_a_certificate_are_told_signed_and_to_chats(told: Told) -> None:
    eventually(lambda: {"backup.silence", "certificate.expires"} <= set(told.receiver.topics()), seconds=60)
    for headers, data in told.receiver.seen["/signed"]:
        expected = standard_headers(SIGNS, headers["webhook-id"], float(headers["webhook-timestamp"]), data)
        assert headers["webhook-signature"] == expected["Webhook-Signature"]
    values = {(one := json.loads(data))["type"]: one["data"] for _, data in told.receiver.seen["/signed"]}
    assert (values["backup.silence"]["app"], values["backup.silence"]["addon"]) == ("shop", "shop-db")
    assert (values["certificate.expires"]["host"], values["certificate.expires"]["days"]) == ("www.example.com", 1)
    eventually(lambda: len(told.receiver.texts()) >= 2, seconds=60)
    assert any("*shop* backup.silence: addon shop-db has had no backup" in text for text in told.receiver.texts())
    assert any("certificate.expires: the certificate of www.example.com ends" in text for text in told.receiver.texts())


def digest(data: bytes) -> str:
    return hmac.new(OPENS.encode(), data, hashlib.sha256).hexdigest()


def of_github() -> tuple[dict[str, str], bytes]:
    return github(push(), secret=OPENS)


def of_gitlab() -> tuple[dict[str, str], bytes]:
    return {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": OPENS, "Idempotency-Key": "1"}, body(gitlab_push())


def of_gitea() -> tuple[dict[str, str], bytes]:
    data = body(push())
    return {"X-Gitea-Event": "push", "X-Gitea-Delivery": "1", "X-Gitea-Signature": digest(data)}, data


def of_a_script() -> tuple[dict[str, str], bytes]:
    data, stamp = body({"type": "push", "ref": "refs/heads/main"}), str(int(time.time()))
    return {"X-Paas-Timestamp": stamp, "X-Paas-Signature": f"sha256={digest(f'{stamp}.'.encode() + data)}"}, data


@pytest.mark.parametrize(
    ("number", "name", "made"),
    [(0, "github", of_github), (1, "gitlab", of_gitlab), (2, "gitea", of_gitea), (4, "signed", of_a_script)],
)
def test_what_a_git_host_signs_begins_a_deploy_whose_failure_is_told(
    told: Told, number: int, name: str, made: Any
) -> None:
    headers, data = made()
    address = f"http://{told.listen}/deploy-hooks/{str(number) * 48}"
    wrong = {
        key: value.replace("a", "b") if "oken" in key or "ignature" in key else value for key, value in headers.items()
    }
    assert httpx2.post(address, content=data + b" " if name != "gitlab" else data, headers=wrong).status_code == 401
    answer = httpx2.post(address, content=data, headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (202, "accepted"), answer.text
    actor = f"webhook {name}"
    seen = told.receiver.seen
    eventually(
        lambda: (
            ["deploy.failed", actor]
            in [
                [one["type"], one["data"].get("actor")]
                for one in (json.loads(data) for _, data in seen.get("/signed", []))
            ]
        ),
        seconds=90,
    )
    eventually(lambda: any("✗ *shop* deploy.failed" in text for text in told.receiver.texts()), seconds=60)


def test_a_hook_that_is_changed_by_command_takes_the_new_secret_and_branch_alone(told: Told) -> None:
    def paas(*argv: str) -> tuple[int, str, str]:
        command = [str(Path(sys.executable).with_name("paas")), "deploy-hooks", *argv, "-a", "shop"]
        ran = subprocess.run(command, env=environ(told.home), capture_output=True, text=True, timeout=60, check=False)
        return ran.returncode, ran.stdout, ran.stderr

    def sent(secret: str) -> tuple[int, str]:
        data = body(push(n=secret))
        signature = hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
        headers = {"X-Forgejo-Event": "push", "X-Forgejo-Signature": signature}
        answer = httpx2.post(f"http://{told.listen}/deploy-hooks/{'3' * 48}", content=data, headers=headers)
        return answer.status_code, answer.json().get("reason", "")

    code, out, err = paas("set", "forgejo", "--branch", "live", "--path", "web/**", "--new-secret", "--json")
    assert code == 0, err
    changed = json.loads(out)
    assert (changed["branch"], changed["paths"]) == ("live", ["web/**"])
    assert sent(OPENS)[0] == 401
    assert sent(changed["secret"]) == (202, "branch main; this hook deploys live")
    code, out, err = paas("set", "forgejo", "--any-path")
    assert (code, out) == (0, "")
    assert "forgejo: live, any file, no review apps" in err
    code, out, err = paas("set", "forgejo", "--new-secret")
    assert code == 0, err
    assert out.split()[0] == "secret"
    assert paas("set", "forgejo")[0] == 2
    assert paas("set", "forgejo", "--any-path", "--path", "x")[0] == 2
