"""A platform whose app has review apps, and the repository they are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from paas.model.app import App
from paas.requests.reviews import (
    EnableReviews,
)
from paas.usecases import review_policy
from paas.usecases.review_watch import ReviewWatch
from tests.git_server import GitServer, git_server
from tests.unit.sources.test_clone import git
from tests.unit.usecases.parts import Parts, parts
from tests.unit.usecases.reviews.lab import (
    Talking,
    commit,
    looked,
)


@pytest.fixture
def platform(tmp_path: Path) -> Parts:
    made = parts(tmp_path / "home", egress_allow="127.0.0.0/8")
    engine = Talking(made.clock)
    return replace(made, engine=engine, context=replace(made.context, engine=engine))


@pytest.fixture
def parent(platform: Parts) -> App:
    app = platform.app()
    platform.release(app)
    return app


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "team" / "shop"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    commit(folder, "first")
    git(folder, "branch", "better")
    git(folder, "branch", "feature/login")
    git(folder, "update-ref", "refs/pull/7/head", "HEAD")
    return folder


@pytest.fixture(scope="module")
def served(repository: Path) -> Iterator[GitServer]:
    with git_server(repository.parent.parent) as server:
        yield server


@pytest.fixture
def enable(platform: Parts, parent: App, served: GitServer) -> Callable[..., None]:
    def enabled(**changes: Any) -> None:
        request = EnableReviews(**{"app": "shop", "source": served.url("team/shop"), **changes})
        review_policy.enable_reviews(platform.context, request, platform.act)

    return enabled


@pytest.fixture
def watch(platform: Parts) -> Callable[[], None]:
    """One look, and the end of what it began."""
    return partial(looked, ReviewWatch(platform.context))
