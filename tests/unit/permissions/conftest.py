from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.permissions.world import World, world


@pytest.fixture
def server() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="paas-t-") as name, world(Path(name), acting=True) as found:
        yield found
