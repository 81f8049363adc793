"""An event → what is told of it, to whom, and in which shape. Pure. What may hold a secret is not told: of an event's
data only the facts named here, never the lines a program printed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from paas.model.events import Event
from paas.model.notification import Notification, Target

TOPICS: Mapping[str, str] = {
    "deploy.succeeded": "a deploy, promotion or rollback serves",
    "deploy.failed": "a deploy failed, or a release could not be carried out",
    "postdeploy.failed": "the script after the first deploy failed; what was deployed serves",
    "predestroy.failed": "the script before an app is taken away failed",
    "crash": "a replica ended by itself",
    "crash.oom": "a replica ran out of memory",
    "autoscale.maximum": "autoscaling wants more replicas than its maximum",
    "alert.fired": "an alert of an app: a number has been beyond its bound for as long as it says",
    "alert.ended": "it is not any more",
    "signal.failed": "a signal of an app cannot be read",
    "signal.partial": "a signal of an app can be read of some of its replicas alone",
    "signal.works": "it can be read again",
    "autoscale.full": "autoscaling finds no room for another replica",
    "autoscale.failed": "autoscaling could not do what it decided",
    "autoscale.blind": "a signal that autoscaling goes by has no value",
    "autoscale.sighted": "all of them have one again",
    "cron.failed": "a scheduled run failed",
    "cron.skipped": "a scheduled run was left out",
    "backup.failed": "a backup failed",
    "backup.silence": "an addon has had no backup for too long",
    "certificate.issued": "a certificate was issued",
    "certificate.expires": "a certificate ends soon",
    "certificate.failed": "a certificate could not be had; the one before stays in use",
    "review.opened": "a review app serves its branch or pull request",
    "review.updated": "a review app serves a newer commit",
    "review.failed": "a review app does not serve what was pushed, or could not be closed",
    "review.limit": "a review app was not opened: there are as many as there may be",
    "review.expires": "a review app goes soon",
    "review.expired": "the time of a review app is over",
    "review.closed": "a review app is gone, with its addons",
    "notification.disabled": "a target of notifications was given up",
}
"""Topics and when they are told. `deploy` stands for all that begin so."""

FACTS = frozenset(
    {
        "release", "kind", "status", "process", "replica", "exit_code", "oom", "host", "addon", "not_after", "days",
        "hours", "number", "maximum", "replicas", "wanted", "pull_request", "branch", "review", "target",
        "alert", "metric", "value", "from", "to",
    }
)  # fmt: skip
GOOD = ("succeeded", "issued", "opened", "updated", "closed", "ended", "works", "sighted", "test")
"""Ends of topics that are no bad news."""
LONGEST = 500
DEPLOYS = frozenset({"DeployApp", "SetUpApp", "SetBranch"})
"""Operations that build and deploy."""
RELEASED = frozenset({"deploy", "promote", "rollback"})
TOLD_BY_RELEASE = frozenset({"DeployFailed", "ReleaseFailed"})
"""Errors that end an operation whose release was told of already."""
BACKOFF = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 28800.0)
"""Seconds before each next try of a target that does not answer: 24 hours in all, then it is disabled."""
REFUSALS = 3
"""Tries of one notification that a target refuses (4xx); then it is given up and the next one's turn."""

_USERINFO = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/@]*@", re.IGNORECASE)


def topic(event: Event, verb: str = "") -> str:
    """What it is told as; empty: it is not. `verb` is the operation it belongs to."""
    data = event.data
    match event.kind:
        case "release":
            if data.get("status") == "failed":
                return "deploy.failed"
            return "deploy.succeeded" if data.get("status") == "succeeded" and data.get("kind") in RELEASED else ""
        case "error":
            if verb in DEPLOYS and data.get("code") not in TOLD_BY_RELEASE:
                return "deploy.failed"
            return "backup.failed" if verb == "BackupAddon" else ""
        case "crash":
            return "crash.oom" if data.get("oom") else "crash"
        case kind:
            return kind if kind in TOPICS else ""


def wanted(target: Target, topic: str, app_id: str) -> bool:
    """Whether it is to be told there."""
    if target.app_id and target.app_id != app_id:
        return False
    return not target.topics or any(topic == one or topic.startswith(f"{one}.") for one in target.topics)


def facts(event: Event) -> dict[str, object]:
    """What of its data is told: names and numbers that are known to be no secret."""
    return {
        key: value[:LONGEST] if isinstance(value, str) else value
        for key, value in event.data.items()
        if key in FACTS and isinstance(value, (str, int, float, bool))
    }


def sentence(text: str) -> str:
    """The first line, without passwords in URLs, cut."""
    line = _USERINFO.sub(r"\g<1>", text.strip().partition("\n")[0])
    return "".join(char if char.isprintable() else " " for char in line)[:LONGEST]


def delay(failures: int) -> float:
    """Seconds until the next try after that many failures in a row."""
    return BACKOFF[min(failures, len(BACKOFF)) - 1]


def webhook_body(one: Notification, instance: str) -> bytes:
    """`{"type", "timestamp", "platform", "data": {"app", "message", …facts}}`"""
    at = datetime.fromtimestamp(one.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = {"app": one.app, "message": one.message, **one.facts}
    value = {"type": one.topic, "timestamp": at, "platform": instance, "data": data}
    return json.dumps(value, separators=(",", ":")).encode()


def slack_body(one: Notification, instance: str) -> bytes:
    """`{"text"}`, which Slack, Mattermost, Rocket.Chat and Discord (`/slack`) take. `&`, `<` and `>` could make links
    and call people."""
    sign = "✓" if one.topic.endswith(GOOD) else "✗"
    said = one.message.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return json.dumps({"text": f"{sign} *{one.app or instance}* {one.topic}: {said}"}).encode()


def mail(one: Notification, target: Target, instance: str) -> EmailMessage:
    """A short mail in plain text; its id is the notification's, so that a second copy is known as one."""
    message = EmailMessage()
    message["Subject"] = f"[{instance}] {one.app or 'platform'}: {one.topic}"
    message["From"] = target.mail["sender"]
    message["To"] = target.mail["recipients"]
    message["Date"] = format_datetime(datetime.fromtimestamp(one.at, UTC))
    message["Message-ID"] = f"<{one.id}@{target.mail['sender'].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    lines = [one.message, "", *(f"{key}: {value}" for key, value in one.facts.items())]
    if one.app:
        lines += ["", f"paas events -a {one.app}"]
    message.set_content("\n".join(lines) + "\n")
    return message
