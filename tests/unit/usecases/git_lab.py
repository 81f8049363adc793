"""What tests of repositories do again and again."""

from __future__ import annotations

from pathlib import Path

from paas.model.app import App
from paas.settings import Settings
from paas.usecases import repository
from tests.unit.sources.test_local import git


def filled(settings: Settings, app: App, work: Path) -> Path:
    """The app's repository with one commit on main."""
    path = repository.prepared(settings, app.id)
    work.mkdir()
    git(work, "init", "--quiet")
    (work / "app.py").write_text("print()")
    (work / "Procfile").write_text("web: python app.py\n")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "first")
    git(path, "fetch", "--quiet", str(work), "HEAD:refs/heads/main")
    return path
