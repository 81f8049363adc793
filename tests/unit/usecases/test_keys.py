"""SSH keys that may push: what is written for sshd, what is refused, and that nothing else in the file changes."""

from __future__ import annotations

import base64
import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest

from paas.errors import ConfigError, Conflict, NotFound, UsageError
from paas.model.people import NOTHING, Actor, User
from paas.requests.git import AddKey, ListKeys, RemoveKey
from paas.usecases.keys import MOST_KEYS, Key, add_key, list_keys, remove_key
from tests.unit.usecases.parts import Parts, parts

BEFORE = b"# my own keys\nssh-rsa AAAAB3Nz me\xff@laptop"


def public(seed: int, kind: str = "ssh-ed25519", comment: str = "someone@laptop") -> str:
    """The line of a .pub file."""
    name = kind.encode()
    blob = len(name).to_bytes(4, "big") + name + (32).to_bytes(4, "big") + bytes([seed]) * 32
    return f"{kind} {base64.b64encode(blob).decode()} {comment}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ssh" / "authorized_keys"


@pytest.fixture
def platform(tmp_path: Path, file: Path) -> Parts:
    return parts(tmp_path / "the home", ssh_keys=str(file))


def add(platform: Parts, name: str, line: str) -> Key:
    return add_key(platform.context, AddKey(name=name, public=line), platform.act)


def names(platform: Parts) -> list[str]:
    return [key.name for key in list_keys(platform.context, ListKeys(), platform.act)]


def test_a_key_gets_one_command_and_nothing_else(platform: Parts, file: Path) -> None:
    key = add(platform, "alice", public(1))
    assert key.kind == "ssh-ed25519"
    assert key.fingerprint.startswith("SHA256:")
    line = next(line for line in file.read_text().splitlines() if line.startswith("command="))
    assert line.startswith('command="exec env -i \\"SSH_ORIGINAL_COMMAND=$SSH_ORIGINAL_COMMAND\\" PAAS_HOME=')
    assert f"'{platform.context.settings.home}'" in line, "a folder with a blank is quoted for the shell"
    assert ' git-shell alice",restrict ssh-ed25519 ' in line
    assert "someone@laptop" not in line
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_where_to_push_with_it_is_told_as_far_as_it_is_known(tmp_path: Path, file: Path) -> None:
    user = pwd.getpwuid(os.geteuid()).pw_name
    known = parts(tmp_path / "a", ssh_keys=str(file), platform_domain="paas.example.com")
    request = AddKey(name="alice", public=public(1))
    assert add_key(known.context, request, known.act).remote == f"ssh://{user}@paas.example.com/"
    none = parts(tmp_path / "b", ssh_keys=str(tmp_path / "others"))
    assert add_key(none.context, request, none.act).remote == f"ssh://{user}@HOST/"


def test_what_else_stands_in_the_file_stays_byte_for_byte(platform: Parts, file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(BEFORE)
    file.chmod(0o640)
    add(platform, "alice", public(1))
    with file.open("ab") as more:
        more.write(b"ssh-rsa AAAAC3Nz added-later\n")
    add(platform, "bob", public(2))
    assert names(platform) == ["alice", "bob"]
    remove_key(platform.context, RemoveKey(name="alice"), platform.act)
    assert names(platform) == ["bob"]
    remove_key(platform.context, RemoveKey(name="bob"), platform.act)
    assert file.read_bytes() == BEFORE + b"\nssh-rsa AAAAC3Nz added-later\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in file.parent.iterdir()] == ["authorized_keys"]


def test_a_user_has_so_many_keys_and_keeps_no_other_from_having_one(platform: Parts) -> None:
    def add_as(user: str, number: int) -> None:
        who = Actor(name=user, via="token", user_id=f"0{user}", access=NOTHING)
        request = AddKey(name=f"key-{number}", public=public(number + (100 if user == "ann" else 0)))
        add_key(platform.context, request, replace(platform.act, actor=user, who=who))

    for name in ("bob", "ann"):
        platform.context.store.add_user(User(id=f"0{name}", name=name, created_at=1.0))
    for number in range(MOST_KEYS):
        add_as("bob", number)
    with pytest.raises(Conflict, match="you have 50 keys"):
        add_as("bob", MOST_KEYS)
    add_as("ann", 0)


def test_a_name_and_a_key_are_there_once(platform: Parts) -> None:
    add(platform, "alice", public(1))
    with pytest.raises(Conflict, match="a key alice already"):
        add(platform, "alice", public(2))
    with pytest.raises(Conflict, match="there already, as alice"):
        add(platform, "bob", public(1))


def test_a_key_that_may_log_in_already_is_refused_because_sshd_would_give_it_a_shell(
    platform: Parts, file: Path
) -> None:
    file.parent.mkdir()
    file.write_text(public(1))
    with pytest.raises(Conflict, match="may log in here already"):
        add(platform, "alice", public(1))
    assert file.read_text() == public(1)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 not-base64 me",
        "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-rsa-abc").decode(),
        public(1).replace("ssh-ed25519", "ssh-dss"),
        'command="id" ' + public(1),
        "no-pty " + public(1),
        public(1) + public(2),
        public(1).strip()[:30],
        "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n",
    ],
)
def test_what_is_no_single_public_key_is_refused(platform: Parts, file: Path, line: str) -> None:
    with pytest.raises(UsageError):
        add(platform, "alice", line)
    assert not file.exists()


@pytest.mark.parametrize("name", ["", "a b", "a\nb", 'x"y', "$(id)", "../x", "-x", "a" * 64, "é"])
def test_a_name_cannot_become_part_of_a_command(platform: Parts, file: Path, name: str) -> None:
    with pytest.raises(UsageError):
        add(platform, name, public(1))
    assert not file.exists()


def test_an_unknown_key_is_not_removed(platform: Parts) -> None:
    add(platform, "alice", public(1))
    with pytest.raises(NotFound, match="no key 'bob'") as caught:
        remove_key(platform.context, RemoveKey(name="bob"), platform.act)
    assert "alice" in caught.value.hint


def test_lines_that_were_changed_by_hand_are_not_written_over(platform: Parts, file: Path) -> None:
    add(platform, "alice", public(1))
    for changed in (
        file.read_text().replace(",restrict", ""),
        file.read_text().replace("# paas paas: end\n", ""),
    ):
        file.write_text(changed)
        with pytest.raises(ConfigError, match="changed by hand"):
            add(platform, "bob", public(2))
        assert file.read_text() == changed
