"""Two teams on one server: a real store on disk, the real door and HTTP server, an engine in memory.

`mine` and `theirs` have each a database, an operation and people of every role. Names with `theirs` in them, and ids
of theirs, must never reach anybody of mine.
"""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from paas.client import Client, address
from paas.errors import Conflict
from paas.interfaces import Resize, Terminal
from paas.model.app import Addon, App, Operation
from paas.model.events import Emit, Event
from paas.model.people import Actor, Grant, Membership, Role, Team, Token, User, new_secret
from paas.model.secret import Secret
from paas.requests.base import Request, parse
from paas.server.app import Parts, create
from paas.server.listen import tcp_socket, unix_socket
from paas.server.serving import Server
from paas.server.streams import Streams
from paas.settings import Settings
from paas.store.sql import SqlStore
from paas.usecases.context import Context
from paas.usecases.door import Door
from paas.usecases.logins import PREFIX
from paas.usecases.operations import Operations
from tests.unit.permissions.table import ROLES
from tests.unit.usecases.parts import parts

MINE = App(id="0a0a0a0a", name="mine", created_at=1.0)
THEIRS = App(id="0b0b0b0b", name="theirs", created_at=1.0)
TEAM, OTHERS = (
    Team(id="0team", name="our-team", created_at=1.0),
    Team(id="0theirteam", name="theirs-team", created_at=1.0),
)
BOSS = "token-of-the-server"


@dataclass
class World:
    """A running server and ways to ask it. `tokens` by what somebody is: `app:viewer`, `platform:owner`, …"""

    context: Context
    door: Door
    operations: Operations
    settings: Settings
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> SqlStore:
        assert isinstance(self.context.store, SqlStore)
        return self.context.store

    def user(self, name: str, role: Role = "viewer") -> User:
        """A new user."""
        user = User(id=f"0{name}", name=name, created_at=1.0, role=role)
        self.store.add_user(user)
        return user

    def token(self, user: User | None, name: str = "x", **changes: Any) -> str:
        """The text of a new token."""
        token_id, text, digest = new_secret(PREFIX)
        made = Token(
            id=token_id, digest=digest, name=name, kind="personal", created_by="x", created_at=1.0,
            user_id=user.id if user else "",
        )  # fmt: skip
        self.store.add_token(replace(made, **changes))
        return text

    def ask(
        self, kind: type[Request], fields: Mapping[str, Any], token: str | None, *, basic: bool = False
    ) -> tuple[int, str]:
        """Status and text of the answer to a request, over TCP. A session that is let in is 200."""
        if kind.shape == "session":
            return self._session(kind, fields, token)
        path, rest = address(parse(kind, fields))
        body = kind.method not in ("GET", "DELETE")
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        with httpx2.Client(base_url=f"http://{self.settings.listen}", headers=headers, timeout=30) as http:
            if body:
                answer = http.request(kind.method, path, json=rest)
            else:
                query = {key: str(value).lower() if isinstance(value, bool) else value for key, value in rest.items()}
                answer = http.request(kind.method, path, params=query)
            return answer.status_code, answer.text

    def get(self, path: str, token: str = "", *, method: str = "GET", basic: str = "", **more: Any) -> httpx2.Response:
        """Any address, with a token, or one as git shows it."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if basic:
            headers["Authorization"] = "Basic " + base64.b64encode(f"me:{basic}".encode()).decode()
        with httpx2.Client(base_url=f"http://{self.settings.listen}", timeout=30) as http:
            return http.request(method, path, headers={**headers, **more.pop("headers", {})}, **more)

    def _session(self, kind: type[Request], fields: Mapping[str, Any], token: str | None) -> tuple[int, str]:
        path, rest = address(parse(kind, fields))
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        url = f"ws://{self.settings.listen}{path}"
        try:
            with connect(url, additional_headers=headers, compression=None, open_timeout=10) as web:
                web.send(json.dumps(rest))
                for frame in web:
                    if isinstance(frame, str):
                        return 200, frame
                return 200, ""
        except InvalidStatus as refused:
            body = refused.response.body or b""
            return refused.response.status_code, bytes(body).decode()


@dataclass
class Passes:
    """A door and operations that judge as the real ones do, and then do nothing: `passed` is a Conflict."""

    door: Door

    def run(self, request: Request, actor: Actor, emit: Emit, operation: str = "") -> object:
        self.door.check(request, actor)
        raise Conflict("passed")

    def admit(self, kind: type[Request], path: Mapping[str, str], actor: Actor) -> None:
        self.door.admit(kind, path, actor)

    def session(self, request: Request, actor: Actor, emit: Emit, terminal: Terminal) -> int:
        self.door.check(request, actor)
        raise Conflict("passed")

    def start(self, request: Request, actor: Actor) -> Operation:
        self.door.check(request, actor)
        raise Conflict("passed")

    def follow(self, operation_id: str) -> Iterator[Event]:
        raise Conflict("passed")


@contextmanager
def world(home: Path, *, acting: bool) -> Iterator[World]:
    """The server. `acting`: it does what is asked; else it only says whether it would."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    made = parts(home, token=BOSS, listen=listen, ssh_keys=str(home / "authorized_keys"))
    store = SqlStore.open(home)
    context = replace(made.context, store=store)
    door = Door.of(context)
    operations = Operations(door)
    found = World(context, door, operations, context.settings)
    _people(found)
    _things(found)
    with _served(found, acting):
        yield found
    operations.wait(10)
    store.close()


