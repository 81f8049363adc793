"""One platform for the tests of a module, on the machine's one Engine; base images are made once for all."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.platform import Platform


@pytest.fixture(scope="session")
def bases() -> None:
    """The base images most tests stand on, made by one process while the others wait."""
    with (Path(tempfile.gettempdir()) / "paas-test-bases.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        from paas.images import DockerBuilder
        from paas.model.build import Runtime
        from paas.model.events import silent
        from paas.settings import load
        from paas.stacks import DebianStack

        settings = load()
        stack = DebianStack(settings, DockerBuilder(settings))
        for name in ("python", "postgres", "redis"):
            stack.prepare(stack.answer(Runtime(name)), silent)


@pytest.fixture(scope="module")
def platform(bases: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A running platform, taken away with all it made."""
    platform = Platform(tmp_path_factory.mktemp("platform"))
    try:
        platform.ok("up")
        yield platform
    finally:
        platform.close()
