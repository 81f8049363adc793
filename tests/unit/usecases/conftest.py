"""The platform of memory parts that these tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.usecases.parts import Parts, parts


@pytest.fixture
def platform(tmp_path: Path) -> Parts:
    """A fresh platform."""
    return parts(tmp_path)
