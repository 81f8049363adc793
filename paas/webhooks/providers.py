"""Each git host's own shape of what happened → a Notice. Unknown events are no error; what contradicts itself is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from paas.errors import UsageError
from paas.model.deploy_hook import Provider
from paas.webhooks.notice import LONGEST_TEXT, MOST_FILES, TOO_MANY, Notice, Payload, branch_of, changed

GITHUB_MOST = 2048
"""Commits that GitHub tells of one push at most; it does not say how many there were."""
ACTIONS = {
    "opened": "open", "reopened": "open", "synchronize": "update", "synchronized": "update", "closed": "close",
    "open": "open", "reopen": "open", "update": "update", "close": "close", "merge": "close",
}  # fmt: skip
GREEN = frozenset({"success", "neutral", "skipped", "warning"})
RED = frozenset({"failure", "failed", "error", "canceled", "cancelled", "timed_out", "action_required", "stale",
                 "startup_failure"})  # fmt: skip


def notice(provider: Provider, event: str, body: Mapping[str, object]) -> Notice:
    """What the body says. Raises UsageError where a field cannot be what its event says it is."""
    payload = Payload(body)
    if provider is Provider.SIGNED:
        return _own(payload)
    read = _READERS[provider].get(event)
    return (
        read(payload) if read else Notice(kind="other", why=f"nothing is done on {event or 'an event without a name'}")
    )


def _state(*words: str) -> str:
    """The first word that says how it ended, else that it did not."""
    for word in words:
        if word in GREEN:
            return "success"
        if word in RED:
            return "failure"
    return "pending"


# --- GitHub, Gitea, Forgejo ----------------------------------------------------------------------------------------


def _ping(payload: Payload) -> Notice:
    return Notice(kind="ping", repository=payload.text("repository", "full_name"))


def _push(payload: Payload) -> Notice:
    branch = branch_of(payload.text("ref"))
    if not branch:
        return Notice(kind="other", why="a tag or another ref, not a branch")
    commit = payload.commit("after")
    commits = payload.items("commits")
    total = payload.number("total_commits")
    if not total and len(commits) >= GITHUB_MOST:
        total = len(commits) + 1
    files, why = changed(commits, total)
    if payload.flag("forced") or payload.flag("created"):
        files, why = None, "the branch is new or was rewritten, so any file may have changed"
    return Notice(
        kind="push", repository=payload.text("repository", "full_name"), branch=branch, commit=commit,
        deleted=payload.flag("deleted") or not commit, before=payload.commit("before"), forced=payload.flag("forced"),
        files=files, why=why,
        message=payload.message("head_commit", "message") or _message(payload.items("commits"), commit),
        author=payload.text("pusher", "name") or payload.text("pusher", "login"),
    )  # fmt: skip


def _message(commits: tuple[Payload, ...], commit: str) -> str:
    return next((one.message("message") for one in reversed(commits) if one.text("id") == commit), "")


def _status(payload: Payload) -> Notice:
    return Notice(
        kind="check", repository=payload.text("repository", "full_name"), commit=payload.commit("sha"),
        check=payload.text("context")[:200] or "status", state=_state(payload.text("state")),
        at=payload.newest("created_at", "updated_at"),
    )  # fmt: skip


def _check(name: str) -> Callable[[Payload], Notice]:
    def read(payload: Payload) -> Notice:
        one = payload.at(name)
        return Notice(
            kind="check", repository=payload.text("repository", "full_name"), commit=one.commit("head_sha"),
            check=(one.text("name") or one.text("app", "slug") or name)[:200],
            state=_state(one.text("conclusion")) if one.text("status") == "completed" else "pending",
            at=one.newest("started_at", "completed_at", "updated_at"),
        )  # fmt: skip

    return read


def _pull_request(payload: Payload) -> Notice:
    action = ACTIONS.get(payload.text("action"))
    if action is None:
        return Notice(kind="other", why=f"nothing is done on a pull request that is {payload.text('action')[:40]}")
    pull = payload.at("pull_request")
    base = pull.text("base", "repo", "full_name") or payload.text("repository", "full_name")
    origin = pull.text("head", "repo", "full_name")  # null when a fork is gone
    return Notice(
        kind="review", repository=payload.text("repository", "full_name"), action=action,
        number=pull.number("number") or payload.number("number"), branch=pull.text("head", "ref")[:250],
        commit=pull.commit("head", "sha"), message=pull.text("title"), author=pull.text("user", "login"),
        fork=origin.lower() != base.lower(), from_repository=origin,
    )  # fmt: skip


# --- GitLab --------------------------------------------------------------------------------------------------------


def _gitlab_push(payload: Payload) -> Notice:
    branch = branch_of(payload.text("ref"))
    if not branch:
        return Notice(kind="other", why="a tag or another ref, not a branch")
    commit, commits = payload.commit("after"), payload.items("commits")
    files, why = changed(commits, payload.number("total_commits_count"))
    if not payload.commit("before"):
        files, why = None, "the branch is new, so any file may have changed"
    return Notice(
        kind="push", repository=payload.text("project", "path_with_namespace"), branch=branch, commit=commit,
        deleted=not commit, before=payload.commit("before"), files=files, why=why, message=_message(commits, commit),
        author=payload.text("user_username") or payload.text("user_name"),
    )  # fmt: skip


def _gitlab_pipeline(payload: Payload) -> Notice:
    about = payload.at("object_attributes")
    if about.text("source") == "parent_pipeline":
        return Notice(kind="other", why="a child pipeline; that of its parent counts")
    # One that is retried keeps its id and times: only its jobs tell.
    jobs = [job.newest("created_at", "started_at", "finished_at") for job in payload.items("builds")]
    at = max(about.newest("created_at", "finished_at"), *jobs, 0.0)
    return Notice(
        kind="check", repository=payload.text("project", "path_with_namespace"), commit=about.commit("sha"),
        check="pipeline", state=_state(about.text("status")), at=at,
    )  # fmt: skip


def _gitlab_merge_request(payload: Payload) -> Notice:
    about = payload.at("object_attributes")
    action = ACTIONS.get(about.text("action"))
    if action is None or (action == "update" and not about.text("oldrev")):
        return Notice(kind="other", why="the merge request has the same commits")
    source = about.text("source", "path_with_namespace")
    target = about.text("target", "path_with_namespace") or payload.text("project", "path_with_namespace")
    return Notice(
        kind="review", repository=target, action=action, number=about.number("iid"),
        branch=about.text("source_branch")[:250], commit=about.at("last_commit").commit("id"),
        message=about.text("title"), author=payload.text("user", "username"), fork=source.lower() != target.lower(),
        from_repository=source,
    )  # fmt: skip


# --- our own -------------------------------------------------------------------------------------------------------


def _own(payload: Payload) -> Notice:
    """`{"type": "push", "ref", "commit", "message", "files", "forced", "before"}`, `{"type": "check", "commit", "name",
    "state"}`, `{"type": "ping"}`; `repository` where the hook has one."""
    kind, repository = payload.text("type"), payload.text("repository")
    if kind == "ping":
        return Notice(kind="ping", repository=repository)
    if kind == "check":
        name = payload.text("name")[:200] or "check"
        state = payload.text("state")
        if state not in ("pending", "success", "failure"):
            raise UsageError("state: is pending, success or failure")
        commit = payload.commit("commit")
        return Notice(kind="check", repository=repository, commit=commit, check=name, state=state)
    if kind != "push":
        raise UsageError("type: is push, check or ping")
    branch = branch_of(payload.text("ref"))
    if not branch:
        raise UsageError("ref: is refs/heads/ and the name of a branch")
    files, why = _listed(payload.at("files").value)
    return Notice(
        kind="push", repository=repository, branch=branch, commit=payload.commit("commit"), files=files,
        before=payload.commit("before"), forced=payload.flag("forced"),
        why=why, message=payload.message("message"), author=payload.text("author"),
    )  # fmt: skip


def _listed(found: object) -> tuple[tuple[str, ...] | None, str]:
    if not isinstance(found, list):
        return None, "the changed files are not told"
    if len(found) >= MOST_FILES:
        return None, TOO_MANY
    return tuple(str(name)[:LONGEST_TEXT] for name in found), ""


_HUB: dict[str, Callable[[Payload], Notice]] = {
    "ping": _ping,
    "push": _push,
    "status": _status,
    "pull_request": _pull_request,
    "pull_request_sync": _pull_request,
}
_READERS: dict[Provider, dict[str, Callable[[Payload], Notice]]] = {
    Provider.GITHUB: {**_HUB, "check_suite": _check("check_suite"), "check_run": _check("check_run")},
    Provider.GITEA: _HUB,
    Provider.FORGEJO: _HUB,
    Provider.GITLAB: {
        "Push Hook": _gitlab_push,
        "Pipeline Hook": _gitlab_pipeline,
        "Merge Request Hook": _gitlab_merge_request,
    },
}
