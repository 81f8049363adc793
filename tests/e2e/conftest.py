"""One platform for the tests of a module, on the machine's one Engine; base images are made once for all."""

from __future__ import annotations

import fcntl
import getpass
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from paas.model.app import Addon, App
from tests.e2e.addon_lab import Lab
from tests.e2e.git_lab import Work
from tests.e2e.platform import Platform
from tests.e2e.sshd import Sshd, sshd


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
def environ() -> dict[str, str]:
    """What else the module's platform is told; a module that wants something has a fixture of that name."""
    return {}


@pytest.fixture(scope="module")
def platform(bases: None, tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> Iterator[Platform]:
    """A running platform, taken away with all it made."""
    platform = Platform(tmp_path_factory.mktemp("platform"))
    platform.environ |= environ
    try:
        platform.ok("up")
        yield platform
    finally:
        platform.close()


@pytest.fixture(scope="module")
def server(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, Sshd]]:
    """The platform and a sshd that reads its keys, of which there is one, alice's. The module's `environ` says with
    PAAS_SSH_KEYS where they are."""
    keys = Path(platform.environ["PAAS_SSH_KEYS"])
    with sshd(tmp_path_factory.mktemp("ssh") / "sshd", keys, getpass.getuser()) as found:
        platform.ok("keys", "add", "alice", text=found.public("alice"))
        yield platform, found


@pytest.fixture
def work(platform: Platform, tmp_path: Path, request: pytest.FixtureRequest) -> Work:
    """A clone for an app of the test's own, with one commit."""
    work = Work(platform, tmp_path / "work", f"g{abs(hash(request.node.name)) % 16**8:x}")
    work.commit("first")
    return work


@pytest.fixture
def pushed(work: Work) -> Work:
    """The same, pushed once."""
    work.git("push", "paas", "main")
    assert work.serves() == "first"
    return work


@pytest.fixture(scope="module")
def lab(bases: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The parts that addons need, without a server."""
    made = Lab(tmp_path_factory.mktemp("addons"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def shop(lab: Lab) -> App:
    """An app that was never deployed."""
    return lab.app("shop")


@pytest.fixture(scope="module")
def database(lab: Lab, shop: App) -> Addon:
    """The shop's database; tests that use it leave it working."""
    return lab.create(app="shop")
