"""What git hosts send, in their own shapes, as far as it is looked at."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

SECRET = "a-secret-of-some-length"
OLD, NEW = "1" * 40, "2" * 40
ZERO = "0" * 40


def push(**changes: Any) -> dict[str, Any]:
    """A push to main as GitHub, Gitea and Forgejo tell it."""
    commit = {"id": NEW, "message": "Fix it", "added": [], "modified": ["src/app.py"], "removed": []}
    return {
        "ref": "refs/heads/main", "before": OLD, "after": NEW, "created": False, "deleted": False, "forced": False,
        "repository": {"full_name": "team/shop", "clone_url": "https://evil.example/other.git"},
        "head_commit": commit, "commits": [commit], "pusher": {"name": "ann"}, **changes,
    }  # fmt: skip


def gitlab_push(**changes: Any) -> dict[str, Any]:
    """The same as GitLab tells it."""
    commit = {"id": NEW, "message": "Fix it", "added": [], "modified": ["src/app.py"], "removed": []}
    return {
        "object_kind": "push", "ref": "refs/heads/main", "before": OLD, "after": NEW, "user_username": "ann",
        "project": {"path_with_namespace": "team/shop"}, "commits": [commit], "total_commits_count": 1, **changes,
    }  # fmt: skip


def check(state: str, *, name: str = "build", commit: str = NEW) -> dict[str, Any]:
    """A commit status."""
    return {"sha": commit, "context": name, "state": state, "repository": {"full_name": "team/shop"}}


def pull_request(action: str = "opened", *, head: str = "team/shop") -> dict[str, Any]:
    """A pull request from `head`."""
    return {
        "action": action, "number": 7, "repository": {"full_name": "team/shop"},
        "pull_request": {
            "number": 7, "title": "Better", "user": {"login": "bob"}, "base": {"repo": {"full_name": "team/shop"}},
            "head": {"ref": "better", "sha": NEW, "repo": {"full_name": head} if head else None},
        },
    }  # fmt: skip


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def github(
    value: Any, event: str = "push", *, secret: str = SECRET, delivery: str = "d-1"
) -> tuple[dict[str, str], bytes]:
    """Headers and body as GitHub sends them."""
    raw = value if isinstance(value, bytes) else body(value)
    digest = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return {
        "x-hub-signature-256": f"sha256={digest}", "x-github-event": event, "x-github-delivery": delivery,
        "content-type": "application/json",
    }, raw  # fmt: skip
