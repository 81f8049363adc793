"""What cgroup files, /proc and the Engine's stats say of a replica's use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from paas.engines import docker_use
from paas.engines.docker_use import Uses
from paas.model.service import Used

ID = "c0ffee" * 10

DEVICES = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier
    lo:  999       9    0    0    0     0          0         0      999       9    0    0    0     0       0          0
  eth0: 1000      10    0    0    0     0          0         0     2000      20    0    0    0     0       0          0
  eth1:    5       1    0    0    0     0          0         0        7       1    0    0    0     0       0          0
"""


class Place:
    """A machine's /proc and /sys/fs/cgroup as files."""

    def __init__(self, root: Path) -> None:
        self.proc, self.cgroups = root / "proc", root / "cgroup"

    def process(self, pid: int, groups: str) -> None:
        folder = self.proc / str(pid) / "net"
        folder.mkdir(parents=True)
        (folder.parent / "cgroup").write_text(groups)
        (folder / "dev").write_text(DEVICES)

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.cgroups / name.replace("__", "/").replace("_DOT_", ".").replace("ID", ID)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


V2 = {
    "docker__ID__cpu_DOT_stat": "usage_usec 2500000\nuser_usec 1\n",
    "docker__ID__memory_DOT_current": "9000\n",
    "docker__ID__memory_DOT_stat": "anon 5000\ninactive_file 4000\nactive_file 1\n",
    "docker__ID__io_DOT_stat": "8:0 rbytes=100 wbytes=200 rios=1\n8:16 rbytes=1 wbytes=2\n7:0 \n",
}
V1 = {
    "cpuacct__docker__ID__cpuacct_DOT_usage": "2500000000\n",
    "memory__docker__ID__memory_DOT_usage_in_bytes": "9000\n",
    "memory__docker__ID__memory_DOT_stat": "cache 1\ninactive_file 1\ntotal_inactive_file 4000\n",
    "blkio__docker__ID__blkio_DOT_throttle_DOT_io_service_bytes_recursive": (
        "8:0 Read 100\n8:0 Write 200\n8:0 Total 300\n8:16 Read 1\n8:16 Write 2\nTotal 303\n"
    ),
}
GROUPS = {
    1: f"5:memory:/docker/{ID}\n4:cpuacct,cpu:/docker/{ID}\n3:blkio:/docker/{ID}\n",
    2: f"0::/docker/{ID}\n",
}
FOUND = Used(cpu_seconds=2.5, memory=5000, network_in=1005, network_out=2007, disk_read=101, disk_write=202)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def uses(place: Place) -> Iterator[Uses]:
    made = Uses(place.proc, place.cgroups)
    yield made
    made.close()


@pytest.mark.parametrize(("version", "files"), [(1, V1), (2, V2)])
def test_both_versions_of_cgroups_say_the_same(place: Place, uses: Uses, version: int, files: dict[str, str]) -> None:
    place.process(7, GROUPS[version])
    place.write(**files)
    assert uses.of(7, ID) == FOUND
    assert uses.of(7, ID) == FOUND


def test_open_files_show_what_changed(place: Place, uses: Uses) -> None:
    place.process(7, GROUPS[2])
    place.write(**V2)
    uses.of(7, ID)
    place.write(docker__ID__memory_DOT_current="9500\n")
    found = uses.of(7, ID)
    assert found is not None
    assert found.memory == 5500


def test_a_process_of_somebody_else_has_no_use(place: Place, uses: Uses) -> None:
    place.process(7, "0::/docker/other\n")
    place.write(**V2)
    assert uses.of(7, ID) is None


def test_a_replica_that_runs_again_is_looked_up_anew(place: Place, uses: Uses) -> None:
    place.process(7, GROUPS[2])
    place.write(**V2)
    uses.of(7, ID)
    place.process(8, GROUPS[2])
    assert uses.of(8, ID) == FOUND
    assert uses.of(9, ID) is None


def test_what_is_not_there_is_not_known(place: Place, uses: Uses) -> None:
    assert uses.of(0, ID) is None
    assert uses.of(7, ID) is None
    place.process(7, GROUPS[2])
    assert uses.of(7, ID) is None


@pytest.mark.parametrize("text", ["", "nonsense\n", "-\n"])
def test_a_file_that_says_nothing_is_not_known(place: Place, uses: Uses, text: str) -> None:
    place.process(7, GROUPS[2])
    place.write(**V2 | {"docker__ID__memory_DOT_current": text})
    assert uses.of(7, ID) is None


def test_no_more_files_stay_open_than_there_is_room_for(place: Place) -> None:
    uses = Uses(place.proc, place.cgroups, room=3)
    place.process(7, GROUPS[2])
    place.write(**V2)
    assert uses.of(7, ID) == FOUND
    assert uses.of(7, ID) == FOUND
    uses.close()


def test_the_engines_stats_say_the_same() -> None:
    answer = {
        "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
        "memory_stats": {"usage": 9000, "stats": {"inactive_file": 4000}},
        "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 2000}, "eth1": {"rx_bytes": 5, "tx_bytes": 7}},
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"op": "Read", "value": 101}, {"op": "write", "value": 202}, {"op": "Total", "value": 303},
            ]
        },
    }  # fmt: skip
    assert docker_use.of_api(answer) == FOUND
    assert docker_use.of_api({}).network_in is None
