"""Stopping a container, with one stop signal and no second one.

Whoever has sent it writes so on the container's name. A server that is killed while it waits leaves a container that
finishes what it has; its successor waits on, for to many workers a second stop signal means to drop the job.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import docker.errors
import requests
from docker import APIClient

from paas.engines.docker_client import said
from paas.engines.docker_observe import seconds, unix
from paas.engines.docker_spec import plain_name, signalled, stopping_name

LOG = logging.getLogger(__name__)

SIGTERM = "SIGTERM"


def stop(api: APIClient, id: str, grace: float, words: str) -> None:
    """Have it end: its stop signal, `grace` seconds, and SIGKILL. One that had the signal gets what is left of them.
    Nothing happens where it has gone, or does not run. `words` are what the log calls it. Raises APIError, and
    ConnectionError when the Engine goes away meanwhile."""
    longest = math.ceil(grace)
    with suppress(docker.errors.NotFound):
        found = api.inspect_container(id)
        state = found.get("State") or {}
        if state.get("Restarting") or state.get("Paused"):
            _by_engine(api, id, longest)  # there is no process that could work on
        elif state.get("Running"):
            at = signalled(_name(found), unix(state.get("StartedAt"))) or _signal(api, found)
            if at and not _outlasts(api, id, min(longest, at + longest - time.time())):
                LOG.warning("%s did not end within %s of its stop signal and was killed", words, seconds(grace))


def unmark(api: APIClient, id: str) -> None:
    """Before it is started again: nobody has told this run to stop. Raises NotFound."""
    name = _name(api.inspect_container(id))
    if plain_name(name) != name:
        _rename(api, id, plain_name(name))


def _signal(api: APIClient, found: Mapping[str, Any]) -> float:
    """When it was sent, Unix seconds; 0: it had ended already."""
    id, signal = str(found["Id"]), str((found.get("Config") or {}).get("StopSignal") or SIGTERM)
    try:
        api.kill(id, signal)
    except docker.errors.APIError as error:
        if error.status_code == 409:  # it is not running any more, or is being removed
            return 0.0
        raise
    at = time.time()
    _rename(api, id, stopping_name(_name(found), at))
    return at


def _rename(api: APIClient, id: str, name: str) -> None:
    """What cannot be written down is done all the same."""
    try:
        api.rename(id, name)
    except docker.errors.APIError as error:
        LOG.debug("%s cannot be renamed: %s", id[:12], said(error))


def _outlasts(api: APIClient, id: str, left: float) -> bool:
    """Whether it has ended by itself within so many seconds; else it is killed."""
    deadline = time.monotonic() + left
    if left > 0:
        try:
            api.wait(id, timeout=math.ceil(left))
        except (requests.Timeout, requests.ConnectionError):
            if time.monotonic() < deadline - 1:
                raise  # that was not the time, but the Engine
        else:
            return True
    try:
        api.kill(id)
    except docker.errors.APIError as error:
        if error.status_code != 409:
            raise
        return True  # just now
    return False


def _by_engine(api: APIClient, id: str, longest: int) -> None:
    try:
        api.stop(id, timeout=longest)
    except docker.errors.APIError as error:
        if "removal" not in said(error):
            raise


def _name(inspected: Mapping[str, Any]) -> str:
    return str(inspected.get("Name") or "").lstrip("/")
