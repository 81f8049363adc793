"""A git host pushes, the platform deploys and tells of it: real git, HTTP and SMTP, and what strangers try."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import http.server
import json
import secrets
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from paas.model.secret import Secret
from paas.webhooks.signature import standard_headers
from tests.e2e.git_lab import Work
from tests.e2e.platform import Platform, eventually, listening
from tests.e2e.posts import Posts, receiving
from tests.git_server import GitServer, git_server
from tests.ports import free_port
from tests.unit.webhooks.say import ZERO, check, github, gitlab_push, push

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def environ() -> dict[str, str]:
    """It listens, and may reach this machine's loopback, but by no name."""
    return {**listening(), "PAAS_EGRESS_ALLOW": "127.0.0.0/8"}


@pytest.fixture(scope="module")
def work(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """The repository `team/shop` that a git host would have."""
    work = Work(platform, tmp_path_factory.mktemp("served") / "team" / "shop", "shop")
    work.commit("made")
    return work


@pytest.fixture(scope="module")
def served(work: Work) -> Iterator[GitServer]:
    with git_server(work.folder.parent.parent) as server:
        yield server


@pytest.fixture(scope="module")
def hook(platform: Platform, work: Work, served: GitServer) -> dict[str, Any]:
    """A deploy hook of the app `shop`."""
    platform.ok("create", "shop")
    made: dict[str, Any] = json.loads(
        platform.ok("deploy-hooks", "add", "github", served.url("team/shop"), "-a", "shop", "--path", "*.py", "--json")
    )
    return made


def deliver(
    platform: Platform, path: str, body: bytes, headers: dict[str, str], method: str = "POST"
) -> tuple[int, dict[str, Any]]:
    """Status and answer, which may come before all of the body was taken."""
    line = http.client.HTTPConnection(platform.environ["PAAS_LISTEN"], timeout=60)
    try:
        line.putrequest(method, path)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            line.putheader(name, value)
        line.endheaders()
        with suppress(BrokenPipeError, ConnectionResetError):
            line.send(body)
        answer = line.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
    finally:
        line.close()


def say_push(platform: Platform, hook: dict[str, Any], work: Work, **changes: Any) -> tuple[int, dict[str, Any]]:
    """What GitHub says of the commit that is checked out."""
    head = work.head()
    commit = {"id": head, "message": "x", "added": [], "modified": ["app.py"], "removed": []}
    value = push(**{"after": head, "head_commit": commit, "commits": [commit], **changes})
    headers, body = github(value, secret=hook["secret"], delivery=secrets.token_hex(8))
    return deliver(platform, hook["path"], body, headers)


def test_a_push_to_the_git_host_is_deployed_by_the_webhook(
    platform: Platform, work: Work, hook: dict[str, Any]
) -> None:
    work.commit("first")
    status, answer = say_push(platform, hook, work)
    assert (status, answer["status"]) == (202, "accepted")
    eventually(lambda: work.serves() == "first", seconds=120, what="the deploy")
    shown = platform.json("deploy-hooks", "deliveries", "github", "-a", "shop")
    assert (shown[0]["id"], shown[0]["commit"]) == (answer["delivery"], work.head())
    operations = {one["id"]: one for one in platform.json("operations")}
    eventually(lambda: platform.json("operations")[0]["status"] == "succeeded", what="its end")
    assert operations[shown[0]["operation"]]["actor"] == "webhook github"
    assert platform.json("releases", "-a", "shop")[0]["actor"] == "webhook github"


def test_a_burst_of_pushes_serves_the_newest(platform: Platform, work: Work, hook: dict[str, Any]) -> None:
    before = len(platform.json("operations"))
    for number in range(8):
        work.commit(f"burst {number}")
        assert say_push(platform, hook, work)[0] == 202
    eventually(lambda: work.serves() == "burst 7", seconds=120, what="the newest")
    deliveries = platform.json("deploy-hooks", "deliveries", "github", "-a", "shop")[:8]
    eventually(lambda: all(one["status"] != "running" for one in platform.json("operations")), what="the end")
    assert len(platform.json("operations")) - before < 8
    assert {one["status"] for one in deliveries} == {"accepted"}


def test_a_flood_is_turned_away_and_the_newest_of_it_serves(platform: Platform, work: Work, served: GitServer) -> None:
    platform.ok("create", "flooded")
    add = ("deploy-hooks", "add", "github", served.url("team/shop"), "-a", "flooded", "--json")
    flooded = json.loads(platform.ok(*add))
    work.commit("flood")
    with ThreadPoolExecutor(16) as senders:
        answers = list(senders.map(lambda n: say_push(platform, flooded, work, n=n), range(400)))
    assert {status for status, _ in answers} == {202, 429}
    eventually(lambda: platform.get("flooded").body == "flood", seconds=120, what="the newest")
    eventually(lambda: all(one["status"] != "running" for one in platform.json("operations")), what="the end")
    begun = [one for one in platform.json("operations") if one["actor"] == "webhook github" and one["app"] == "flooded"]
    assert 1 <= len(begun) < 10
    # What is still to be coalesced would begin while other tests count operations.
    platform.ok("destroy", "-a", "flooded", "--confirm", "flooded")


def test_what_is_not_to_be_deployed_is_answered_and_explained(
    platform: Platform, work: Work, hook: dict[str, Any]
) -> None:
    head = {"id": work.head(), "message": "x [skip ci]"}
    for changes, reason in (
        ({"ref": "refs/heads/other"}, "branch other"),
        ({"commits": [{"added": ["README.md"], "modified": [], "removed": []}]}, "changed files"),
        ({"head_commit": head}, "[skip ci]"),
        ({"after": ZERO, "deleted": True}, "deleted"),
    ):
        status, answer = say_push(platform, hook, work, **changes)  # type: ignore[arg-type]
        assert (status, answer["status"]) == (202, "ignored")
        assert reason in answer["reason"]


def test_strangers_get_nothing_out_of_it(platform: Platform, work: Work, hook: dict[str, Any]) -> None:
    before = len(platform.json("operations"))
    headers, body = github(push(after=work.head(), n=1), secret=hook["secret"], delivery="replayed")
    plain = {"Content-Type": "application/json"}
    path = hook["path"]
    tries = [
        (path, body, plain, 401),
        (path, body, {**headers, "x-hub-signature-256": ""}, 401),
        (path, body, {**headers, "x-hub-signature-256": "sha256=" + "0" * 64}, 401),
        (path, body + b" ", headers, 401),
        (path[:-1] + ("0" if path[-1] != "0" else "1"), body, headers, 404),
        (path + "/../" + "0" * 48, body, headers, 404),
        (path, b"x" * (6 << 20), plain, 413),
        (path, *reversed(github(b"[" * 200_000, secret=hook["secret"])), 422),
        (path, *reversed(github(b"payload=%7B%7D", secret=hook["secret"])), 422),
        (path, *reversed(github(push(repository={"full_name": "evil/shop"}, n=2), secret=hook["secret"])), 403),
        (path, *reversed(github(push(after="main;id", n=3), secret=hook["secret"])), 422),
    ]
    for where, data, given, expected in tries:
        status, answer = deliver(platform, where, data, given)  # type: ignore[arg-type]
        assert status == expected, (where, expected, answer)
        assert answer["message"]
    assert deliver(platform, path, b"", headers, "GET")[0] == 405
    assert len(platform.json("operations")) == before
    assert hook["secret"] not in platform.ok("logs", "--platform", "-n", "1000")


def test_the_same_delivery_is_taken_once(platform: Platform, work: Work, hook: dict[str, Any]) -> None:
    headers, body = github(push(ref="refs/heads/elsewhere", n=4), secret=hook["secret"], delivery="once")
    assert deliver(platform, hook["path"], body, headers)[0] == 202
    assert deliver(platform, hook["path"], body, headers)[0] == 409
    assert deliver(platform, hook["path"], body, {**headers, "x-github-delivery": "twice"})[0] == 409


def test_a_body_that_does_not_say_how_long_it_is_is_cut_off(platform: Platform, hook: dict[str, Any]) -> None:
    host, port = platform.environ["PAAS_LISTEN"].split(":")
    with socket.create_connection((host, int(port)), timeout=60) as line:
        line.sendall(f"POST {hook['path']} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        piece = b"x" * 65536
        answer = b""
        try:
            for _ in range(200):
                line.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        except OSError:
            pass
        try:
            answer = line.recv(200)
        except ConnectionError:
            return  # cut before the answer could be read
    assert b" 413 " in answer


def test_checks_are_waited_for(platform: Platform, work: Work, served: GitServer, hook: dict[str, Any]) -> None:
    platform.ok("create", "careful")
    add = ("deploy-hooks", "add", "github", served.url("team/shop"), "-a", "careful", "--check", "build", "--json")
    careful = json.loads(platform.ok(*add))
    commit = work.commit("checked")
    assert say_push(platform, careful, work)[1]["status"] == "waiting"
    assert platform.json("deploy-hooks", "show", "github", "-a", "careful")["waiting"] == [commit]
    work.commit("not checked")
    assert say_push(platform, careful, work)[1]["status"] == "waiting"
    headers, body = github(check("success", commit=commit), "status", secret=careful["secret"])
    assert deliver(platform, careful["path"], body, headers)[1]["status"] == "accepted"
    eventually(lambda: platform.get("careful").body == "checked", seconds=120, what="the deploy of the green commit")


def test_an_address_inside_is_refused_for_sources_and_targets(platform: Platform) -> None:
    for url in ("http://169.254.169.254/team/shop", "http://[::1]:9000/team/shop", "git@10.1.2.3:team/shop"):
        said = platform.fails(11, "deploy-hooks", "add", "gitlab", url, "-a", "shop")
        assert "PAAS_EGRESS_ALLOW" in said
        platform.fails(11, "notifications", "add", "webhook", "inside", "--url", "http://10.1.2.3/")
    platform.fails(2, "deploy-hooks", "add", "gitlab", "http://2130706433/team/shop", "-a", "shop")


# --- notifications ------------------------------------------------------------------------------------------------


@dataclass
class Mails:
    """Keeps what is handed in."""

    seen: list[Message] = field(default_factory=list)

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802
        self.seen.append(message_from_bytes(envelope.content))
        return "250 OK"


@pytest.fixture
def mails() -> Iterator[tuple[int, Mails]]:
    found, port = Mails(), free_port()
    controller = Controller(found, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port, found
    finally:
        controller.stop()


@pytest.fixture
def posts() -> Iterator[Posts]:
    with receiving(away=1) as found:
        yield found


def test_deploys_are_told_by_webhook_and_mail(
    platform: Platform, work: Work, hook: dict[str, Any], posts: Posts, mails: tuple[int, Mails]
) -> None:
    smtp, mailed = mails
    add = (
        "notifications",
        "add",
        "webhook",
        "ops",
        "--url",
        f"http://127.0.0.1:{posts.port}/s3cret",
        "--on",
        "deploy.failed",
        "--json",
    )
    secret = json.loads(platform.ok(*add))["secret"]
    platform.ok(
        "notifications", "add", "email", "team", "-a", "shop", "--smtp", f"127.0.0.1:{smtp}", "--security", "none",
        "--from", "paas@example.com", "--to", "ann@example.com", "--to", "bob@example.com", "--on", "deploy.failed",
    )  # fmt: skip
    (work.folder / "Procfile").write_text("web python app.py\n")
    work.git("commit", "--quiet", "--all", "--message", "Break it")
    say_push(platform, hook, work)
    eventually(lambda: mailed.seen, seconds=120, what="the mail")
    assert mailed.seen[0]["Subject"].endswith("shop: deploy.failed")
    assert mailed.seen[0]["To"] == "ann@example.com, bob@example.com"
    eventually(lambda: len(posts.seen) > 1, seconds=60, what="the second try")
    (first, body), (second, again) = posts.seen[:2]
    assert (first["webhook-id"], body) == (second["webhook-id"], again)
    expected = standard_headers(Secret(secret), second["webhook-id"], float(second["webhook-timestamp"]), again)
    assert second["webhook-signature"] == expected["Webhook-Signature"]
    told = json.loads(again)
    assert (told["type"], told["data"]["app"], told["data"]["actor"]) == ("deploy.failed", "shop", "webhook github")
    eventually(
        lambda: [one["status"] for one in platform.json("notifications", "deliveries", "ops")] == ["delivered"],
        what="the log of it",
    )
    assert "s3cret" not in platform.ok("notifications", "--json") + platform.ok("logs", "--platform", "-n", "1000")
    platform.ok("notifications", "test", "team", "-a", "shop")
    eventually(lambda: len(mailed.seen) == 2, what="the mail that tries it")


def test_a_push_to_any_other_git_host_is_deployed_and_told_to_a_chat(
    platform: Platform, work: Work, served: GitServer, posts: Posts
) -> None:
    platform.ok("create", "hosted")
    platform.ok("notifications", "add", "slack", "chat", "-a", "hosted", "--url", f"http://127.0.0.1:{posts.port}/x")
    for provider in ("gitlab", "gitea", "signed"):
        add = ("deploy-hooks", "add", provider, served.url("team/shop"), "-a", "hosted", "--json")
        hook = json.loads(platform.ok(*add))
        head = work.commit(f"by {provider}")
        status, answer = deliver(platform, hook["path"], *signed_by(provider, hook["secret"], head))
        assert (status, answer["status"]) == (202, "accepted"), answer
        eventually(lambda: platform.get("hosted").body == f"by {provider}", seconds=120, what="the deploy")  # noqa: B023
    eventually(
        lambda: any("✓ *hosted* deploy.succeeded" in json.loads(body)["text"] for _, body in posts.seen),
        seconds=60, what="the chat",
    )  # fmt: skip
    platform.ok("destroy", "-a", "hosted", "--confirm", "hosted")


def signed_by(provider: str, secret: str, head: str) -> tuple[bytes, dict[str, str]]:
    """What the provider sends of a push of that commit."""
    if provider == "gitlab":
        return json.dumps(gitlab_push(after=head)).encode(), {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret}
    if provider == "gitea":
        body = json.dumps(push(after=head)).encode()
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return body, {"X-Gitea-Event": "push", "X-Gitea-Delivery": "1", "X-Gitea-Signature": digest}
    body, stamp = json.dumps({"type": "push", "ref": "refs/heads/main"}).encode(), str(int(time.time()))
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return body, {"X-Paas-Timestamp": stamp, "X-Paas-Signature": f"sha256={digest}"}
