"""Many pushes at once: 20 to 10 apps. All of them end; of two to one app the second waits for the
first and is taken or told to pull."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.git_lab import Work
from tests.e2e.platform import Platform

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

APPS = tuple(f"many-{number}" for number in range(10))


@pytest.fixture(scope="module")
def works(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Work]:
    """A clone for each app, with two commits that nobody has pushed."""
    folder, found = tmp_path_factory.mktemp("clones"), {}
    for name in APPS:
        found[name] = Work(platform, folder / name, name)
        found[name].commit(f"{name} first")
        found[name].commit(f"{name} second")
    return found


def test_twenty_pushes_at_once_to_ten_apps_all_end_and_none_is_lost(
    platform: Platform, works: dict[str, Work], record_property: pytest.RecordProperty
) -> None:
    pushes = {
        (name, rev): work.start("push", "paas", f"{rev}:refs/heads/main")
        for name, work in works.items()
        for rev in ("main~1", "main")
    }
    said = {key: push.communicate(timeout=600)[1] for key, push in pushes.items()}
    for name, work in works.items():
        taken = [rev for rev in ("main~1", "main") if pushes[name, rev].returncode == 0]
        assert taken, [said[name, "main~1"], said[name, "main"]]
        for rev in {"main~1", "main"} - set(taken):
            assert "pushed meanwhile" in said[name, rev] or "rejected" in said[name, rev], said[name, rev]
        assert work.remote() == work.git("rev-parse", taken[-1]).out.strip(), "the branch is what was taken last"
        assert work.serves() == f"{name} {'second' if 'main' in taken else 'first'}"
        work.git("push", "--quiet", "paas", "main")  # as whoever was refused does next
        assert work.serves() == f"{name} second"
        assert {one["status"] for one in platform.json("releases", "-a", name)} == {"succeeded"}
    operations = [one for one in platform.json("operations") if one["app"] in APPS]
    assert {one["status"] for one in operations} <= {"succeeded"}, operations
    most = server_peak(platform)
    record_property("server_peak_mb", most >> 20)
    assert most < 400 << 20


def server_peak(platform: Platform) -> int:
    """The most memory that the server ever held, in bytes."""
    status = Path(f"/proc/{platform.server_pid()}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
