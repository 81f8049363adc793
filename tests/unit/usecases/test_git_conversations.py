"""git talks to the server: what is fetched, pushed and refused, and who goes away in the middle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from paas.errors import Cancelled, Conflict, NotFound, PlatformError, UsageError
from paas.interfaces import Resize
from paas.model.app import Addon, App
from paas.model.people import Access, Actor
from paas.requests.git import GitSession
from paas.usecases import repository
from paas.usecases.git import git_session
from paas.usecases.pipes import Pipe
from tests.unit.sources.test_local import git
from tests.unit.usecases.git_lab import filled
from tests.unit.usecases.parts import Parts

FLUSH = b"0000"


def session(app: str, service: str) -> GitSession:
    return GitSession(app=app, service=service)  # type: ignore[arg-type]


@pytest.fixture
def app(platform: Parts) -> App:
    return platform.app()


def test_a_fetch_gets_the_refs_of_the_app(platform: Parts, app: App, tmp_path: Path) -> None:
    path = filled(platform.context.settings, app, tmp_path / "work")
    pipe = Pipe(source=BytesIO(FLUSH))
    assert git_session(platform.context, session("shop", "upload-pack"), platform.act, pipe) == 0
    assert git(path, "rev-parse", "main").encode() + b" refs/heads/main" in pipe.out


def test_a_fetch_of_an_app_that_does_not_exist_makes_none(platform: Parts) -> None:
    with pytest.raises(NotFound):
        git_session(platform.context, session("shop", "upload-pack"), platform.act, Pipe())
    assert platform.store.apps() == ()


def test_a_push_that_brings_nothing_leaves_no_app_behind(platform: Parts) -> None:
    assert (
        git_session(platform.context, session("shop", "receive-pack"), platform.act, Pipe(source=BytesIO(FLUSH))) == 0
    )
    assert platform.store.apps() == ()
    assert not list((platform.context.settings.home / "git").glob("*.git"))


def test_asking_what_there_is_makes_no_app_and_says_nothing_is_there(platform: Parts) -> None:
    asked = GitSession(app="shop", service="receive-pack", step="refs")
    pipe = Pipe()
    assert git_session(platform.context, asked, platform.act, pipe) == 0
    assert b"0" * 40 + b" capabilities^{}" in pipe.out
    assert platform.store.records() == ()
    assert not list((platform.context.settings.home / "git").glob("*.git"))
    assert not list((platform.context.settings.home / "git").glob(".new-*"))
    for name in ("Shop", "paas", "shop;id"):
        with pytest.raises(UsageError):
            git_session(platform.context, replace(asked, app=name), platform.act, Pipe())


def test_an_app_that_was_there_stays(platform: Parts, app: App) -> None:
    git_session(platform.context, session("shop", "receive-pack"), platform.act, Pipe(source=BytesIO(FLUSH)))
    assert platform.store.apps() == (app,)


@pytest.mark.parametrize("name", ["Shop", "a/b", "-x", "paas", "x" * 41, "shop;id"])
def test_a_push_cannot_make_an_app_of_a_name_that_cannot_be_one(platform: Parts, name: str) -> None:
    with pytest.raises(UsageError):
        git_session(platform.context, session(name, "receive-pack"), platform.act, Pipe())
    assert platform.store.apps() == ()


class Gone:
    """A person who went away."""

    tty = False
    interactive = True

    def read(self) -> bytes | Resize | None:
        raise Cancelled("the client went away")

    def write(self, data: bytes, stream: str = "stdout") -> None:
        raise Cancelled("the client went away")


@pytest.mark.parametrize("service", ["receive-pack", "upload-pack"])
def test_a_client_that_goes_away_leaves_no_process_behind(platform: Parts, app: App, service: str) -> None:
    git_session(platform.context, session("shop", service), platform.act, Gone())
    home = str(platform.context.settings.home)
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert f"{home}/git/{app.id}.git" not in process.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue


class Still:
    """A person who says nothing until they are told to, or are ended."""

    tty = False
    interactive = True

    def __init__(self, said: bytes = b"") -> None:
        self.said = [said] if said else []
        self.asked, self.goes, self.closed = threading.Event(), threading.Event(), threading.Event()

    def read(self) -> bytes | Resize | None:
        if self.said:
            return self.said.pop()
        self.asked.set()
        assert self.goes.wait(60), "nobody ended it"
        if self.closed.is_set():
            raise Cancelled("ended")
        return None

    def write(self, data: bytes, stream: str = "stdout") -> None:
        if self.closed.is_set():
            raise Cancelled("ended")

    def close(self) -> None:
        self.closed.set()
        self.goes.set()


class Full(Still):
    """One who takes nothing either."""

    def write(self, data: bytes, stream: str = "stdout") -> None:
        self.asked.set()
        assert self.closed.wait(60), "nobody ended it"
        raise Cancelled("ended")


@contextmanager
def pushing(platform: Parts) -> Iterator[Still]:
    """A push on its way; its end is when the block's is."""
    person = Still()
    push = threading.Thread(
        target=git_session, args=(platform.context, session("shop", "receive-pack"), platform.act, person)
    )
    push.start()
    try:
        assert person.asked.wait(60)
        yield person
    finally:
        person.goes.set()
        push.join(60)


