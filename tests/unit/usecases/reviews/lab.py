"""What tests of review apps do again and again."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paas.engines.memory import MemoryEngine
from paas.interfaces import Terminal
from paas.model.secret import Secret
from paas.requests.addons import CreateAddon
from paas.requests.reviews import (
    CloseReview,
    ListReviews,
    OpenReview,
)
from paas.usecases import addons, reviews
from paas.usecases.review_watch import ReviewWatch
from paas.usecases.reviews import ReviewShown
from tests.unit.sources.test_clone import git
from tests.unit.usecases.parts import Parts


class Talking(MemoryEngine):
    """Its databases answer what they are asked about themselves, and dump something."""

    def exec(
        self,
        replica: str,
        command: Sequence[str],
        terminal: Terminal,
        env: Mapping[str, Secret] | None = None,
        *,
        timeout: float = 0.0,
    ) -> int:
        code = super().exec(replica, command, Silent(), env)
        said = " ".join(command)
        magic = b"PGDMP" if "pg_dump" in said else b"REDIS" if "--rdb" in said else b""
        terminal.write(magic + b" of " + replica.encode() if magic else b"{}")
        return code


class Silent:
    tty = interactive = False

    def read(self) -> None:
        return None

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Nothing."""


def commit(folder: Path, text: str, **files: str) -> str:
    (folder / "Procfile").write_text("web: python app.py\nworker: python work.py\n")
    (folder / "requirements.txt").write_text("")
    (folder / "app.py").write_text(f"print({text!r})\n")
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", text)
    return git(folder, "rev-parse", "HEAD")


def opened(platform: Parts, branch: str = "better", **changes: Any) -> ReviewShown:
    request = OpenReview(**{"app": "shop", "branch": branch, **changes})
    return reviews.open_review(platform.context, request, platform.act)


def closed(platform: Parts, name: str = "shop-better", *, backup: bool = False) -> reviews.ReviewClosed:
    return reviews.close_review(platform.context, CloseReview(app="shop", review=name, backup=backup), platform.act)


def there(platform: Parts) -> tuple[ReviewShown, ...]:
    return reviews.list_reviews(platform.context, ListReviews(app="shop"), platform.act)


def config(platform: Parts, name: str) -> dict[str, str]:
    app = platform.store.app(name)
    return {key: value.reveal() for key, value in platform.store.release(app.id, app.wanted).config.items()}


def told(platform: Parts) -> list[str]:
    return [event.kind for _, event in platform.store.events("a1b2c3d4") if event.kind.startswith("review.")]


def database(platform: Parts, app: str = "shop", **changes: str) -> str:
    request = CreateAddon(**{"kind": "postgres", "app": app, **changes})
    return addons.create_addon(platform.context, request, platform.act).name


def looked(watch: ReviewWatch) -> None:
    watch()
    for thread in threading.enumerate():
        if thread.name.startswith("review-"):
            thread.join(30)
            assert not thread.is_alive()
