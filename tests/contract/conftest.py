"""What the suites run against: every store, every engine; and the real ones, for what only they do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from paas.interfaces import Store
from paas.store.memory import MemoryStore
from paas.store.sql import SqlStore
from tests.contract import router_lab
from tests.contract.engine_lab import DockerLab, Lab, MemoryLab, docker_lab

ENGINES = ["memory", pytest.param("docker", marks=pytest.mark.docker)]


@pytest.fixture(params=["memory", "disk"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    made = MemoryStore() if request.param == "memory" else SqlStore.open(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=ENGINES)
def any_lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """An engine without containers."""
    if request.param == "memory":
        yield MemoryLab()
        return
    with docker_lab(tmp_path) as made:
        yield made


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[DockerLab]:
    with docker_lab(tmp_path) as lab:
        yield lab


@pytest.fixture(scope="module")
def traefik(tmp_path_factory: pytest.TempPathFactory) -> Iterator[router_lab.Lab]:
    with router_lab.lab(tmp_path_factory.mktemp("traefik")) as made:
        yield made