def test_a_first_push_that_comes_to_nothing_leaves_the_app_to_another_one_on_its_way(platform: Parts) -> None:
    with pushing(platform):
        made = platform.store.app("shop")
        with pushing(platform):
            assert platform.store.apps() == (made,)
        assert platform.store.apps() == (made,), "the second has not ended it for the first"
        assert repository.path_of(platform.context.settings, made.id).exists()
    assert platform.store.apps() == (), "the last one takes it away"


def test_the_push_that_made_the_app_leaves_it_to_one_that_came_later(platform: Parts) -> None:
    with pushing(platform) as first:
        made = platform.store.app("shop")
        later = Still()
        push = threading.Thread(
            target=git_session, args=(platform.context, session("shop", "receive-pack"), platform.act, later)
        )
        push.start()
        assert later.asked.wait(60)
        assert first.asked.is_set()
    assert platform.store.apps() == (made,)
    assert repository.path_of(platform.context.settings, made.id).exists()
    later.goes.set()
    push.join(60)
    assert platform.store.apps() == ()


def test_who_may_make_an_app_may_not_push_to_the_one_that_somebody_else_made_meanwhile(
    platform: Parts, app: App
) -> None:
    stranger = Actor(name="eve", access=Access(platform="deployer"))
    act = replace(platform.act, who=stranger)
    with pytest.raises(Conflict):
        git_session(platform.context, session("shop", "receive-pack"), act, Pipe(source=BytesIO(FLUSH)))
    assert not repository.path_of(platform.context.settings, app.id).exists()


def test_an_addons_name_is_told_as_what_it_is(platform: Parts) -> None:
    platform.store.add_addon(
        Addon(id="dd", name="shop", kind="postgres", version="17", image="i", volume="v", created_at=1)
    )
    with pytest.raises(Conflict, match="name of an addon"):
        git_session(platform.context, session("shop", "receive-pack"), platform.act, Pipe())


@pytest.mark.parametrize("person", [Still, Full])
@pytest.mark.parametrize("service", ["receive-pack", "upload-pack"])
def test_a_person_who_stands_still_is_ended_and_told(
    platform: Parts, app: App, tmp_path: Path, person: type[Still], service: str
) -> None:
    filled(platform.context.settings, app, tmp_path / "work")
    impatient = replace(platform.context, settings=replace(platform.context.settings, push_idle=0.2))
    with pytest.raises(PlatformError, match=r"for 0\.2 s"):
        git_session(impatient, session("shop", service), platform.act, person())
