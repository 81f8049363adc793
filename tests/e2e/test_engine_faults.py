"""The Engine stops, comes back, or runs out of disk: running apps and data stay, and the message says what is wrong."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.e2e.platform import Platform, eventually
from tests.e2e.private_engine import PrivateEngine
from tests.e2e.samples import write

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def engine(bases: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateEngine]:
    engine = PrivateEngine(tmp_path_factory.mktemp("engine"), f"paas{random.randrange(16**5):05x}", megabytes=3000)
    try:
        engine.start()
        engine.load("paas-base/python:3.13", "paas-base/python-build:3.13")
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="module")
def alone(engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform on the private Engine with one app, `steady`, at version one."""
    folder = tmp_path_factory.mktemp("alone")
    platform = Platform(folder, enter=tuple(engine.enter), engine=engine.address)
    try:
        platform.ok("up")
        platform.ok("deploy", write(folder / "app", "one"), "-a", "steady")
        yield platform
    finally:
        platform.close()


def body(engine: PrivateEngine, platform: Platform) -> str:
    return engine.http("steady.localhost", platform.port)


def test_an_engine_that_is_down_is_named_and_after_its_return_apps_serve_without_a_command(
    engine: PrivateEngine, alone: Platform
) -> None:
    assert body(engine, alone) == "one"
    engine.stop()
    said = alone.fails(9, "deploy", write(alone.folder / "app", "two"), "-a", "steady")
    assert "Engine" in said
    assert "hint:" in said
    engine.start()
    eventually(lambda: body(engine, alone) == "one", seconds=60, what="the app's return")
    assert [release["status"] for release in alone.json("releases", "-a", "steady")] == ["succeeded"]


def test_an_engine_that_stops_during_a_deploy_leaves_the_old_version_wanted(
    engine: PrivateEngine, alone: Platform
) -> None:
    deploy = alone.start("deploy", write(alone.folder / "app", "three", boot=8), "-a", "steady")
    eventually(lambda: "v2" in engine.docker("ps", "--format", "{{.Names}}"), what="the new replica")
    engine.stop()
    out, _ = deploy.communicate(timeout=120)
    assert deploy.returncode in (8, 9), out
    assert "Traceback" not in out, out
    engine.start()
    eventually(lambda: body(engine, alone) in ("one", "three"), seconds=90, what="one of the versions")
    alone.ok("deploy", write(alone.folder / "app", "four"), "-a", "steady")
    assert body(engine, alone) == "four"
    eventually(lambda: len(alone.containers("label=paas.kind=replica")) == 1, what="an end of all but one replica")


def test_a_full_disk_refuses_the_build_by_name_and_the_old_version_serves(
    engine: PrivateEngine, alone: Platform
) -> None:
    before = body(engine, alone)
    filler = engine.data / "filler"
    disk = os.statvfs(engine.data)
    free = disk.f_bavail * disk.f_frsize
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free - (40 << 20)))
    try:
        said = alone.fails(9, "deploy", write(alone.folder / "app", "five"), "-a", "steady")
        assert "disk" in said.lower() or "space" in said.lower(), said
        assert "prune" in said, said
        assert body(engine, alone) == before
    finally:
        filler.unlink()
    alone.ok("deploy", write(alone.folder / "app", "six"), "-a", "steady")
    assert body(engine, alone) == "six"
