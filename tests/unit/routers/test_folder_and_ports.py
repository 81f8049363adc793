"""The folder that Traefik reads, and who listens on a port."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from paas.errors import RouterError
from paas.model.route import Certificate, Route
from paas.model.secret import Secret
from paas.routers.traefik import ports, render
from paas.routers.traefik.folder import Folder

FACTS = render.Facts("paas")
SHOP = Route(app_id="0a0a0a0a", app_name="shop", hosts=("shop.localhost",), servers=("10.0.0.1:1",))
BLOG = Route(app_id="0b0b0b0b", app_name="blog", hosts=("blog.localhost",), servers=())


def test_what_was_written_is_read(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.read() == ((), ())
    folder.write((SHOP, BLOG), (), FACTS)
    assert folder.read() == ((SHOP, BLOG), ())


def test_the_file_before_is_read_when_this_one_is_garbage(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write((SHOP,), (), FACTS)
    folder.write((SHOP, BLOG), (), FACTS)
    folder.dynamic.write_bytes(b"\xff\x00 garbage")
    assert folder.read() == ((SHOP,), ())


def test_garbage_never_takes_the_place_of_the_file_before(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write((SHOP,), (), FACTS)
    folder.write((SHOP, BLOG), (), FACTS)
    folder.dynamic.write_text("garbage")
    folder.write((BLOG,), (), FACTS)
    assert folder.read() == ((BLOG,), ())
    folder.dynamic.write_text("garbage again")
    assert folder.read() == ((SHOP,), ())


def test_a_route_that_cannot_be_rendered_leaves_the_file_alone(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write((SHOP,), (), FACTS)
    with pytest.raises(RouterError):
        folder.write((Route(app_id="0c", app_name="x", hosts=("a b",), servers=()),), (), FACTS)
    assert folder.read() == ((SHOP,), ())


def test_keys_are_for_the_owner_only_and_go_when_unused(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    first = folder.keep([Certificate(host="a.example.com", chain="C1", key=Secret("K1"))])
    second = folder.keep([Certificate(host="a.example.com", chain="C2", key=Secret("K2"))])
    files = sorted((tmp_path / "certs").iterdir())
    assert len(files) == 4
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (tmp_path / "certs").stat().st_mode & 0o777 == 0o700
    folder.drop_others(second)
    assert sorted(path.read_text() for path in (tmp_path / "certs").iterdir()) == ["C2", "K2"]
    assert first != second


def test_the_digest_changes_with_what_is_read_at_start(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.prepare("a: 1") == folder.prepare("a: 1") != folder.prepare("a: 2")


def test_a_listener_is_found_with_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = ports.listener(port)
        assert found is not None
        assert "pid" in found.owner
        assert ports.listener(port, "127.0.0.1") == ports.listener(port, "0.0.0.0") == found
        assert ports.listener(port, "127.0.0.2") is None
    assert ports.listener(port) is None


def test_a_listener_on_all_addresses_of_both_families_is_in_the_way() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        assert ports.listener(port, "127.0.0.1") is not None
        assert ports.listener(port, "::1") is not None
