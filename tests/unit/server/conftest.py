"""One server with stubs a module."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.server.stub import Running, running


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A short path: a unix socket's has a limit."""
    with tempfile.TemporaryDirectory(prefix="paas-t-") as name:
        yield Path(name)


@pytest.fixture
def server() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="paas-t-") as name, running(Path(name)) as found:
        yield found
