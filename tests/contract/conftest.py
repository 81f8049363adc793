"""Fixtures of the suites that run on the real Engine alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract import router_lab
from tests.contract.engine_lab import DockerLab, docker_lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[DockerLab]:
    with docker_lab(tmp_path) as lab:
        yield lab


@pytest.fixture(scope="module")
def traefik(tmp_path_factory: pytest.TempPathFactory) -> Iterator[router_lab.Lab]:
    with router_lab.lab(tmp_path_factory.mktemp("traefik")) as made:
        yield made
