"""What is kept and for how long: images of releases, uploads."""

from __future__ import annotations

import os

import pytest

from paas.errors import Conflict, DeployFailed, NotFound, UsageError
from paas.model.app import Operation
from paas.model.people import Actor
from paas.requests.config import ChangeConfig
from paas.usecases import images, uploads
from paas.usecases.config import change_config
from tests.unit.usecases.parts import BAD, Parts, parts


def test_images_of_the_last_releases_are_kept_and_older_ones_go(tmp_path: object) -> None:
    platform = parts(tmp_path, keep_releases=2)  # type: ignore[arg-type]
    app = platform.app(web=1)
    for number in range(4):
        platform.release(app, f"sha256:{number}")
    images.collect(platform.context, app, platform.events.append)
    assert sorted(platform.builder.named) == [f"paas/{app.id}:2", f"paas/{app.id}:3"]


def test_changes_of_config_push_no_image_out(tmp_path: object) -> None:
    platform = parts(tmp_path, keep_releases=2)  # type: ignore[arg-type]
    app = platform.app(web=1)
    platform.release(app, "sha256:0")
    platform.release(app, "sha256:1")
    for number in range(5):
        change_config(platform.context, ChangeConfig(app="shop", set={"A": str(number)}), platform.act)
    images.collect(platform.context, app, platform.events.append)
    assert sorted(platform.builder.named) == [f"paas/{app.id}:0", f"paas/{app.id}:1"]
    platform.release(app, "sha256:2")
    images.collect(platform.context, app, platform.events.append)
    assert sorted(platform.builder.named) == [f"paas/{app.id}:1", f"paas/{app.id}:2"]


def test_more_changes_of_config_than_are_looked_at_at_once_push_no_image_out(tmp_path: object) -> None:
    platform = parts(tmp_path, keep_releases=2)  # type: ignore[arg-type]
    app = platform.app(web=1)
    platform.release(app, "sha256:0")
    platform.release(app, "sha256:1")
    for number in range(images.LOOKED_AT + 2):
        change_config(platform.context, ChangeConfig(app="shop", set={"A": str(number)}), platform.act)
    images.collect(platform.context, app, platform.events.append)
    assert sorted(platform.builder.named) == [f"paas/{app.id}:0", f"paas/{app.id}:1"]


def test_an_image_that_runs_or_is_wanted_is_never_removed(tmp_path: object) -> None:
    platform = parts(tmp_path, keep_releases=0)  # type: ignore[arg-type]
    app = platform.app(web=1)
    platform.release(app)
    images.collect(platform.context, app, platform.events.append)
    assert list(platform.builder.named) == [f"paas/{app.id}:good"]


def test_failed_releases_do_not_push_good_ones_out(tmp_path: object) -> None:
    platform = parts(tmp_path, keep_releases=2)  # type: ignore[arg-type]
    app = platform.app(web=1)
    platform.release(app, "sha256:0")
    platform.release(app, "sha256:1")
    for _ in range(3):
        with pytest.raises(DeployFailed):
            platform.release(app, BAD)
    images.collect(platform.context, app, platform.events.append)
    assert sorted(platform.builder.named) == [f"paas/{app.id}:0", f"paas/{app.id}:1"]


def test_an_image_without_a_release_stays_while_another_deploy_runs(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    platform.builder.add(f"paas/{app.id}:loose", "sha256:loose", app.id)
    other = Operation(id="bb", app_id=app.id, verb="DeployApp", actor="ann", started_at=1)
    platform.store.add_operation(other)
    images.collect(platform.context, app, platform.events.append, operation="aa")
    assert f"paas/{app.id}:loose" in platform.builder.named
    images.collect(platform.context, app, platform.events.append, operation="bb")
    assert f"paas/{app.id}:loose" not in platform.builder.named


def test_collecting_never_fails_a_deploy(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    platform.engine.down = True
    images.collect(platform.context, app, platform.events.append)
    assert platform.said("warning")


def test_an_upload_is_there_under_its_id_once_it_is_whole(platform: Parts) -> None:
    settings = platform.context.settings
    upload = uploads.begin(settings)
    upload.write(b"tar")
    with pytest.raises(NotFound):
        uploads.find(settings, upload.id)
    assert uploads.find(settings, upload.finish()).read_bytes() == b"tar"
    uploads.discard(settings, upload.id)
    uploads.discard(settings, upload.id)
    with pytest.raises(NotFound):
        uploads.find(settings, upload.id)


def test_an_upload_beyond_the_limit_is_refused_and_gone(tmp_path: object) -> None:
    platform = parts(tmp_path, upload_limit=10, upload_files=0)  # type: ignore[arg-type]
    upload = uploads.begin(platform.context.settings)
    upload.write(b"x" * 10)
    with pytest.raises(UsageError, match="10 bytes"):
        upload.write(b"x")
    assert list((platform.context.settings.home / "uploads").iterdir()) == []


@pytest.mark.parametrize("name", ["../paas.db", "", "/etc/passwd", "a.part"])
def test_an_upload_id_is_never_a_path(platform: Parts, name: str) -> None:
    with pytest.raises(NotFound):
        uploads.find(platform.context.settings, name)


def test_forgotten_uploads_expire_after_a_day(platform: Parts) -> None:
    settings = platform.context.settings
    upload = uploads.begin(settings)
    path = uploads.find(settings, upload.finish())
    for age, there in ((3600, True), (25 * 3600, False)):
        os.utime(path, (platform.clock.now() - age,) * 2)
        uploads.expire(platform.context)
        assert path.exists() is there


def test_nobody_fills_the_disk_with_uploads_that_wait(platform: Parts) -> None:
    settings = platform.context.settings
    ann, bob = (Actor(name=name, user_id=name) for name in ("ann", "bob"))
    ids = [uploads.begin(settings, ann).finish() for _ in range(uploads.MOST_WAITING)]
    with pytest.raises(Conflict, match="50 of your uploads wait"):
        uploads.start(settings, ann, 1)
    uploads.begin(settings, bob).abort()
    uploads.discard(settings, ids[0])
    uploads.begin(settings, ann).abort()
