"""What each git host says becomes one shape; what nobody vouches for never breaks anything but itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas.errors import PaasError, UsageError
from paas.model.deploy_hook import Provider, repository_of
from paas.webhooks.notice import SKIP, Notice
from paas.webhooks.providers import notice
from tests.unit.webhooks.say import NEW, OLD, ZERO, check, gitlab_push, pull_request, push


def read(event: str, value: dict[str, Any], provider: Provider = Provider.GITHUB) -> Notice:
    return notice(provider, event, value)


@pytest.mark.parametrize(
    ("provider", "event", "value"),
    [
        (Provider.GITHUB, "push", push()),
        (Provider.GITEA, "push", push(total_commits=1)),
        (Provider.FORGEJO, "push", push(head_commit=None)),
        (Provider.GITLAB, "Push Hook", gitlab_push()),
    ],
)
def test_a_push_is_the_same_from_everybody(provider: Provider, event: str, value: dict[str, Any]) -> None:
    found = read(event, value, provider)
    assert (found.kind, found.repository, found.branch, found.commit) == ("push", "team/shop", "main", NEW)
    assert (found.message, found.author, found.files, found.deleted) == ("Fix it", "ann", ("src/app.py",), False)


@pytest.mark.parametrize(
    ("provider", "value"),
    [
        (Provider.GITHUB, push(created=True)),
        (Provider.GITHUB, push(forced=True)),
        (Provider.GITHUB, push(commits=[])),
        (Provider.GITHUB, push(commits=[{"added": []}])),
        (Provider.GITHUB, push(commits=[{"added": [], "modified": [], "removed": []}] * 2048)),
        (Provider.GITHUB, push(commits=[{"added": [f"f{i}" for i in range(4000)], "modified": [], "removed": []}])),
        (Provider.GITEA, push(total_commits=6)),
        (Provider.GITLAB, gitlab_push(total_commits_count=21)),
        (Provider.GITLAB, gitlab_push(before=ZERO)),
    ],
)
def test_where_not_all_files_are_told_none_are_believed(provider: Provider, value: dict[str, Any]) -> None:
    found = read("Push Hook" if provider is Provider.GITLAB else "push", value, provider)
    assert found.files is None
    assert found.why


def test_a_deleted_branch_and_a_tag_are_told_apart() -> None:
    assert read("push", push(after=ZERO, deleted=True, head_commit=None, commits=[])).deleted
    assert read("Push Hook", gitlab_push(after=ZERO, commits=[]), Provider.GITLAB).deleted
    assert read("push", push(ref="refs/tags/v1")).kind == "other"
    assert read("Tag Push Hook", gitlab_push(), Provider.GITLAB).kind == "other"


def test_what_a_branch_was_at_and_whether_it_still_holds_it_is_told() -> None:
    found = read("push", push(forced=True))
    assert (found.before, found.forced) == (OLD, True)
    assert not read("push", push()).forced
    assert read("push", push(before=ZERO)).before == ""
    assert read("Push Hook", gitlab_push(), Provider.GITLAB).before == OLD
    own = {"type": "push", "ref": "refs/heads/main", "commit": NEW, "forced": True, "before": OLD}
    assert (read("", own, Provider.SIGNED).before, read("", own, Provider.SIGNED).forced) == (OLD, True)


def suite(conclusion: str) -> dict[str, Any]:
    about = {"head_sha": NEW, "status": "completed", "conclusion": conclusion, "app": {"slug": "ci"}}
    return {"check_suite": about}


def run(status: str, conclusion: str | None) -> dict[str, Any]:
    return {"check_run": {"head_sha": NEW, "status": status, "conclusion": conclusion, "name": "lint"}}


@pytest.mark.parametrize(
    ("event", "value", "name", "state"),
    [
        ("status", check("success"), "build", "success"),
        ("status", check("error"), "build", "failure"),
        ("status", check("pending"), "build", "pending"),
        ("check_suite", suite("success"), "ci", "success"),
        ("check_run", run("completed", "timed_out"), "lint", "failure"),
        ("check_run", run("completed", "neutral"), "lint", "success"),
        ("check_run", run("in_progress", None), "lint", "pending"),
    ],
)
def test_checks_have_a_name_and_one_of_three_states(event: str, value: dict[str, Any], name: str, state: str) -> None:
    found = read(event, value)
    assert (found.kind, found.commit, found.check, found.state) == ("check", NEW, name, state)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("success", "success"),
        ("failed", "failure"),
        ("canceled", "failure"),
        ("running", "pending"),
        ("manual", "pending"),
    ],
)
def test_a_pipeline_is_a_check(status: str, state: str) -> None:
    value = {"object_attributes": {"sha": NEW, "status": status}, "project": {"path_with_namespace": "team/shop"}}
    found = read("Pipeline Hook", value, Provider.GITLAB)
    assert (found.kind, found.check, found.state, found.commit) == ("check", "pipeline", state, NEW)


@pytest.mark.parametrize(
    ("action", "means"), [("opened", "open"), ("reopened", "open"), ("synchronize", "update"), ("closed", "close")]
)
def test_pull_requests_open_update_and_close(action: str, means: str) -> None:
    found = read("pull_request", pull_request(action))
    assert (found.kind, found.action, found.number, found.branch, found.commit) == ("review", means, 7, "better", NEW)
    assert not found.fork


@pytest.mark.parametrize("head", ["stranger/shop", ""])
def test_a_pull_request_from_elsewhere_is_a_fork(head: str) -> None:
    assert read("pull_request", pull_request(head=head)).fork


def test_merge_requests_update_only_with_new_commits() -> None:
    about = {
        "iid": 7, "action": "update", "source_branch": "better", "last_commit": {"id": NEW},
        "source": {"path_with_namespace": "team/shop"}, "target": {"path_with_namespace": "team/shop"},
    }  # fmt: skip
    assert read("Merge Request Hook", {"object_attributes": about}, Provider.GITLAB).kind == "other"
    found = read("Merge Request Hook", {"object_attributes": {**about, "oldrev": OLD}}, Provider.GITLAB)
    assert (found.kind, found.action, found.number, found.fork) == ("review", "update", 7, False)


def test_our_own_shape_says_what_it_misses() -> None:
    found = read("", {"type": "push", "ref": "refs/heads/main", "commit": NEW, "files": ["a"]}, Provider.SIGNED)
    assert (found.kind, found.branch, found.commit, found.files) == ("push", "main", NEW, ("a",))
    many = {"type": "push", "ref": "refs/heads/main", "commit": NEW, "files": [f"f{i}" for i in range(3000)]}
    assert read("", many, Provider.SIGNED).files is None, "a path that is not among the first would be left out"
    for value in ({}, {"type": "x"}, {"type": "push", "ref": "main"}, {"type": "check", "state": "green"}):
        with pytest.raises(UsageError):
            read("", value, Provider.SIGNED)


@pytest.mark.parametrize("commit", ["main;id", "--all", "g" * 40, "1" * 39, "1" * 300, 7, ["1"], {"sha": NEW}])
def test_what_is_no_commit_is_refused(commit: object) -> None:
    with pytest.raises(UsageError, match="commit id"):
        read("push", push(after=commit))


@pytest.mark.parametrize("provider", list(Provider))
def test_a_marker_at_the_end_of_a_long_message_is_seen(provider: Provider) -> None:
    message = "x" * 5000 + "\n\n[skip ci]"
    commit = {"id": NEW, "message": message}
    values: dict[Provider, dict[str, Any]] = {
        Provider.GITLAB: gitlab_push(commits=[commit]),
        Provider.SIGNED: {"type": "push", "ref": "refs/heads/main", "message": message},
    }
    event = "Push Hook" if provider is Provider.GITLAB else "push"
    found = read(event, values.get(provider, push(head_commit=commit)), provider)
    assert SKIP.search(found.message)
    assert len(found.message) <= 2000


RUN = {"started_at": "2026-11-23T09:15:00Z", "completed_at": None}
STATUS = {"created_at": "2026-11-23T09:15:00Z", "updated_at": "2026-11-23T09:15:01+00:00"}
PIPELINE = {"created_at": "2026-11-23 09:10:00 UTC", "finished_at": "2026-11-23 09:15:00 UTC"}
JOBS = [{"created_at": "2026-11-23 09:11:00 UTC"}, {"started_at": "2026-11-23 09:18:00 UTC"}]


@pytest.mark.parametrize(
    ("provider", "event", "value", "time"),
    [
        ("github", "check_run", {"check_run": RUN}, "09:15:00"),
        ("github", "check_run", {"check_run": {**RUN, "completed_at": "2026-11-23T09:16:00Z"}}, "09:16:00"),
        ("github", "check_suite", {"check_suite": {"updated_at": "2026-11-23T09:15:07Z"}}, "09:15:07"),
        ("github", "status", STATUS, "09:15:01"),
        ("github", "status", {"created_at": "2026-11-23T09:15:00"}, "09:15:00"),
        ("gitea", "status", {"created_at": "2026-11-23T10:15:00+01:00", "updated_at": None}, "09:15:00"),
        ("gitlab", "Pipeline Hook", {"object_attributes": PIPELINE}, "09:15:00"),
        ("gitlab", "Pipeline Hook", {"object_attributes": PIPELINE, "builds": JOBS}, "09:18:00"),
    ],
)
def test_checks_say_when_they_came_to_be_so(provider: str, event: str, value: dict[str, Any], time: str) -> None:
    expected = datetime.fromisoformat(f"2026-11-23T{time}+00:00").timestamp()
    assert notice(Provider(provider), event, value).at == expected


@pytest.mark.parametrize("time", ["once upon a time", 7, None, "9999-99-99T00:00:00Z", "0001-01-01T00:00:00+23:59"])
def test_a_time_that_is_none_says_nothing(time: object) -> None:
    assert read("status", {"created_at": time, "updated_at": None}).at == 0


def test_a_child_pipeline_makes_no_commit_green() -> None:
    about = {"sha": NEW, "status": "success", "source": "parent_pipeline"}
    assert read("Pipeline Hook", {"object_attributes": about}, Provider.GITLAB).kind == "other"


KEYS = [
    "ref", "after", "before", "commits", "repository", "full_name", "added", "modified", "removed", "head_commit",
    "message", "pull_request", "head", "base", "repo", "number", "action", "check_run", "object_attributes", "sha",
    "status", "total_commits", "project", "path_with_namespace", "type", "files", "name", "state", "id",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=30,
)
EVENTS = [
    "push",
    "status",
    "check_run",
    "check_suite",
    "pull_request",
    "ping",
    "Push Hook",
    "Pipeline Hook",
    "Merge Request Hook",
    "",
]


@settings(deadline=None)
@given(st.sampled_from(list(Provider)), st.sampled_from(EVENTS), st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_json_is_a_notice_or_refused(provider: Provider, event: str, value: dict[str, Any]) -> None:
    try:
        found = notice(provider, event, value)
    except PaasError:
        return
    assert found.kind in ("ping", "push", "check", "review", "other")
    assert len(found.branch) <= 250
    assert len(found.message) <= 2000
    assert Notice.of({name: getattr(found, name) for name in Notice.__slots__}) == found


@pytest.mark.parametrize(
    ("provider", "url", "repository"),
    [
        ("github", "git@github.com:team/shop.git", "team/shop"),
        ("gitea", "https://example.com/git/team/shop.git", "team/shop"),
        ("gitlab", "https://gitlab.com/group/team/shop.git", "group/team/shop"),
        ("signed", "https://example.com/shop", ""),
    ],
)
def test_the_url_says_what_the_host_calls_the_repository(provider: str, url: str, repository: str) -> None:
    assert repository_of(provider, url) == repository
