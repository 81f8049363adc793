"""Schedules and runs on a platform in memory, second by second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from paas.engines.memory import Behaviour
from paas.errors import Conflict, DeployFailed, NotFound
from paas.model.app import App, ReleaseKind
from paas.model.cron import CronJob, Missed, Overlap
from paas.model.events import silent
from paas.model.runs import Run, RunStatus
from paas.requests.cron import ListCron, PauseCron, ResumeCron, RunCron, ShowCron
from paas.requests.runs import ListRuns, ReadRunLogs, ShowRun, StartRun, StopRun
from paas.requests.sessions import RunCommand
from paas.usecases import cron, runs
from paas.usecases.context import Act
from paas.usecases.releases import change_release
from paas.usecases.runs import MOST_AT_ONCE, MOST_OF_ONE
from paas.usecases.scheduler import MOST_JOBS, Scheduler
from paas.usecases.sessions import run_command
from tests.unit.usecases.parts import GOOD, Parts, Screen

ON_DISK = True

TIDY = CronJob(name="tidy", schedule="*/10 * * * *", command="make tidy", time_limit=300)
START = 1_800_000_000.0
"""A whole ten minutes, where the clock of the parts begins."""


def deployed(platform: Parts, *jobs: CronJob, lasts: float | None = 5.0, once: int = 0) -> App:
    """The app with these jobs, whose runs last so long."""
    app = next((one for one in platform.store.apps() if one.name == "shop"), None) or platform.app(web=0)
    if not platform.store.app(app.id).wanted:
        platform.release(app)
    platform.engine.behaviours[GOOD] = Behaviour(lasts=lasts, once=once, says=("one", "two"))
    change_release(
        platform.context, app, platform.act, kind=ReleaseKind.DEPLOY, description="jobs",
        change=lambda base: replace(base, cron=jobs),
    )  # fmt: skip
    return app


def passes(platform: Parts, scheduler: Scheduler, seconds: float, *, every: float = 1.0) -> None:
    """Let the time pass, with a look at every app now and then."""
    for _ in range(int(seconds / every)):
        platform.clock.sleep(every)
        for app in platform.store.apps():
            scheduler.look(app)


def history(platform: Parts, job: str = "tidy") -> list[tuple[str, float]]:
    """Status and due time after START, oldest first."""
    found = platform.store.runs(job=job, limit=0)
    return [(run.status.value, run.due_at - START) for run in reversed(found)]


@pytest.fixture
def scheduler(platform: Parts) -> Scheduler:
    return Scheduler(platform.context)


def test_a_job_runs_when_it_is_due_and_its_end_and_output_are_kept(platform: Parts, scheduler: Scheduler) -> None:
    app = deployed(platform, TIDY)
    passes(platform, scheduler, 1210, every=5)
    assert history(platform) == [("succeeded", 600.0), ("succeeded", 1200.0)]
    (last, *_) = runs.list_runs(platform.context, ListRuns(app="shop"), platform.act)
    assert (last.actor, last.exit_code, last.command, last.seconds) == ("cron", 0, "make tidy", 5.0)
    said = runs.read_run_logs(platform.context, ReadRunLogs(app="shop", run=last.id), platform.act)
    assert [line.text for line in said] == ["one", "two"]
    assert platform.engine.runs() == ()
    assert platform.running(app) == {}


def test_a_job_that_goes_on_is_not_begun_again(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, replace(TIDY, time_limit=3600), lasts=650.0)
    passes(platform, scheduler, 1250, every=5)
    assert history(platform) == [("succeeded", 600.0), ("skipped", 1200.0)]
    assert [event.kind for _, event in platform.store.events() if event.kind.startswith("cron")] == ["cron.skipped"]


def test_a_queued_firing_follows_the_run_before(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, replace(TIDY, overlap=Overlap.QUEUE, time_limit=3600), lasts=650.0)
    passes(platform, scheduler, 1240, every=5)
    assert history(platform) == [("running", 600.0), ("queued", 1200.0)]
    passes(platform, scheduler, 20, every=5)
    assert history(platform) == [("succeeded", 600.0), ("running", 1200.0)]


def test_a_run_that_waits_begins_as_the_release_of_then_says(platform: Parts, scheduler: Scheduler) -> None:
    job = replace(TIDY, overlap=Overlap.QUEUE, time_limit=3600)
    deployed(platform, job, lasts=650.0)
    passes(platform, scheduler, 1210, every=5)
    deployed(platform, replace(job, command="make neat", memory=64 << 20, time_limit=60), lasts=650.0)
    passes(platform, scheduler, 50, every=5)
    (run, *_) = platform.store.runs(job="tidy")
    assert (run.status, run.release, run.command) == (RunStatus.RUNNING, platform.store.app("shop").wanted, "make neat")
    assert (run.memory, run.time_limit) == (64 << 20, 60)


def test_a_replaced_run_ends_before_the_next_begins(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, replace(TIDY, overlap=Overlap.REPLACE, time_limit=3600), lasts=None)
    passes(platform, scheduler, 1200, every=5)
    eventually(platform, scheduler, lambda: history(platform) == [("stopped", 600.0), ("running", 1200.0)])
    assert platform.store.runs(job="tidy")[1].reason == "replaced by its next run"


def test_a_run_over_its_time_limit_is_ended_and_told(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, TIDY, lasts=None)
    passes(platform, scheduler, 905, every=5)
    eventually(platform, scheduler, lambda: history(platform) == [("timed-out", 600.0)])
    run = platform.store.runs(job="tidy")[0]
    assert (run.exit_code, run.reason) == (143, "its time limit of 300 s was over")
    assert platform.store.events()[-1][1].kind == "cron.failed"


def test_a_failed_run_is_told_and_tried_again_only_where_that_is_asked(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, TIDY, replace(TIDY, name="again", retries=1), once=4)
    passes(platform, scheduler, 700, every=5)
    assert history(platform) == [("failed", 600.0)]
    assert [status for status, _ in history(platform, "again")] == ["failed", "failed"]
    assert [run.attempt for run in platform.store.runs(job="again")] == [2, 1]
    told = [event for _, event in platform.store.events() if event.kind == "cron.failed"]
    assert len(told) == 3
    assert "tidy failed: it exited with code 4" in [event.message for event in told]


def test_a_retry_gives_way_to_a_firing_that_waits_already(platform: Parts, scheduler: Scheduler) -> None:
    job = replace(TIDY, overlap=Overlap.QUEUE, retries=3, time_limit=3600)
    deployed(platform, job, lasts=650.0, once=4)
    passes(platform, scheduler, 1270, every=5)
    assert history(platform) == [("failed", 600.0), ("running", 1200.0)]


def test_a_firing_that_waits_is_not_begun_once_its_job_is_paused(platform: Parts, scheduler: Scheduler) -> None:
    job = replace(TIDY, overlap=Overlap.QUEUE, retries=3, time_limit=3600)
    deployed(platform, job, lasts=650.0)
    passes(platform, scheduler, 1240, every=5)
    pause(platform, "tidy")
    passes(platform, scheduler, 30, every=5)
    assert history(platform) == [("succeeded", 600.0), ("skipped", 1200.0)]
    assert platform.store.runs(job="tidy")[0].reason == "paused by ann"


def test_a_retry_that_waits_is_not_begun_once_its_job_is_paused(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, replace(TIDY, retries=3), once=4)
    passes(platform, scheduler, 610, every=5)
    assert history(platform)[0] == ("failed", 600.0)
    pause(platform, "tidy")
    passes(platform, scheduler, 300, every=5)
    assert [run.status.value for run in platform.store.runs(job="tidy")] == ["skipped", "failed"]


def test_a_paused_job_is_run_by_hand_and_not_tried_again(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, replace(TIDY, retries=3), once=4)
    passes(platform, scheduler, 1)
    pause(platform, "tidy")
    cron.run_cron(platform.context, RunCron(app="shop", job="tidy"), platform.act)
    passes(platform, scheduler, 300, every=5)
    assert [run.status.value for run in platform.store.runs(job="tidy")] == ["failed"]


def test_a_run_that_ran_out_of_memory_says_so(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, replace(TIDY, memory=64 << 20), lasts=None)
    passes(platform, scheduler, 600, every=5)
    platform.engine.finish_run(platform.store.runs(job="tidy")[0].id, 137, oom=True)
    passes(platform, scheduler, 1)
    assert platform.store.runs(job="tidy")[0].reason == "it was killed over its memory limit of 64 MiB"


def test_what_is_missed_while_no_server_runs_is_noted_or_made_up_for(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, TIDY, replace(TIDY, name="must", missed=Missed.RUN))
    passes(platform, scheduler, 1)
    platform.clock.sleep(4000)
    again = Scheduler(platform.context)
    again.open()
    passes(platform, again, 10)
    assert history(platform) == [("skipped", 3600.0)]
    assert history(platform, "must") == [("succeeded", 3600.0)]
    assert "missed 6 times" in platform.store.runs(job="tidy")[0].reason


def test_a_run_goes_on_under_the_next_server_and_is_not_begun_twice(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, TIDY, lasts=20)
    passes(platform, scheduler, 601)
    again = Scheduler(platform.context)
    again.open()
    passes(platform, again, 30)
    assert history(platform) == [("succeeded", 600.0)]
    assert platform.engine.calls.count("begin run") == 1


def test_a_run_whose_container_is_gone_was_interrupted(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, replace(TIDY, retries=3), lasts=None)
    passes(platform, scheduler, 601)
    platform.engine.remove_run(platform.store.runs(job="tidy")[0].id)
    passes(platform, scheduler, 300, every=5)
    assert history(platform) == [("interrupted", 600.0)]
    assert platform.engine.calls.count("begin run") == 1


def test_a_server_killed_between_the_note_and_the_start_never_starts_it_later(
    platform: Parts, scheduler: Scheduler
) -> None:
    app = deployed(platform, TIDY)
    passes(platform, scheduler, 1)
    noted = Run(id="ab" * 5, app_id=app.id, job="tidy", command="x", actor="cron", due_at=START)
    platform.store.add_run(noted)
    waited = replace(noted, id="cd" * 5, status=RunStatus.QUEUED)
    platform.store.add_run(waited)
    platform.clock.sleep(100)
    again = Scheduler(platform.context)
    again.open()
    passes(platform, again, 5)
    assert [run.status for run in platform.store.runs()] == [RunStatus.INTERRUPTED] * 2
    assert "begin run" not in platform.engine.calls


def test_a_command_in_a_terminal_that_is_gone_with_its_server_was_interrupted(platform: Parts) -> None:
    app = deployed(platform)
    run = Run(id="ab" * 5, app_id=app.id, command="x", actor="ann", due_at=1.0, detached=False)
    platform.store.add_run(run)
    Scheduler(platform.context).open()
    assert platform.store.run(app.id, run.id).status is RunStatus.INTERRUPTED


def test_no_more_jobs_than_may_go_on_at_once_and_the_others_follow(platform: Parts, scheduler: Scheduler) -> None:
    jobs = tuple(replace(TIDY, name=f"job-{number}") for number in range(MOST_JOBS + 3))
    deployed(platform, *jobs, lasts=30.0)
    passes(platform, scheduler, 602)
    going = [run.status.value for run in platform.store.runs(limit=0)]
    assert (going.count("running"), going.count("queued")) == (MOST_JOBS, 3)
    passes(platform, scheduler, 65)
    assert {run.status.value for run in platform.store.runs(limit=0)} == {"succeeded"}


def test_a_rollback_brings_the_jobs_of_then_back_and_makes_up_for_nothing(
    platform: Parts, scheduler: Scheduler
) -> None:
    app = deployed(platform, TIDY)
    passes(platform, scheduler, 1)
    deployed(platform)
    passes(platform, scheduler, 6000, every=60)
    assert platform.store.marks() == ()
    deployed(platform, TIDY)
    passes(platform, scheduler, 60, every=5)
    assert history(platform) == []
    assert [job.name for job in cron.list_cron(platform.context, ListCron(app=app.name), platform.act)] == ["tidy"]


def test_a_paused_job_does_not_fire_until_it_is_resumed(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, TIDY)
    passes(platform, scheduler, 1)
    shown = cron.pause_cron(platform.context, PauseCron(app="shop", job="tidy"), platform.act)
    assert (shown.paused_by, shown.next) == ("ann", ())
    passes(platform, scheduler, 1300, every=10)
    assert history(platform) == []
    shown = cron.resume_cron(platform.context, ResumeCron(app="shop", job="tidy"), platform.act)
    assert [at - START for at in shown.next][:2] == [1800.0, 2400.0]
    passes(platform, scheduler, 600, every=5)
    assert history(platform) == [("succeeded", 1800.0)]


def test_a_job_is_run_now_once_at_a_time(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, TIDY, lasts=None)
    asked = RunCron(app="shop", job="tidy")
    run = cron.run_cron(platform.context, asked, platform.act)
    assert (run.actor, run.status) == ("ann", "queued")
    with pytest.raises(Conflict):
        cron.run_cron(platform.context, asked, platform.act)
    passes(platform, scheduler, 1)
    assert platform.store.runs()[0].status is RunStatus.RUNNING


def test_an_unknown_job_is_not_found_with_those_there_are(platform: Parts) -> None:
    deployed(platform, TIDY)
    with pytest.raises(NotFound) as caught:
        cron.show_cron(platform.context, ShowCron(app="shop", job="nope"), platform.act)
    assert caught.value.hint == "it has: tidy"


def test_steps_look_at_what_is_due_and_at_nothing_else(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, TIDY)
    for number in range(700):
        scheduler.step()
        platform.clock.sleep(1)
        settled(scheduler)
        if number == 300:
            assert platform.engine.calls.count("begin run") == 0
    assert history(platform) == [("succeeded", 600.0)]


def test_a_detached_command_belongs_to_the_server(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, lasts=10)
    request = StartRun(app="shop", command=("make", "it so"), env={"KEY": "hidden"}, memory="64M", time_limit=60)
    run = runs.start_run(platform.context, request, platform.act)
    assert (run.status, run.command, run.memory) == ("running", "make 'it so'", 64 << 20)
    assert "hidden" not in repr(platform.store.runs())
    passes(platform, scheduler, 12)
    shown = runs.show_run(platform.context, ShowRun(app="shop", run=run.id[:5]), platform.act)
    assert (shown.status, shown.exit_code, shown.actor) == ("succeeded", 0, "ann")


def test_a_detached_command_is_stopped_by_whoever_asks(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, lasts=None)
    run = runs.start_run(platform.context, StartRun(app="shop", command=("x",)), platform.act)
    runs.stop_run(platform.context, StopRun(app="shop", run=run.id), platform.act)
    eventually(platform, scheduler, lambda: platform.store.runs()[0].status is RunStatus.STOPPED)
    assert platform.store.runs()[0].reason == "stopped by ann"
    with pytest.raises(Conflict, match="has ended"):
        runs.stop_run(platform.context, StopRun(app="shop", run=run.id), platform.act)


def test_no_more_commands_of_an_app_go_on_at_once_than_may(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, lasts=10)
    request = StartRun(app="shop", command=("x",))
    for number in range(MOST_AT_ONCE):
        runs.start_run(platform.context, request, Act(f"user-{number}", silent))
    with pytest.raises(Conflict, match="20 commands of shop go on already"):
        runs.start_run(platform.context, request, platform.act)
    assert platform.engine.calls.count("begin run") == MOST_AT_ONCE == len(platform.store.runs(limit=0))
    passes(platform, scheduler, 12)
    runs.start_run(platform.context, request, platform.act)


def test_nobody_has_more_commands_going_on_than_may_whatever_the_apps(platform: Parts, scheduler: Scheduler) -> None:
    deployed(platform, lasts=10)
    names = ("shop", "kiosk", "stall")
    for number, name in enumerate(names[1:]):
        platform.release(platform.app(name, f"0000000{number}", web=0))
    allowed = [name for name in names for _ in range(MOST_AT_ONCE)][:MOST_OF_ONE]
    for name in allowed:
        runs.start_run(platform.context, StartRun(app=name, command=("x",)), platform.act)
    request = StartRun(app="stall", command=("x",))
    with pytest.raises(Conflict, match="40 commands that ann started go on already"):
        runs.start_run(platform.context, request, platform.act)
    runs.start_run(platform.context, request, Act("bob", silent))
    passes(platform, scheduler, 12)
    runs.start_run(platform.context, request, platform.act)


def test_a_command_that_cannot_start_is_history_too(platform: Parts) -> None:
    deployed(platform)

    def refuse(spec: object) -> None:
        raise DeployFailed("nope: command not found")

    platform.engine.begin_run = refuse  # type: ignore[method-assign]
    with pytest.raises(DeployFailed):
        runs.start_run(platform.context, StartRun(app="shop", command=("nope",)), platform.act)
    assert platform.store.runs()[0].reason == "did not start: nope: command not found"


def test_what_people_run_in_their_terminals_is_history_too(platform: Parts) -> None:
    deployed(platform, once=7)
    assert run_command(platform.context, RunCommand(app="shop", command=("make", "x")), platform.act, Screen()) == 7
    run = platform.store.runs()[0]
    assert (run.command, run.actor, run.exit_code, run.status, run.detached) == (
        "make x", "ann", 7, RunStatus.FAILED, False,
    )  # fmt: skip
    with pytest.raises(Conflict, match="terminal"):
        runs.read_run_logs(platform.context, ReadRunLogs(app="shop", run=run.id), platform.act)


def test_a_destroyed_app_ends_its_jobs_and_leaves_no_output(platform: Parts, scheduler: Scheduler) -> None:
    app = deployed(platform, TIDY, lasts=5)
    passes(platform, scheduler, 610, every=5)
    folder = platform.context.settings.home / "runs" / app.id
    assert folder.is_dir()
    platform.engine.forget(app.id)
    platform.store.delete_app(app.id)
    scheduler.tidy()
    assert not folder.exists()


def pause(platform: Parts, job: str) -> None:
    cron.pause_cron(platform.context, PauseCron(app="shop", job=job), platform.act)


def settled(scheduler: Scheduler) -> None:
    """Wait for the threads of a step."""
    for thread in threading.enumerate():
        if thread.name.startswith("cron-"):
            thread.join(10)


def eventually(platform: Parts, scheduler: Scheduler, done: Callable[[], bool]) -> None:
    """Containers are stopped in threads of their own."""
    for _ in range(400):
        passes(platform, scheduler, 1)
        if done():
            return
        threading.Event().wait(0.005)
    raise AssertionError(history(platform))
