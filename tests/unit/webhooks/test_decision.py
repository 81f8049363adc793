"""What follows from what came: branches, paths, markers, checks, review apps, and that nothing pushed is lost."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas.model.deploy_hook import DeployHook, HookState, Left, PendingDeploy, Provider
from paas.model.reviews import Review
from paas.model.secret import Secret
from paas.webhooks.decision import MOST_COMMITS, MOST_REVIEWS, MOST_WAITING, Decision, decide, matches
from paas.webhooks.notice import Notice

HOOK = DeployHook(
    id="h", app_id="a", name="github", provider=Provider.GITHUB, source=Secret("https://x/team/shop.git"),
    secret=Secret("s" * 20), created_at=0, created_by="ann", repository="team/shop",
)  # fmt: skip
WAITING = replace(HOOK, wait=True)
PUSH = Notice(kind="push", repository="team/shop", branch="main", commit="1" * 40, message="Fix", files=("src/a.py",))
CHECK = Notice(kind="check", repository="team/shop", commit="1" * 40, check="build", state="success")
REVIEW = Notice(kind="review", repository="team/shop", number=7, action="open", branch="b", commit="1" * 40)


def judged(hook: DeployHook, *notices: Notice) -> tuple[Decision, ...]:
    """The decisions in order, each with what the hook remembered by then."""
    state, found = HookState(), []
    for number, notice in enumerate(notices):
        found.append(decide(hook, notice, state, f"d{number}"))
        state = found[-1].state
    return tuple(found)


def test_a_push_to_the_branch_is_deployed() -> None:
    (found,) = judged(HOOK, PUSH)
    assert (found.status, found.state.pending) == ("accepted", PendingDeploy(deliveries=("d0",)))


def test_a_burst_of_pushes_is_one_deploy_of_the_newest() -> None:
    last = judged(HOOK, *[replace(PUSH, commit=str(number) * 40) for number in range(5)])[-1]
    assert last.state.pending == PendingDeploy(deliveries=("d0", "d1", "d2", "d3", "d4"))


@pytest.mark.parametrize(
    ("notice", "why"),
    [
        (replace(PUSH, branch="feature"), "branch feature; this hook deploys main"),
        (replace(PUSH, branch="Main"), "branch Main"),
        (replace(PUSH, deleted=True, commit=""), "was deleted"),
        (Notice(kind="other", why="nothing is done on star"), "star"),
        (CHECK, "does not wait"),
        (REVIEW, "makes no review apps"),
    ],
)
def test_what_is_not_for_it_is_ignored_and_says_why(notice: Notice, why: str) -> None:
    (found,) = judged(HOOK, notice)
    assert (found.status, found.state) == ("ignored", HookState())
    assert why in found.reason


@pytest.mark.parametrize("kind", ["push", "check", "review", "ping"])
@pytest.mark.parametrize("repository", ["team/other", "other/shop", "evil/team/shop", "team/shop2"])
def test_another_repository_is_refused(kind: str, repository: str) -> None:
    (found,) = judged(HOOK, Notice(kind=kind, repository=repository, branch="main", commit="1" * 40))
    assert (found.status, found.state) == ("refused", HookState())


def test_the_repositorys_case_does_not_matter() -> None:
    assert judged(HOOK, replace(PUSH, repository="Team/Shop"))[0].status == "accepted"


@pytest.mark.parametrize(
    "message",
    [
        "Fix [skip ci]",
        "[ci skip] x",
        "x\n\n[SKIP PAAS]",
        "[paas skip]",
        "[skip deploy]",
        "[no ci]",
        "[no deploy]",
        "[skip-ci]",
    ],
)
def test_a_marker_in_the_message_skips_the_deploy(message: str) -> None:
    (found,) = judged(HOOK, replace(PUSH, message=message))
    assert found.status == "ignored"
    assert "message says" in found.reason


@pytest.mark.parametrize("message", ["skip ci", "[skip]", "[skip cid]", "do not [skip the ci]"])
def test_other_words_do_not(message: str) -> None:
    assert judged(HOOK, replace(PUSH, message=message))[0].status == "accepted"


@pytest.mark.parametrize(
    ("paths", "files", "fits"),
    [
        (("src/**",), ("src/a/b.py",), True),
        (("src/**",), ("lib/src/b.py", "src2/b"), False),
        (("src/",), ("src/b",), True),
        (("*.md",), ("README.md",), True),
        (("*.md",), ("docs/a.md",), False),
        (("**/*.md",), ("docs/x/a.md",), True),
        (("**/*.md",), ("a.md",), True),
        (("Procfile", "web/*"), ("api/x", "web/y"), True),
        (("web/*",), ("web/y/z",), False),
        (("a?c",), ("abc",), True),
        (("a.c",), ("abc",), False),
        (("./web/**",), ("web/x",), True),
        (("(a|b)+",), ("ab",), False),
    ],
)
def test_paths_pick_by_changed_files(paths: tuple[str, ...], files: tuple[str, ...], fits: bool) -> None:
    assert bool(matches(paths, files)) == fits
    (found,) = judged(replace(HOOK, paths=paths), replace(PUSH, files=files))
    assert found.status == ("accepted" if fits else "ignored")


@given(
    st.lists(st.sampled_from(["a", "b", "*", "?", "a*", "*b", "*a*", "a*b*a", "**"]), min_size=1, max_size=5),
    st.lists(st.text("ab\n", min_size=1, max_size=4), min_size=1, max_size=5),
)
def test_a_pattern_means_what_it_means_tried_in_all_ways(parts: list[str], names: list[str]) -> None:
    def fits(parts: list[str], names: list[str]) -> bool:
        if not parts or not names:
            return not parts and not names
        if parts[0] == "**":
            least = 1 if len(parts) == 1 else 0
            return any(fits(parts[1:], names[skipped:]) for skipped in range(least, len(names) + 1))
        name = "".join({"*": ".*", "?": "."}.get(char, char) for char in parts[0])
        return re.fullmatch(name, names[0], re.DOTALL) is not None and fits(parts[1:], names[1:])

    assert bool(matches(("/".join(parts),), ("/".join(names),))) == fits(parts, names)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("path", ["*a*a*a*a*a*a*a*b", "**/*a*a*/**/a*a*b", "?*?*?*?*?*?*b"])
@pytest.mark.parametrize("name", ["a" * 2000, "a/" * 999 + "a", "aa/" * 600 + "a" * 200])
def test_no_name_makes_a_pattern_take_for_ever(path: str, name: str) -> None:
    assert not matches((path,), (name,))


def test_where_the_files_are_not_known_it_is_deployed_and_says_so() -> None:
    (found,) = judged(replace(HOOK, paths=("web/**",)), replace(PUSH, files=None, why="only 20 of 35 commits are told"))
    assert (found.status, found.reason) == ("accepted", "only 20 of 35 commits are told")


PICKY = replace(HOOK, paths=("src/",))
DOCS = replace(PUSH, commit="2" * 40, files=("README.md",))
SKIPPED = replace(PUSH, message="Fix [skip ci]")


def test_a_push_that_was_skipped_is_deployed_with_the_next_whatever_that_one_changes() -> None:
    skipped, docs, more = judged(PICKY, SKIPPED, DOCS, replace(DOCS, commit="3" * 40))
    assert (skipped.status, docs.status) == ("ignored", "accepted")
    assert docs.reason == "src/a.py changed before, and was not deployed"
    assert docs.state.pending == PendingDeploy(deliveries=("d1",), left=Left("2" * 40, "src/a.py"))
    assert more.status == "ignored", "the deploy that is to begin takes it along"


def test_a_skipped_push_that_does_not_fit_leaves_nothing_to_deploy() -> None:
    assert judged(PICKY, replace(DOCS, message="[skip ci]"), DOCS)[-1].status == "ignored"
    unknown = judged(PICKY, replace(SKIPPED, files=None, why="no commit is told"), DOCS)[-1]
    assert (unknown.status, unknown.reason) == ("accepted", "a file changed before, and was not deployed")


def test_what_waits_for_checks_is_taken_along_by_a_push_that_changes_other_files() -> None:
    hook = replace(PICKY, wait=True)
    failed = replace(CHECK, state="failure")
    found = judged(hook, PUSH, failed, DOCS, replace(CHECK, commit=DOCS.commit))
    assert [one.status for one in found] == ["waiting", "waiting", "waiting", "accepted"]
    assert found[-1].state.pending == PendingDeploy(
        commit=DOCS.commit, deliveries=("d3",), left=Left(DOCS.commit, "src/a.py")
    )
    assert found[-1].state.left is None


def test_a_green_commit_does_not_take_along_what_was_pushed_after_it() -> None:
    hook = replace(PICKY, wait=True)
    later = replace(SKIPPED, commit="2" * 40, files=("src/b.py",))
    green, docs = judged(hook, PUSH, later, CHECK, replace(DOCS, commit="3" * 40))[-2:]
    assert (green.status, green.state.left) == ("accepted", Left("2" * 40, "src/b.py"))
    assert docs.status == "waiting"


def test_a_commit_waits_until_its_checks_are_green() -> None:
    pushed, pending, green = judged(WAITING, PUSH, replace(CHECK, state="pending"), CHECK)
    assert (pushed.status, pushed.state.pending) == ("waiting", None)
    assert pending.status == "waiting"
    assert (green.status, green.state.waiting) == ("accepted", ())
    assert green.state.pending == PendingDeploy(commit="1" * 40, deliveries=("d2",))


def test_checks_may_be_heard_of_before_the_push() -> None:
    early, pushed = judged(WAITING, CHECK, PUSH)
    assert early.status == "ignored"
    assert (pushed.status, pushed.state.pending) == ("accepted", PendingDeploy(commit="1" * 40, deliveries=("d1",)))


def test_a_red_check_holds_until_it_is_green_again() -> None:
    lint = replace(CHECK, check="lint")
    found = judged(WAITING, PUSH, replace(lint, state="failure"), CHECK, lint)
    assert [one.status for one in found] == ["waiting", "waiting", "waiting", "accepted"]
    assert found[2].reason == "failed: lint"


STARTED = replace(CHECK, state="pending", at=100.0)
ENDED = replace(CHECK, state="success", at=160.0)


def test_a_check_that_comes_late_does_not_take_back_how_it_ended() -> None:
    _, late, pushed = judged(WAITING, ENDED, STARTED, PUSH)
    assert (late.status, late.reason) == ("ignored", "build: pending is older than what was heard of it: success")
    assert pushed.status == "accepted"
    again = judged(WAITING, ENDED, replace(STARTED, at=ENDED.at), PUSH)[-1]
    assert again.status == "accepted", "one that began and ended within a second"


@pytest.mark.parametrize(
    "last",
    [
        replace(PUSH, commit="3" * 40, before="1" * 40, forced=True),
        replace(PUSH, commit="3" * 40, before="1" * 40, forced=True, message="[skip ci]"),
        replace(PUSH, commit="3" * 40, before="2" * 40, forced=True),  # what was there was never told
        replace(PUSH, commit="3" * 40, forced=True),
        replace(PUSH, commit="", before="1" * 40, deleted=True),
    ],
)
def test_a_commit_that_left_its_branch_is_deployed_by_no_check(last: Notice) -> None:
    *_, checked = judged(WAITING, PUSH, last, CHECK)
    assert (checked.status, checked.state.pending) == ("ignored", None)
    assert "no push of that commit waits" in checked.reason
    assert "1" * 40 not in checked.state.waiting


def test_with_paths_too_a_commit_that_left_its_branch_is_waited_for_no_more() -> None:
    hook = replace(PICKY, wait=True)
    gone = replace(PUSH, commit="3" * 40, before="1" * 40, forced=True, files=("docs/a.md",))
    assert judged(hook, PUSH, gone)[-1].state.waiting == ("3" * 40,)


def test_a_rewrite_that_is_told_late_takes_nothing_that_came_after_it() -> None:
    newer = replace(PUSH, commit="3" * 40, before="2" * 40)
    late = replace(PUSH, commit="2" * 40, before="1" * 40, forced=True)
    last = judged(WAITING, PUSH, newer, late, replace(CHECK, commit="3" * 40))[-1]
    assert (last.status, last.state.pending) == ("accepted", PendingDeploy(commit="3" * 40, deliveries=("d3",)))


def test_a_push_to_another_branch_leaves_what_waits_alone() -> None:
    other = replace(PUSH, branch="other", commit="3" * 40, forced=True)
    assert judged(WAITING, PUSH, other, CHECK)[-1].status == "accepted"


def test_a_check_that_is_run_again_is_waited_for_again() -> None:
    failed = replace(ENDED, state="failure")
    rerun = replace(STARTED, at=200.0)
    found = judged(WAITING, PUSH, STARTED, failed, rerun, failed, replace(ENDED, at=260.0))
    assert [one.status for one in found] == ["waiting", "waiting", "waiting", "waiting", "ignored", "accepted"]
    assert found[3].reason == "waits for build"


def test_where_no_time_is_told_what_came_last_counts() -> None:
    found = judged(WAITING, CHECK, replace(CHECK, state="pending"), PUSH)
    assert found[-1].status == "waiting"


def test_only_the_named_checks_are_waited_for() -> None:
    hook = replace(WAITING, checks=("build", "deploy/ok"))
    found = judged(hook, PUSH, replace(CHECK, check="lint", state="failure"), CHECK, replace(CHECK, check="deploy/ok"))
    assert [one.status for one in found] == ["waiting", "waiting", "waiting", "accepted"]
    assert found[2].reason == "waits for deploy/ok"


def test_a_green_commit_takes_the_place_of_those_before_it_and_leaves_those_after() -> None:
    commits = ["1" * 40, "2" * 40, "3" * 40]
    pushes = [replace(PUSH, commit=commit) for commit in commits]
    *_, second, first, third = judged(WAITING, *pushes, *[replace(CHECK, commit=commits[i]) for i in (1, 0, 2)])
    assert second.state.waiting == (commits[2],)
    assert first.status == "ignored", "what is older than the one deployed is not gone back to"
    assert third.state.pending is not None
    assert third.state.pending.commit == commits[2]


REVIEWING = replace(HOOK, reviews="own")
BY_HAND = Review(
    app_id="r", parent_id="a", name="shop-b", key="branch/b", opened_at=0, opened_by="ann", expires_at=9, branch="b"
)
OF_PULL = replace(BY_HAND, app_id="q", name="shop-pr-7", key="pr/7", number=7)


def test_of_a_pull_request_only_what_came_last_is_done() -> None:
    pushed = [replace(REVIEW, action="update", commit=str(number) * 40) for number in range(3)]
    *_, last = judged(REVIEWING, REVIEW, *pushed, replace(REVIEW, number=8))
    first, second = last.state.reviews
    assert (first.number, first.commit, first.deliveries) == (7, "2" * 40, ("d0", "d1", "d2", "d3"))
    assert (second.number, second.close) == (8, False)
    *_, closed = judged(REVIEWING, REVIEW, replace(REVIEW, action="close"))
    assert [one.close for one in closed.state.reviews] == [True]
    *_, reopened = judged(REVIEWING, replace(REVIEW, action="close"), REVIEW)
    assert [one.close for one in reopened.state.reviews] == [False]
    assert reopened.state.pending is None, "the app itself is not deployed"


def test_very_many_that_wait_push_out_none_that_is_to_be_closed() -> None:
    closes = [replace(REVIEW, action="close", number=number) for number in range(1, 6)]
    opens = [replace(REVIEW, number=number) for number in range(10, 10 + 2 * MOST_REVIEWS)]
    last = judged(REVIEWING, *closes, *opens)[-1]
    assert len(last.state.reviews) == MOST_REVIEWS
    assert [one.number for one in last.state.reviews[:5]] == [1, 2, 3, 4, 5]
    assert last.state.reviews[-1].number == 9 + 2 * MOST_REVIEWS


@pytest.mark.parametrize(
    ("notice", "reviews", "asked"),
    [
        (replace(PUSH, branch="b"), (BY_HAND,), [(0, False)]),
        (replace(PUSH, branch="b", deleted=True, commit=""), (BY_HAND, OF_PULL), [(0, True), (7, True)]),
        (replace(PUSH, branch="b"), (OF_PULL,), []),
        (replace(PUSH, branch="b"), (replace(BY_HAND, fork=True),), []),
        (replace(PUSH, branch="b", deleted=True, commit=""), (replace(OF_PULL, fork=True),), []),
        (replace(PUSH, branch="b", message="x [skip ci]"), (BY_HAND,), []),
        (replace(PUSH, branch="c"), (BY_HAND,), []),
    ],
)
def test_a_push_to_a_branch_that_has_a_review_app_is_for_that(
    notice: Notice, reviews: tuple[Review, ...], asked: list[tuple[int, bool]]
) -> None:
    found = decide(REVIEWING, notice, HookState(), "d", reviews)
    assert [(one.number, one.close) for one in found.state.reviews] == asked
    assert (found.review, found.status) == (bool(asked), "accepted" if asked else "ignored")
    assert not decide(HOOK, notice, HookState(), "d", reviews).review


def test_a_push_to_the_deploy_branch_is_a_deploy_whatever_is_reviewed() -> None:
    found = decide(REVIEWING, PUSH, HookState(), "d", (replace(BY_HAND, branch="main"),))
    assert found.state.pending is not None
    assert found.state.reviews == ()


def test_a_pull_request_that_names_nothing_to_build_is_refused() -> None:
    (found,) = judged(REVIEWING, replace(REVIEW, branch="", commit=""))
    assert found.status == "refused"


def test_forks_get_a_review_app_only_where_that_is_allowed() -> None:
    fork = replace(REVIEW, fork=True, from_repository="eve/shop")
    for reviews, notice, review in (
        ("own", REVIEW, True),
        ("own", fork, False),
        ("forks", fork, True),
        ("", fork, False),
    ):
        (found,) = judged(replace(HOOK, reviews=reviews), notice)
        assert found.review == review
        assert found.status == ("accepted" if review else "ignored")
    assert judged(replace(HOOK, reviews="own"), replace(fork, action="close"))[0].review, "closing is always done"


COMMITS = st.sampled_from([str(number) * 40 for number in range(1, 6)])
STATES, NAMES = st.sampled_from(["pending", "success", "failure"]), st.sampled_from(["build", "lint"])
PUSHES = st.builds(lambda commit: replace(PUSH, commit=commit), COMMITS)
CHECKS = st.builds(
    lambda commit, state, name: replace(CHECK, commit=commit, state=state, check=name), COMMITS, STATES, NAMES
)
EVENTS = st.lists(PUSHES | CHECKS, max_size=40)


@settings(deadline=None)
@given(EVENTS)
def test_only_green_commits_are_ever_deployed_and_memory_is_bounded(events: list[Notice]) -> None:
    state, heard = HookState(), dict[str, dict[str, str]]()
    for number, notice in enumerate(events):
        if notice.kind == "check":
            heard.setdefault(notice.commit, {})[notice.check] = notice.state
        found = decide(WAITING, notice, state, f"d{number}")
        state = found.state
        if found.status == "accepted":
            assert state.pending is not None
            assert set(heard[state.pending.commit].values()) == {"success"}
        assert len(state.waiting) <= MOST_WAITING
        assert len(state.checks) <= MOST_COMMITS


def test_what_is_remembered_is_bounded() -> None:
    many = [replace(CHECK, commit=f"{number:040x}", check=f"c{number}") for number in range(200)]
    assert len(judged(WAITING, *many)[-1].state.checks) == MOST_COMMITS
    names = [replace(CHECK, check=f"c{number}") for number in range(200)]
    assert len(judged(WAITING, *names)[-1].state.checks["1" * 40]) == 50
    pushes = [replace(PUSH, commit=f"{number:040x}") for number in range(200)]
    assert len(judged(WAITING, *pushes)[-1].state.waiting) == MOST_WAITING
