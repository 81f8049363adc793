"""A hand-made context for addon tests: the real Engine and PostgreSQL image, a store on disk, a router in memory."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import docker
import docker.errors

from paas.clock import SystemClock
from paas.engines.docker import DockerEngine
from paas.images import DockerBuilder
from paas.model.app import Addon, App
from paas.model.events import Event
from paas.model.service import State
from paas.requests.addons import BackupAddon, CreateAddon, RestoreAddon
from paas.requests.sessions import AddonShell
from paas.routers.memory import MemoryRouter
from paas.settings import Settings, load
from paas.stacks import DebianStack
from paas.store.sql import SqlStore
from paas.usecases import addon_service, addons, backups, uploads
from paas.usecases.context import Act, Context, Locks
from paas.usecases.pipes import Pipe


@dataclass
class Lab:
    """One platform's parts under an instance of their own. Close it: it leaves nothing on the Engine."""

    home: Path
    instance: str = field(default_factory=lambda: f"t{random.randrange(16**6):06x}")
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        octets = f"10.{random.randrange(100, 200)}.{random.randrange(256)}"
        settings: Settings = load({}, home=self.home, instance=self.instance, subnets=f"{octets}.0/24", stack="debian")
        clock = SystemClock()
        builder = DockerBuilder(settings)
        self.engine = DockerEngine(settings)
        self.store = SqlStore.open(self.home)
        self.context = Context(
            settings=settings, store=self.store, engine=self.engine, builder=builder,
            stack=DebianStack(settings, builder), router=MemoryRouter(), clock=clock, locks=Locks(clock),
        )  # fmt: skip
        self.act = Act("ann", self.events.append)
        self.api = docker.from_env()

    def app(self, name: str) -> App:
        """A new app, never deployed."""
        app = App(id=f"{random.randrange(16**8):08x}", name=name, created_at=0.0)
        self.store.add_app(app)
        return app

    def create(self, kind: str = "postgres", **asked: str) -> Addon:
        """A new one."""
        made = addons.create_addon(self.context, CreateAddon(kind=kind, **asked), self.act)
        return self.store.addon(made.name)

    def sql(self, addon: str, statement: str) -> list[str]:
        """What a statement answers, by `paas db shell`; it must succeed."""
        pipe = Pipe()
        code = self.shell(addon, pipe, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement)
        assert code == 0, pipe.errors
        return pipe.out.decode().split()

    def shell(self, addon: str, pipe: Pipe, *command: str) -> int:
        """The exit code of `paas db shell -- command`."""
        request = AddonShell(addon=addon, command=command)
        return addons.addon_shell(self.context, request, self.act, pipe)

    def config(self, app: App) -> dict[str, str]:
        """The app's wanted config, revealed."""
        wanted = self.store.app(app.id).wanted
        return {key: value.reveal() for key, value in self.store.release(app.id, wanted).config.items()}

    def container(self, addon: Addon) -> docker.models.containers.Container:
        """Its one container."""
        (found,) = self.api.containers.list(all=True, filters={"label": f"paas.app={addon.id}"})
        return found

    def left(self) -> dict[str, list[str]]:
        """Everything on the Engine with this instance's label or name."""
        label = {"label": f"paas.instance={self.instance}"}
        return {
            "containers": [one.name for one in self.api.containers.list(all=True, filters=label)],
            "volumes": [one.name for one in self.api.volumes.list(filters=label)],
            "images": [
                tag
                for one in self.api.api.images()  # not one request for each: others remove theirs meanwhile
                for tag in one["RepoTags"] or ()
                if tag.startswith(self.instance)
            ],
        }

    def close(self) -> None:
        """Take everything away."""
        label = {"label": f"paas.instance={self.instance}"}
        for container in self.api.containers.list(all=True, filters=label):
            container.remove(force=True, v=True)
        for volume in self.api.volumes.list(filters=label):
            volume.remove(force=True)
        for network in self.api.networks.list(filters=label):
            network.remove()
        for tag in self.left()["images"]:
            self.api.images.remove(tag)
        self.engine.close()
        self.store.close()
        self.api.close()


def eventually(look: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Poll until it is so."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds:g} s"
        time.sleep(0.05)


def healthy(lab: Lab, addon: Addon) -> bool:
    """Whether its one container runs and answers."""
    service = addon_service.observed(lab.context, addon)
    return service is not None and [one.state for one in service.replicas] == [State.HEALTHY]


def healed(lab: Lab, addon: Addon) -> bool:
    """One tick of the controller, and whether the addon is well after it."""
    addon_service.reconcile_addons(lab.context, lab.events.append)
    return healthy(lab, addon)


def backup(lab: Lab, addon: Addon) -> backups.BackupLine:
    """One more backup."""
    return backups.backup_addon(lab.context, BackupAddon(addon=addon.name), lab.act)


def restore(lab: Lab, addon: Addon, **source: str) -> backups.Restored:
    """From a backup or an upload; its name is given as the confirmation."""
    request = RestoreAddon(addon=addon.name, confirm=addon.name, **source)
    return backups.restore_addon(lab.context, request, lab.act)


def upload(lab: Lab, content: bytes) -> str:
    """The id under which a use case finds what was sent."""
    upload = uploads.begin(lab.context.settings)
    upload.write(content)
    return upload.finish()
