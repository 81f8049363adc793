"""The doctor: each thing that can be wrong is found, named, and comes with what mends it."""

from __future__ import annotations

import os
import socket
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from paas.addons import kinds, services
from paas.errors import BuildFailed, EngineUnavailable
from paas.interfaces import EngineInfo
from paas.model.app import Addon
from paas.model.build import Base, Runtime
from paas.model.route import Certificate
from paas.model.secret import Secret
from paas.requests.platform import Doctor
from paas.usecases import machine
from paas.usecases.doctor import Check, doctor, probe
from tests.unit.usecases.parts import Parts, parts


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    # Whether the machine that runs the tests has a CA of its own must not matter.
    monkeypatch.setattr("paas.usecases.doctor.ca_image", lambda *parts: "")
    made = parts(tmp_path)
    made.clock.sleep(1e9)  # the fake clock begins before this checkout was made
    return made


def found(platform: Parts, *, build: bool = False) -> dict[str, Check]:
    """The findings by name; of several of one name the worst."""
    rank = {"info": 0, "warning": 1, "error": 2}
    checks = doctor(platform.context, Doctor(build=build), platform.act)
    return {check.name: check for check in sorted(checks, key=lambda check: rank[check.level])}


def test_every_finding_that_is_not_fine_says_what_mends_it(platform: Parts) -> None:
    platform.router.down()
    checks = found(platform, build=True)
    assert {check.ok for check in checks.values()} == {True, False}
    for check in checks.values():
        assert check.ok == (check.level == "info")
        assert check.message
        assert bool(check.fix) != check.ok


def test_a_platform_that_is_well_has_nothing_to_mend(platform: Parts) -> None:
    checks = found(platform, build=True)
    assert {"engine", "buildkit", "limits", "networks", "ports", "router", "store", "registry", "company CA"} <= set(
        checks
    )
    assert not [check for name, check in checks.items() if not check.ok and not name.startswith(("disk", "limits"))]


