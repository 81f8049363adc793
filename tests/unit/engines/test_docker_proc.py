"""Sockets and use of a container, read from files of the kernel's formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from paas.engines.docker_proc import Socket, alive, established, listening, parse_sockets, sockets, use, use_of_api

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
ID = "c" * 64


def row(local: str, peer: str = "00000000:0000", state: str = "0A") -> str:
    return f"   0: {local} {peer} {state} 00000000:00000000 00:00000000 00000000     0        0 1\n"


ANY, LOOP, DNS = "00000000:1F40", "0100007F:1F40", "0B00007F:9C40"
ANY6 = "00000000000000000000000000000000:1F40"
LOOP6 = "00000000000000000000000001000000:1F40"
MAPPED = "0000000000000000FFFF00000502000A:1F40"


def test_rows_are_read_in_the_kernels_byte_order() -> None:
    text = HEAD + row(LOOP) + row(MAPPED, "0000000000000000FFFF00000102000A:C350", "01") + "garbage: x y z\n"
    assert list(parse_sockets(text)) == [
        Socket("127.0.0.1", 8000, "0.0.0.0", 10),
        Socket("10.0.2.5", 8000, "10.0.2.1", 1),
    ]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([ANY], ""),
        ([ANY6], ""),
        ([LOOP, ANY], ""),
        ([LOOP], "listens on 127.0.0.1:8000 only, expected 0.0.0.0:$PORT (PORT=8000)"),
        ([LOOP6], "listens on [::1]:8000 only, expected 0.0.0.0:$PORT (PORT=8000)"),
        (["00000000:0BB8"], "listens on port 3000, expected $PORT=8000"),
        (["00000000:0BB8", "00000000:0050", LOOP], "listens on port 80, 3000, expected $PORT=8000"),
        ([DNS], "listens on no port, expected $PORT=8000"),
        ([], "listens on no port, expected $PORT=8000"),
    ],
)
def test_what_listens_is_said_in_words(rows: list[str], words: str) -> None:
    found = list(parse_sockets(HEAD + "".join(row(one) for one in rows)))
    assert listening(found, 8000) == words


def test_only_established_connections_from_elsewhere_to_the_port_count() -> None:
    text = (
        HEAD
        + row(ANY)
        + row("0502000A:1F40", "0102000A:C350", "01")
        + row("0502000A:1F40", "0102000A:C351", "06")
        + row("0502000A:D431", "0902000A:1F40", "01")
        + row(LOOP, "0100007F:C350", "01")
    )
    assert established(parse_sockets(text), 8000) == 1


def process(proc: Path, cgroup: str, pid: int = 7) -> None:
    (proc / str(pid) / "net").mkdir(parents=True)
    (proc / str(pid) / "cgroup").write_text(cgroup)


def test_a_pid_that_belongs_to_something_else_is_not_believed(tmp_path: Path) -> None:
    process(tmp_path, "0::/system.slice/ssh.service\n")
    assert alive(7, ID, tmp_path) is False
    assert alive(8, ID, tmp_path) is False
    assert sockets(7, ID, tmp_path) is None
    assert sockets(0, ID, tmp_path) is None


def test_sockets_of_both_protocols_are_read(tmp_path: Path) -> None:
    process(tmp_path, f"0::/docker/{ID}\n")
    (tmp_path / "7/net/tcp").write_text(HEAD + row(LOOP))
    (tmp_path / "7/net/tcp6").write_text(HEAD + row(ANY6))
    found = sockets(7, ID, tmp_path)
    assert found is not None
    assert {socket.host for socket in found} == {"127.0.0.1", "::"}


def test_use_is_read_from_cgroups_of_version_1(tmp_path: Path) -> None:
    process(tmp_path, f"4:memory:/docker/{ID}\n3:cpu,cpuacct:/docker/{ID}\n2:pids:/docker/{ID}\n0::/docker/{ID}\n")
    for name, values in {
        "memory": {"memory.usage_in_bytes": "5000\n", "memory.stat": "cache 1\ntotal_inactive_file 2000\n"},
        "cpuacct": {"cpuacct.usage": "2500000000\n"},
        "pids": {"pids.current": "4\n"},
    }.items():
        folder = tmp_path / "cg" / name / "docker" / ID
        folder.mkdir(parents=True)
        for file, text in values.items():
            (folder / file).write_text(text)
    found = use(7, ID, tmp_path, tmp_path / "cg")
    assert found is not None
    assert (found.cpu_seconds, found.memory, found.pids) == (2.5, 3000, 4)


def test_use_is_read_from_cgroups_of_version_2(tmp_path: Path) -> None:
    process(tmp_path, f"0::/system.slice/docker-{ID}.scope\n")
    folder = tmp_path / f"cg/system.slice/docker-{ID}.scope"
    folder.mkdir(parents=True)
    (folder / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
    (folder / "memory.current").write_text("4096\n")
    (folder / "memory.stat").write_text("anon 1\ninactive_file 96\n")
    (folder / "pids.current").write_text("2\n")
    found = use(7, ID, tmp_path, tmp_path / "cg")
    assert found is not None
    assert (found.cpu_seconds, found.memory, found.pids) == (1.5, 4000, 2)


def test_use_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert use(7, ID, tmp_path, tmp_path) is None
    process(tmp_path, f"0::/docker/{ID}\n")
    assert use(7, ID, tmp_path, tmp_path) is None


def test_use_is_read_from_the_engines_stats_as_well() -> None:
    found = use_of_api(
        {
            "cpu_stats": {"cpu_usage": {"total_usage": 3_000_000_000}},
            "memory_stats": {"usage": 100, "stats": {"inactive_file": 40}},
            "pids_stats": {"current": 5},
        }
    )
    assert (found.cpu_seconds, found.memory, found.pids) == (3.0, 60, 5)
    assert use_of_api({}).memory == 0
