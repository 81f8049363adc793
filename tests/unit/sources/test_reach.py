"""Where git may go for a source, with real git against a real server: addresses of this machine and of private networks
are refused, names are not asked for again, redirects are not followed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from paas.egress.connect import Place
from paas.egress.policy import Policy
from paas.errors import ConfigError, Denied, NotFound, PaasError, UsageError
from paas.model.events import silent
from paas.sources import clone
from paas.sources.clone import _prepare, _Remote, _try_fetch, pinned
from tests.git_server import GitServer, git_server
from tests.unit.routers.authority import issued
from tests.unit.sources.test_clone import HERE, git
from tests.unit.sources.test_submodules import app, push


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    """A server with the repository `app`."""
    folder = tmp_path / "served" / "app"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text("print(1)\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "First")
    with git_server(tmp_path / "served") as found:
        yield found


INTERNAL = [
    "http://127.0.0.1:9000/x",
    "http://169.254.169.254/latest/meta-data",
    "http://[::1]/x",
    "http://[::ffff:127.0.0.1]/x",
    "https://10.0.0.1/x",
    "http://localhost/x",
    "ssh://git@127.0.0.1/x",
    "ssh://git@192.168.1.1:2222/x",
    "git@127.0.0.1:x",
    "git@localhost:x",
]


@pytest.mark.parametrize("url", INTERNAL)
def test_internal_addresses_never_reach_git(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # git would not even be found
    with pytest.raises(Denied, match="does not connect there"):
        clone(url, tmp_path / "into", emit=silent, timeout=10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"])
def test_addresses_in_another_notation_never_reach_git(host: str, tmp_path: Path) -> None:
    for url in (f"http://{host}/x", f"git@{host}:x", f"ssh://git@{host}/x"):
        with pytest.raises(UsageError):
            clone(url, tmp_path / "into", emit=silent, timeout=10)


def test_what_the_operator_allows_is_fetched(server: GitServer, tmp_path: Path) -> None:
    source = clone(server.url("app"), tmp_path / "into", emit=silent, timeout=30, policy=HERE)
    assert (tmp_path / "into" / "app.py").exists()
    assert source.message == "First"
    clone(server.url("app", "localhost"), tmp_path / "by-name", emit=silent, timeout=30, policy=Policy.of("localhost"))


def test_git_does_not_ask_the_resolver_again(server: GitServer, tmp_path: Path) -> None:
    """A name that no resolver knows is fetched from the address it had when it was checked."""
    place = Place("app.invalid", server.port, (ip_address("127.0.0.1"),))
    url = server.url("app", "app.invalid")
    remote = _Remote(url, "HEAD", ("http",), time.monotonic() + 30, silent, place)
    repository = tmp_path / "repository"
    repository.mkdir()
    _prepare(repository, remote)
    assert _try_fetch(repository, remote, ["HEAD"]) == ()
    assert server.asked


def test_a_redirect_to_an_internal_address_is_not_followed(server: GitServer, tmp_path: Path) -> None:
    with git_server(tmp_path / "served") as inside:
        server.moved["old"] = inside.url("app")
        with pytest.raises(NotFound, match="leads to another address"):
            clone(server.url("old"), tmp_path / "into", emit=silent, timeout=30, policy=HERE)
        assert inside.asked == []


def test_ssh_goes_to_the_address_that_was_checked_and_knows_the_host_by_its_name() -> None:
    options, ssh = pinned(Place("git.example", 2222, (ip_address("93.184.216.34"),)))
    assert ssh.startswith(" -oHostName=93.184.216.34 -oHostKeyAlias=[git.example]:2222 -oCheckHostIP=no ")
    assert "http.curloptResolve=git.example:2222:93.184.216.34" in options
    assert "http.followRedirects=false" in options


def test_a_password_of_the_servers_user_is_for_hosts_that_are_allowed_by_name_alone(
    server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine localhost login boss password hunter2\n")
    (home / ".gitconfig").write_text('[http]\n\textraHeader = "Authorization: Basic aHVudGVyMg=="\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    server.locked, url = True, server.url("app", "localhost")
    with pytest.raises(NotFound, match="asks for a login"):
        clone(url, tmp_path / "into", emit=silent, timeout=30, policy=Policy.of("127.0.0.0/8, ::1"))
    assert server.shown == []
    clone(url, tmp_path / "lent", emit=silent, timeout=30, policy=Policy.of("localhost"))
    assert server.shown


@pytest.mark.parametrize(("allow", "lent"), [("127.0.0.0/8, ::1", False), ("localhost", True)])
def test_so_are_its_ssh_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allow: str, lent: bool) -> None:
    """With an `ssh` that writes down what it was told, and connects to nothing."""
    told, program = tmp_path / "told", tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {told}\necho Permission denied >&2\nexit 255\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with pytest.raises(NotFound):
        clone("ssh://git@localhost:2222/x", tmp_path / "into", emit=silent, timeout=30, policy=Policy.of(allow))
    assert ("-F none" not in told.read_text()) == lent
    assert ("-oIdentityAgent=none" not in told.read_text()) == lent
    assert ("-oUserKnownHostsFile=/dev/null" not in told.read_text()) == lent


def test_a_submodule_does_not_lead_where_its_app_may_not(server: GitServer, tmp_path: Path) -> None:
    commit = git(tmp_path / "served" / "app", "rev-parse", "HEAD")
    repository = app(tmp_path / "app", ("lib", server.url("app").replace("http:", "https:"), commit))
    with pytest.raises(Denied):
        push(repository, tmp_path / "into", [])
    plain = app(tmp_path / "plain", ("lib", server.url("app"), commit))
    with pytest.raises(PaasError):
        push(plain, tmp_path / "into2", [], schemes=("http",))
    assert server.asked == []


def test_a_git_server_of_a_companys_authority_is_trusted_by_the_bundle_that_is_named(
    server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_SSL_CAINFO", raising=False)
    pair = issued("localhost", start=-200, days=3000)
    bundle, both = tmp_path / "bundle.pem", tmp_path / "both.pem"
    bundle.write_text(pair.pem)
    both.write_text(pair.pem + pair.key_pem)
    policy = Policy.of("127.0.0.0/8, ::1")
    with git_server(tmp_path / "served", both) as secure:
        url = secure.url("app", "localhost")
        with pytest.raises(ConfigError, match="does not trust") as caught:
            clone(url, tmp_path / "not", emit=silent, timeout=30, policy=policy)
        assert "SSL_CERT_FILE" in caught.value.hint
        clone(url, tmp_path / "into", emit=silent, timeout=30, policy=policy, ca_file=str(bundle))
    assert (tmp_path / "into" / "app.py").exists()
