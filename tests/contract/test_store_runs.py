"""What every store does with runs and schedules, on disk and in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paas.errors import Conflict, NotFound, UsageError
from paas.interfaces import Store
from paas.model.app import App, Release, ReleaseKind
from paas.model.cron import CronJob, Missed, Overlap
from paas.model.runs import CronMark, Run, RunStatus
from paas.store.words import KEPT_JOBS

SHOP, BLOG = App(id="0a0a0a0a", name="shop", created_at=1.0), App(id="0b0b0b0b", name="blog", created_at=1.0)
MARK = CronMark(app_id=SHOP.id, job="tidy", timing="0 * * * * UTC", seen_at=5.5, paused_by="ann", paused_at=6.0)


@pytest.fixture
def store(any_store: Store) -> Store:
    any_store.add_app(SHOP)
    any_store.add_app(BLOG)
    return any_store


def run(number: int, **changes: object) -> Run:
    made = Run(id=f"{number:04d}abcdef", app_id=SHOP.id, command="make 'it so'", actor="ann", due_at=float(number))
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_run_is_kept_whole_and_found_by_the_beginning_of_its_id(store: Store) -> None:
    whole = run(
        1, job="tidy", release=3, detached=False, time_limit=60.0, memory=1 << 40, cpus=0.5, attempt=2, started_at=2.0,
        ended_at=3.0, exit_code=0, reason="ü", stopping="x", status=RunStatus.SUCCEEDED,
    )  # fmt: skip
    store.add_run(whole)
    assert store.run(SHOP.id, "0001") == whole
    assert store.runs(app_id=SHOP.id) == (whole,)


@pytest.mark.parametrize("asked", ["zz", "", "%", "_"])
def test_what_is_no_run_is_not_found(store: Store, asked: str) -> None:
    store.add_run(run(1))
    with pytest.raises(NotFound):
        store.run(SHOP.id, asked)


def test_a_run_of_another_app_and_one_that_is_not_clear_are_refused(store: Store) -> None:
    store.add_run(run(1))
    store.add_run(run(2))
    with pytest.raises(UsageError):
        store.run(SHOP.id, "000")
    with pytest.raises(NotFound):
        store.run(BLOG.id, "0001")
    with pytest.raises(Conflict):
        store.add_run(run(1))
    with pytest.raises(NotFound):
        store.add_run(run(3, app_id="unknown"))


def test_only_what_becomes_of_a_run_changes(store: Store) -> None:
    store.add_run(run(1))
    store.save_run(run(1, status=RunStatus.FAILED, exit_code=3, reason="why", ended_at=9.0, actor="eve", job="other"))
    kept = store.run(SHOP.id, "0001")
    assert (kept.status, kept.exit_code, kept.reason) == (RunStatus.FAILED, 3, "why")
    assert (kept.actor, kept.job) == ("ann", run(1).job)


def test_a_run_that_waited_may_run_what_a_newer_release_says(store: Store) -> None:
    store.add_run(run(1, status=RunStatus.QUEUED))
    newer = run(1, status=RunStatus.RUNNING, release=7, command="make more", time_limit=9.0, memory=5, cpus=0.5)
    store.save_run(newer)
    assert store.run(SHOP.id, "0001") == newer
    store.save_run(run(77))
    assert len(store.runs()) == 1


def test_runs_are_listed_newest_first_by_app_job_and_whether_they_go_on(store: Store) -> None:
    for number, job, status in (
        (1, "tidy", RunStatus.RUNNING),
        (2, "", RunStatus.QUEUED),
        (3, "tidy", RunStatus.FAILED),
    ):
        store.add_run(run(number, job=job, status=status))
    store.add_run(run(4, app_id=BLOG.id))
    numbers = {
        "all": store.runs(), "of shop": store.runs(app_id=SHOP.id), "tidy": store.runs(app_id=SHOP.id, job="tidy"),
        "people": store.runs(app_id=SHOP.id, job=""), "open": store.runs(open=True, limit=0),
        "two": store.runs(limit=2),
    }  # fmt: skip
    assert {what: [int(one.id[:4]) for one in found] for what, found in numbers.items()} == {
        "all": [4, 3, 2, 1], "of shop": [3, 2, 1], "tidy": [3, 1], "people": [2], "open": [4, 2, 1], "two": [4, 3],
    }  # fmt: skip


def test_the_oldest_ended_runs_of_a_job_are_forgotten_and_none_that_goes_on(store: Store) -> None:
    store.add_run(run(1, job="tidy"))
    for number in range(2, 60):
        store.add_run(run(number, job="tidy", status=RunStatus.SUCCEEDED))
    kept = store.runs(app_id=SHOP.id, limit=0)
    assert len(kept) == 51
    assert kept[-1].id == run(1).id


def test_jobs_that_are_renamed_again_and_again_keep_a_bounded_history(store: Store) -> None:
    store.add_run(run(0, status=RunStatus.SUCCEEDED))
    store.add_run(run(1, job="job-1"))
    for number in range(2, KEPT_JOBS + 20):
        store.add_run(run(number, job=f"job-{number}", status=RunStatus.SUCCEEDED))
    store.add_run(run(0, id="other", app_id=BLOG.id, job="job-0", status=RunStatus.SUCCEEDED))
    kept = [int(one.id[:4]) for one in store.runs(app_id=SHOP.id, limit=0)]
    assert kept == [*reversed(range(20, KEPT_JOBS + 20)), 1, 0], "none that goes on is forgotten, none of people"
    assert len(store.runs(app_id=BLOG.id)) == 1


def test_a_firing_is_decided_with_its_run_or_not_at_all(store: Store) -> None:
    store.add_run(run(1), MARK)
    assert store.marks() == store.marks(SHOP.id) == (MARK,)
    with pytest.raises(Conflict):
        store.add_run(run(1), replace(MARK, seen_at=99.0))
    assert store.marks() == (MARK,)


def test_marks_are_replaced_removed_and_go_with_their_app(store: Store) -> None:
    store.put_mark(MARK)
    store.put_mark(replace(MARK, seen_at=8.0))
    store.put_mark(replace(MARK, app_id=BLOG.id))
    assert [mark.seen_at for mark in store.marks()] == [8.0, 5.5]
    store.delete_mark(BLOG.id, "tidy")
    store.delete_mark(BLOG.id, "tidy")
    store.add_run(run(1))
    store.delete_app(SHOP.id)
    assert (store.marks(), store.runs()) == ((), ())
    with pytest.raises(NotFound):
        store.put_mark(MARK)


def test_jobs_travel_with_their_release(store: Store) -> None:
    job = CronJob(
        name="tidy", schedule="0 * * * *", process="web", zone="Europe/Berlin", overlap=Overlap.QUEUE,
        missed=Missed.RUN, time_limit=5.0, retries=1, env={"A": "b"}, memory=1 << 20, cpus=0.5,
    )  # fmt: skip
    made = Release(
        app_id=SHOP.id, number=0, kind=ReleaseKind.DEPLOY, created_at=1.0, actor="ann", description="", cron=(job,)
    )
    assert store.release(SHOP.id, store.add_release(made).number).cron == (job,)