def test_an_engine_that_does_not_answer_is_a_finding(platform: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def info() -> EngineInfo:
        raise EngineUnavailable("the Docker Engine does not answer", hint="start it")

    monkeypatch.setattr(platform.engine, "info", info)
    check = found(platform)["engine"]
    assert (check.level, check.fix) == ("error", "start it")


def test_an_old_engine_is_a_finding(platform: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    old = replace(platform.engine.info(), api_version="1.24")
    monkeypatch.setattr(platform.engine, "info", lambda: old)
    assert found(platform)["engine"].level == "error"


def test_a_check_that_breaks_hides_no_other(platform: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> bool:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(platform.builder, "buildkit", broken)
    checks = found(platform)
    assert "ZeroDivisionError" in checks["buildkit"].message
    assert checks["store"].ok


def test_a_builder_without_buildkit_is_a_warning(platform: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform.builder, "buildkit", lambda: False)
    assert found(platform)["buildkit"].level == "warning"


def test_a_router_that_does_not_answer_is_an_error(platform: Parts) -> None:
    platform.router.down()
    assert "paas up" in found(platform)["router"].fix


def test_a_taken_port_is_named_with_its_owner(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        platform = parts(tmp_path, http_port=port, https_port=0, traefik_port=0, bind="127.0.0.1")
        platform.router.down()
        check = found(platform)["ports"]
    assert f"port {port} is taken by" in check.message
    assert str(os.getpid()) in check.message
    assert "PAAS_HTTP_PORT" in check.fix


@pytest.mark.parametrize(
    ("room", "level"),
    [(machine.Room(1 << 40, 0.9), "info"), (machine.Room(2 << 30, 0.9), "warning"),
     (machine.Room(1 << 20, 0.9), "error"), (machine.Room(1 << 40, 0.05), "warning"),
     (machine.Room(1 << 40, 0.001), "error")],
)  # fmt: skip
def test_little_room_for_bytes_or_inodes_is_found(
    platform: Parts, monkeypatch: pytest.MonkeyPatch, room: machine.Room, level: str
) -> None:
    monkeypatch.setattr(machine, "room", lambda path: room)
    assert found(platform)["disk (home)"].level == level


def test_the_room_of_a_folder_that_is_not_there_yet_is_its_parents(tmp_path: Path) -> None:
    room = machine.room(tmp_path / "a" / "b")
    assert room is not None
    assert room.free > 0


HEAD = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"


def test_free_networks_are_counted(tmp_path: Path) -> None:
    routed = tmp_path / "route"
    # br-1: 10.213.0.0/26, which is one of ours; default route over eth0
    routed.write_text(
        HEAD + "br-1 0000D50A 00000000 0001 0 0 0 C0FFFFFF 0 0 0\neth0 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n"
    )
    (tmp_path / "br-1" / "bridge").mkdir(parents=True)
    pool = machine.pool("10.213.0.0/24", routed, tmp_path)
    assert (pool.total, pool.free, pool.foreign) == (4, 3, ())


def test_a_range_that_is_routed_elsewhere_is_named(tmp_path: Path) -> None:
    routed = tmp_path / "route"
    routed.write_text(HEAD + "tun0 0000000A 00000000 0001 0 0 0 000000FF 0 0 0\n")
    pool = machine.pool("10.213.0.0/24", routed, tmp_path)
    assert (pool.free, pool.foreign) == (0, ("10.0.0.0/8",))


def test_a_range_that_is_none_is_an_error(tmp_path: Path) -> None:
    platform = parts(tmp_path, subnets="10.0.0.0/99")
    assert found(platform)["networks"].level == "error"


def test_missing_limits_are_found_on_both_kinds_of_cgroups(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "cpu").mkdir()
    assert machine.missing_limits(tmp_path) == ("process count",)
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io pids\n")
    assert machine.missing_limits(tmp_path) == ("memory",)


def test_a_clock_before_the_installation_is_wrong(tmp_path: Path) -> None:
    assert "installed" in machine.clock_fault(0.0, tmp_path)
    assert machine.clock_fault(4e9, tmp_path) == ""


def test_a_damaged_store_is_found_with_its_last_good_copy(platform: Parts) -> None:
    home = platform.context.settings.home
    (home / "paas.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    (home / "paas.db.good").write_bytes(b"")
    check = found(platform)["store"]
    assert "damaged" in check.message
    assert "paas.db.good" in check.fix


def test_a_store_without_its_key_is_found(platform: Parts) -> None:
    sqlite3.connect(platform.context.settings.home / "paas.db").close()
    assert "secret.key" in found(platform)["store"].message


@pytest.mark.parametrize(("days", "level"), [(-1, "error"), (29, "warning"), (31, "info")])
def test_a_certificate_that_ends_soon_is_told(platform: Parts, days: float, level: str) -> None:
    end = platform.clock.now() + days * 86_400
    platform.store.put_certificate(Certificate(host="a.example.com", chain="", key=Secret(""), not_after=end))
    assert found(platform)["certificates"].level == level


def test_a_registry_that_builds_cannot_reach_is_told_with_the_builds_words(platform: Parts) -> None:
    platform.builder.fails = BuildFailed("step 2 failed", details=("dns error: failed to lookup address",))
    checks = found(platform, build=True)
    assert "failed to lookup address" in checks["registry"].message
    assert checks["company CA"].ok


def test_a_registry_behind_an_unknown_ca_is_told_as_that(platform: Parts) -> None:
    platform.builder.fails = BuildFailed("step 2 failed", details=("invalid peer certificate: UnknownIssuer",))
    check = found(platform, build=True)["company CA"]
    assert check.level == "error"


def test_no_build_is_made_unless_asked(platform: Parts) -> None:
    found(platform, build=False)
    assert platform.builder.builds == []


def test_the_probe_asks_for_one_package_and_keeps_no_variable() -> None:
    base = Base(runtime=Runtime("python"), image="run", build_image="build", version="3.13")
    text = probe(base, "paas-base/ca:1", {"HTTPS_PROXY": "http://secret@proxy"})
    assert text.splitlines()[0] == "FROM paas-base/ca:1 AS ca"
    assert "ARG HTTPS_PROXY" in text
    assert "secret" not in text
    assert "COPY" not in probe(base, "", {})


def test_an_addon_that_the_store_does_not_know_is_told_with_what_removes_it_and_left_alone(platform: Parts) -> None:
    kind = kinds.kind("postgres")
    instance = platform.context.settings.instance
    addon = Addon(
        id="0badcafe", name="db", kind="postgres", version="17", image="sha256:pg", created_at=1.0,
        volume=services.volume_name(instance, "0badcafe"), secrets=services.new_secrets(kind),
    )  # fmt: skip
    spec = services.service(addon, kind, instance=instance, app_ids=())
    platform.engine.apply(spec, 1, platform.act.emit)
    check = found(platform)["leftovers"]
    assert check.level == "warning"
    assert f"docker volume rm {addon.volume}" in check.fix
    assert platform.engine.observe(addon.id)[0].replicas
    platform.engine.remove(spec.key)
    check = found(platform)["leftovers"]
    assert check.fix.endswith(f"docker volume rm {addon.volume}"), "its volume alone is told too"
    assert platform.engine.volumes() == {addon.volume}
    platform.store.add_addon(addon)
    assert found(platform)["leftovers"].ok
