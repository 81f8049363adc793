"""Deploy hooks with real operations and real git."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from paas.errors import Denied
from paas.model.app import App
from paas.model.events import silent
from paas.model.people import Actor, owner
from paas.requests.deploys import DeployApp, SourceRef
from paas.usecases.door import Door
from paas.usecases.hook_receiver import Dispatcher, Received
from paas.usecases.operations import Operations
from tests.git_server import GitServer, git_server
from tests.unit.sources.test_clone import git
from tests.unit.usecases.deploy_hooks.lab import added
from tests.unit.usecases.parts import Parts, parts
from tests.unit.webhooks.say import push


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[GitServer, Path]]:
    folder = tmp_path / "served" / "team" / "shop"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / "Procfile").write_text("web: python app.py\n")
    (folder / "requirements.txt").write_text("")
    (folder / "app.py").write_text("print(1)\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "First")
    with git_server(tmp_path / "served") as server:
        yield server, folder


def test_only_the_owner_at_the_socket_deploys_from_any_address(tmp_path: Path, served: tuple[GitServer, Path]) -> None:
    platform = parts(tmp_path / "strict")
    request = DeployApp(app="shop", source=SourceRef(git=served[0].url("team/shop")))
    door = Door.of(platform.context)
    for who in (owner("token", "token"), Actor(name="webhook x"), "server"):
        with pytest.raises(Denied, match="does not connect"):
            door.run(request, who, silent)
    assert served[0].asked == []
    door.run(request, owner("ann", "socket"), silent)
    assert platform.store.app("shop").wanted == 1


def test_what_was_pushed_becomes_an_operation_of_the_webhook(
    platform: Parts, served: tuple[GitServer, Path], send: Callable[..., Received]
) -> None:
    server, folder = served
    hook = added(platform, url=server.url("team/shop"))
    send(hook, push(after=git(folder, "rev-parse", "HEAD")))
    operations = Operations(Door.of(platform.context))
    Dispatcher(platform.context, operations.start).step()
    assert operations.wait(60)
    (operation,) = platform.store.operations()
    assert (operation.status, operation.actor, operation.error) == ("succeeded", "webhook github", "")
    release = platform.store.releases(App(id="a1b2c3d4", name="", created_at=0).id)[0]
    assert release.source is not None
    assert release.source.version == git(folder, "rev-parse", "HEAD")
    assert "s3cret" not in json.dumps([str(event) for event in platform.store.events()])