def _people(world: World) -> None:
    """A user for each role on the app, on the team and on the platform, on both sides; and tokens with limits."""
    store = world.store
    for app in (MINE, THEIRS):
        store.add_app(app)
    for team in (TEAM, OTHERS):
        store.add_team(team)
    world.user("bob")
    world.tokens["app:none"] = world.token(world.user("nobody-here"))
    for role in ROLES:
        mine = world.user(f"app-{role}")
        store.put_grant(Grant(app_id=MINE.id, role=role, user_id=mine.id))
        world.tokens[f"app:{role}"] = world.token(mine)
        theirs = world.user(f"theirs-{role}")
        store.put_grant(Grant(app_id=THEIRS.id, role=role, user_id=theirs.id))
        world.tokens[f"theirs:{role}"] = world.token(theirs, name="theirs-token")
        world.tokens[f"platform:{role}"] = world.token(world.user(f"platform-{role}", role))
        shared = Team(id=f"0shared-{role}", name=f"shared-{role}", created_at=1.0)
        store.add_team(shared)
        through = world.user(f"through-{role}")
        store.put_membership(Membership(team_id=shared.id, user_id=through.id, role="viewer"))
        store.put_grant(Grant(app_id=MINE.id, role=role, team_id=shared.id))
        world.tokens[f"through:{role}"] = world.token(through)
    for role in ROLES[:-1]:
        maker = world.user(f"maker-{role}", "deployer")
        store.put_grant(Grant(app_id=MINE.id, role=role, user_id=maker.id))
        store.put_membership(Membership(team_id=TEAM.id, user_id=maker.id, role="viewer"))
        world.tokens[f"maker:{role}"] = world.token(maker)
    own = store.user("app-owner")
    for role in ROLES:
        world.tokens[f"token:{role}"] = world.token(own, role=role, apps=(MINE.id,))
        world.tokens[f"free:{role}"] = world.token(None, role=role, apps=(MINE.id,))
    world.tokens["token:elsewhere"] = world.token(store.user("platform-owner"), apps=(THEIRS.id,), role="owner")
    for role in ("viewer", "owner"):
        member = world.user(f"team-{role}")
        store.put_membership(Membership(team_id=TEAM.id, user_id=member.id, role=role))
        world.tokens[f"team:{role}"] = world.token(member)
        other = world.user(f"theirs-team-{role}")
        store.put_membership(Membership(team_id=OTHERS.id, user_id=other.id, role=role))
    world.tokens["server"] = BOSS


def _things(world: World) -> None:
    """Each app's database, and an operation that has ended."""
    for app in (MINE, THEIRS):
        world.store.add_addon(
            Addon(
                id=app.id.replace("0", "d", 1), name=f"{app.name}-db", kind="postgres", version="17", image="sha256:1",
                volume=f"v-{app.id}", created_at=1.0, owner_app=app.id,
                secrets={name: Secret(name) for name in ("user", "password", "database")},
            )
        )  # fmt: skip
        operation = Operation(
            id=f"0123{app.id}", app_id=app.id, verb="Restart", actor=f"{app.name}-owner", started_at=1.0, ended_at=2.0,
            status="succeeded",
        )  # fmt: skip
        world.store.add_operation(operation)
        world.door.journals.open(operation.id).append(Event(kind="result", message=f"of {app.name}"))
        world.door.journals.close(operation.id)
        world.store.add_event(Event(kind="note", app=app.name, message=f"of {app.name}"), app.id)


@contextmanager
def _served(world: World, acting: bool) -> Iterator[None]:
    door: Any = world.door if acting else Passes(world.door)
    operations: Any = world.operations if acting else door
    streams = Streams()
    made = Parts(
        door=door, operations=operations, settings=world.settings, streams=streams, logins=world.door.logins,
        presence=world.door.presence,
    )  # fmt: skip
    server = Server(create(made), streams, grace=5)
    with unix_socket(world.settings.socket) as local, tcp_socket(world.settings.listen, BOSS) as remote:
        thread = threading.Thread(target=server.run, args=([local, remote],), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def client(server: World, token: str, *, anonymous: bool = False) -> Client:
    settings = replace(server.settings, server=f"http://{server.settings.listen}", token=token)
    return Client.connect(settings, anonymous=anonymous)


def ask(server: World, token: str, request: Request) -> Any:
    return client(server, token).ask(request)


class Waiting:
    """A terminal at which somebody sits and says nothing."""

    tty, interactive = False, True

    def __init__(self) -> None:
        self.left = threading.Event()
        self.shown = b""

    def read(self) -> bytes | Resize | None:
        self.left.wait(30)
        return None

    def write(self, data: bytes, stream: str = "stdout") -> None:
        self.shown += data
