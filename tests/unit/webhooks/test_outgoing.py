"""What is told of an event, to whom, and in which shape; and what never is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from paas.errors import BuildFailed, DeployFailed
from paas.model.events import Event
from paas.model.notification import Notification, Target, TargetKind
from paas.webhooks import outgoing

TARGET = Target(
    id="t", name="ops", kind=TargetKind.EMAIL, created_at=0, created_by="ann",
    mail={"sender": "paas@example.com", "recipients": "a@example.com, b@example.com"},
)  # fmt: skip
ONE = Notification(
    id="msg_1_t", target_id="t", at=1_700_000_000.25, topic="deploy.failed", app="shop", facts={"release": 3},
    message="v3 failed: <!channel> & co",
)  # fmt: skip


def release(status: str, kind: str = "deploy") -> Event:
    return Event(kind="release", message="v3", data={"release": 3, "kind": kind, "status": status})


@pytest.mark.parametrize(
    ("event", "verb", "topic"),
    [
        (release("succeeded"), "", "deploy.succeeded"),
        (release("succeeded", "rollback"), "", "deploy.succeeded"),
        (release("succeeded", "promote"), "", "deploy.succeeded"),
        (release("succeeded", "config"), "", ""),
        (release("failed"), "", "deploy.failed"),
        (release("failed", "config"), "", "deploy.failed"),
        (release("pending"), "", ""),
        (Event(kind="error", data=BuildFailed("x").as_dict()), "DeployApp", "deploy.failed"),
        (Event(kind="error", data=DeployFailed("x").as_dict()), "DeployApp", ""),
        (Event(kind="error", data=BuildFailed("x").as_dict()), "SetUpApp", "deploy.failed"),
        (Event(kind="error", data=BuildFailed("x").as_dict()), "SetBranch", "deploy.failed"),
        (Event(kind="error", data=BuildFailed("x").as_dict()), "Scale", ""),
        (Event(kind="error"), "BackupAddon", "backup.failed"),
        (Event(kind="crash", data={"oom": False}), "", "crash"),
        (Event(kind="crash", data={"oom": True}), "", "crash.oom"),
        (Event(kind="autoscale.maximum"), "", "autoscale.maximum"),
        (Event(kind="certificate.expires"), "", "certificate.expires"),
        (Event(kind="audit"), "", ""),
        (Event(kind="something.else"), "", ""),
    ],
)
def test_what_is_told_as_what(event: Event, verb: str, topic: str) -> None:
    assert outgoing.topic(event, verb) == topic
    assert topic in ("", *outgoing.TOPICS)


@pytest.mark.parametrize(
    ("topics", "app_id", "topic", "told"),
    [
        ((), "", "crash", True),
        (("crash",), "", "crash", True),
        (("crash",), "", "crash.oom", True),
        (("crash.oom",), "", "crash", False),
        (("deploy",), "", "deploy.failed", True),
        (("dep",), "", "deploy.failed", False),
        ((), "a1", "crash", True),
        ((), "b1", "crash", False),
    ],
)
def test_who_is_told(topics: tuple[str, ...], app_id: str, topic: str, told: bool) -> None:
    target = Target(
        id="t", name="ops", kind=TargetKind.SLACK, created_at=0, created_by="", topics=topics, app_id=app_id
    )
    assert outgoing.wanted(target, topic, "a1") == told


def test_lines_that_programs_printed_and_unknown_facts_are_never_told() -> None:
    event = Event(
        kind="error", data={"details": ["PASSWORD=s3cret"], "env": "s3cret", "release": 3, "process": ["s3cret"]}
    )
    assert outgoing.facts(event) == {"release": 3}


def test_programs_are_told_the_numbers_of_autoscaling() -> None:
    data = {"process": "web", "from": 3, "to": 5, "why": "cpu", "samples": [], "limits": ["max"]}
    assert outgoing.facts(Event(kind="autoscale.full", data=data)) == {"process": "web", "from": 3, "to": 5}


def test_a_message_is_one_line_without_passwords_in_addresses() -> None:
    said = outgoing.sentence("cannot fetch https://me:s3cret@example.com/x\x1b[31m\nPASSWORD=s3cret")
    assert said == "cannot fetch https://example.com/x [31m"
    assert len(outgoing.sentence("x" * 9000)) == 500


def test_a_webhook_says_what_and_when() -> None:
    assert json.loads(outgoing.webhook_body(ONE, "paas")) == {
        "type": "deploy.failed", "timestamp": "2023-11-14T22:13:20.250Z", "platform": "paas",
        "data": {"app": "shop", "message": "v3 failed: <!channel> & co", "release": 3},
    }  # fmt: skip


def test_a_chat_message_calls_nobody() -> None:
    text = json.loads(outgoing.slack_body(ONE, "paas"))["text"]
    assert text == "✗ *shop* deploy.failed: v3 failed: &lt;!channel&gt; &amp; co"


@pytest.mark.parametrize(
    ("topic", "sign"),
    [("alert.ended", "✓"), ("signal.works", "✓"), ("autoscale.sighted", "✓"), ("test", "✓"), ("crash", "✗")],
)
def test_good_news_looks_like_it(topic: str, sign: str) -> None:
    assert json.loads(outgoing.slack_body(replace(ONE, topic=topic), "paas"))["text"].startswith(sign)


def test_a_mail_has_an_id_that_stays_and_no_line_of_its_own_in_the_head() -> None:
    message = outgoing.mail(ONE, TARGET, "paas")
    assert message["Subject"] == "[paas] shop: deploy.failed"
    assert message["Message-ID"] == "<msg_1_t@example.com>"
    assert message["To"] == "a@example.com, b@example.com"
    assert "release: 3" in message.get_content()


def test_every_topic_is_described() -> None:
    page = (Path(__file__).parents[3] / "docs" / "notifications.md").read_text()
    assert [topic for topic in outgoing.TOPICS if f"`{topic}`" not in page] == []


def test_tries_go_on_for_a_day() -> None:
    waits = [outgoing.delay(failures) for failures in range(1, 11)]
    assert waits == sorted(waits)
    assert 20 * 3600 < sum(waits) < 48 * 3600
    assert outgoing.delay(99) == waits[-1]
