"""Scheduled jobs."""

from __future__ import annotations

from paas.requests.base import Name, Request


class ListCron(Request):
    """The app's scheduled jobs: when each runs next, and how it went last."""

    path = "/apps/{app}/cron"
    app: Name


class ShowCron(Request):
    """One job in full, with its next firings."""

    path = "/apps/{app}/cron/{job}"
    app: Name
    job: Name


class RunCron(Request):
    """Run a job now, whatever its schedule; answers the run at once."""

    method, path, permission = "POST", "/apps/{app}/cron/{job}/run", "operator"
    app: Name
    job: Name


class PauseCron(Request):
    """Let a job not fire until it is resumed; a run that goes on is left alone."""

    method, path, permission = "POST", "/apps/{app}/cron/{job}/pause", "operator"
    app: Name
    job: Name


class ResumeCron(Request):
    """Let a job fire again from now on."""

    method, path, permission = "POST", "/apps/{app}/cron/{job}/resume", "operator"
    app: Name
    job: Name
