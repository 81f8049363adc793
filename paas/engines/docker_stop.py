"""Stopping a container, with one stop signal and no second one.

Whoever sends it writes so on the container's name. A server that is killed while it waits leaves a container that
finishes what it has; its successor waits on, for to many workers a second stop signal means to drop the job.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress

import docker.errors
import requests
from docker import APIClient

from paas.engines.docker_client import said
from paas.engines.docker_observe import seconds, unix
from paas.engines.docker_spec import signalled, stopping_name

LOG = logging.getLogger(__name__)


def stop(api: APIClient, id: str, grace: float, words: str) -> None:
    """Have it end: a stop signal, `grace` seconds, and SIGKILL. One that had the signal gets what is left of them.
    Nothing happens where it has gone, or is being removed. `words` are what the log calls it. Raises APIError."""
    began = time.monotonic()
    with suppress(docker.errors.NotFound):
        found = api.inspect_container(id)
        name, state = str(found.get("Name") or "").lstrip("/"), found.get("State") or {}
        if not state.get("Running"):
            return
        if at := signalled(name, unix(state.get("StartedAt"))):
            _outlast(api, id, at + math.ceil(grace) - time.time())
        else:
            _signal(api, id, grace, name)
    if time.monotonic() - began >= math.ceil(grace) > 0:
        LOG.warning("%s did not end within %s of its stop signal and was killed", words, seconds(grace))


def _signal(api: APIClient, id: str, grace: float, name: str) -> None:
    marked = _rename(api, id, stopping_name(name, time.time()))
    try:
        api.stop(id, timeout=math.ceil(grace))
    except docker.errors.APIError as error:
        if "removal" in said(error):
            return
        if marked:
            _rename(api, id, name)
        raise


def _rename(api: APIClient, id: str, name: str) -> bool:
    """What cannot be written down is done all the same."""
    try:
        api.rename(id, name)
    except docker.errors.APIError as error:
        LOG.debug("%s cannot be renamed: %s", id[:12], said(error))
        return False
    return True


def _outlast(api: APIClient, id: str, left: float) -> None:
    """Until it has ended, or so many seconds are over and it is killed."""
    if left > 0:
        with suppress(requests.Timeout, requests.ConnectionError):
            api.wait(id, timeout=math.ceil(left))
            return
    with suppress(docker.errors.APIError):  # it has just ended
        api.kill(id)
