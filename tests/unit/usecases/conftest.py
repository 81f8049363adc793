"""The platform of memory parts that these tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from paas.store.sql import SqlStore
from tests.unit.usecases.parts import Parts, parts


@pytest.fixture
def platform(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Parts]:
    """A fresh platform. Of a module with `ON_DISK` its store is the one on disk: what looks again and again looks by
    that one's revision."""
    store = SqlStore.open(tmp_path) if getattr(request.module, "ON_DISK", False) else None
    yield parts(tmp_path, store)
    if store:
        store.close()
