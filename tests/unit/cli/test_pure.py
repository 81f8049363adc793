"""The parts of the command line that need no server."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.cli import daemon, output, progress, target
from paas.cli.commands import COMMANDS, SPELLINGS, spelled
from paas.errors import ConfigError, UsageError
from paas.model.events import Event
from paas.settings import Settings


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ps:scale web=3", "ps scale web=3"),
        ("config:set A=b:c", "config set A=b:c"),
        ("pg:psql -a shop", "db shell -a shop"),
        ("apps:destroy --confirm x", "destroy --confirm x"),
        ("deploy https://x/y.git#main", "deploy https://x/y.git#main"),
        ("help ps:scale", "ps scale --help"),
        ("help", "--help"),
        ("pg:backups:capture", "db backup"),
        ("--version", "--version"),
        ("run a:b", "run a:b"),
        ("ps:autoscale:enable --min 1 --max 3", "autoscale set --min 1 --max 3"),
        ("ps:autoscale:disable", "autoscale unset"),
    ],
)
def test_a_command_may_be_spelled_as_heroku_does(typed: str, meant: str) -> None:
    assert spelled(typed.split()) == meant.split()


def test_every_other_spelling_leads_to_a_command() -> None:
    assert {meant[0] for meant in SPELLINGS.values()} <= set(COMMANDS)
    assert not set(SPELLINGS) & set(COMMANDS)


@given(st.text())
def test_escaped_text_cannot_move_a_terminals_cursor(text: str) -> None:
    shown = output.escaped(text)
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert all(char == "\t" or char.isprintable() or char not in "\n\x07\x08\x9b\u202e\u2028" for char in shown)
    shown.encode()


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("over\rwritten", "over\\rwritten"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("c1 \x9b31m", "c1 \\x9b31m"),
        ("bidi \u202etxt", "bidi \\u202etxt"),
        ("tab\tstays ünï 🎉", "tab\tstays ünï 🎉"),
    ],
)
def test_control_characters_are_shown_not_obeyed(raw: str, shown: str) -> None:
    assert output.escaped(raw) == shown


def test_a_table_has_no_borders_and_lines_up(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["name", "what"], [("a", "x\ny"), ("longer", "z")])
    assert capsys.readouterr().out == "NAME    WHAT\na       x\\ny\nlonger  z\n"
    output.table(["name"], [], empty="nothing here")
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("", "nothing here\n")


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 kB"), (536870912, "512 MB"), (None, "-"), (1 << 42, "4096 GB")],
)
def test_sizes_are_short(count: int | None, words: str) -> None:
    assert output.size(count) == words


def test_the_app_is_found_by_flag_then_environment_then_files_then_folder(tmp_path: Path) -> None:
    folder = tmp_path / "My Shop_2"
    folder.mkdir()
    assert target.app_of("", folder, {}) == "my-shop-2"
    (folder / ".paas").mkdir()
    (folder / ".paas" / "app").write_text("linked\n")
    assert target.app_of("", folder, {}) == "linked"
    (folder / "app.json").write_text('{"name": "From JSON"}')
    assert target.app_of("", folder, {}) == "from-json"
    (folder / "paas.toml").write_text('name = "from-toml"\n')
    assert target.app_of("", folder, {}) == "from-toml"
    assert target.app_of("", folder, {"PAAS_APP": "from-env"}) == "from-env"
    assert target.app_of("flag", folder, {"PAAS_APP": "from-env"}) == "flag"


@pytest.mark.parametrize(
    ("url", "app"),
    [
        ("paas::shop-test", "shop-test"),
        ("ssh://root@paas.example.com:2222/shop-test", "shop-test"),
        ("https://paas.example.com/git/shop-test.git", "shop-test"),
        ("https://example.com/team/shop-test.git", "from-json"),
        ("ssh://git@example.com/srv/git/shop-test.git", "from-json"),
        ("paas::--help", "from-json"),
        ("root@paas.example.com:shop-test", "shop-test"),
        ("root@paas.example.com:/shop-test.git", "shop-test"),
        ("paas.example.com:shop-test.git", "shop-test"),
        ("root@[2001:db8::1]:shop-test", "shop-test"),
        ("git@example.com:team/shop-test.git", "from-json"),
        ("root@paas.example.com:--help", "from-json"),
        ("../shop-test", "from-json"),
        ("/srv/git:shop-test", "from-json"),
    ],
)
def test_the_remote_that_is_pushed_to_names_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, app: str
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "another"))
    (tmp_path / ".git").mkdir()
    for name, text in (("HEAD", "ref: refs/heads/main\n"), ("config", f'[remote "paas"]\n\turl = {url}\n')):
        (tmp_path / ".git" / name).write_text(text)
    for name in ("objects", "refs"):
        (tmp_path / ".git" / name).mkdir()
    (tmp_path / "app.json").write_text('{"name": "From JSON"}')
    assert target.app_of("", tmp_path, {}) == app
    (tmp_path / "paas.toml").write_text('name = "from-toml"\n')
    assert target.app_of("", tmp_path, {}) == "from-toml"


def test_a_folder_below_a_repository_is_an_app_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "services" / "mail").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text('[remote "paas"]\n\turl = paas::shop\n')
    assert target.app_of("", tmp_path / "services" / "mail", {}) == "mail"


def test_an_app_that_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "123"
    folder.mkdir()
    with pytest.raises(UsageError, match="which app"):
        target.app_of("", folder, {})


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "paas.toml").write_text("name = \n")
    with pytest.raises(ConfigError, match=r"paas\.toml"):
        target.app_of("", tmp_path, {})


@pytest.mark.parametrize("name", ["a;id", "$(id)", "-rf", "../x", "UPPER", "a/b", "a b", "a\n", "é", "x" * 65, "x_y"])
def test_what_cannot_be_an_app_is_refused_before_it_is_sent(name: str) -> None:
    with pytest.raises(UsageError):
        target.app_of(name)


@given(st.text())
def test_a_folders_name_made_fit_is_a_name_or_nothing(text: str) -> None:
    from paas.model.names import APP

    found = target.sanitised(text)
    assert not found or APP.fullmatch(found)


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (Event(kind="step", message="build"), ["- build"]),
        (Event(kind="done", message="build", data={"seconds": 0.2}), []),
        (Event(kind="done", message="build", data={"seconds": 2.34}), ["  done in 2.3 s"]),
        (Event(kind="output", message="a\nb\x1b[2J"), ["    a", "    b\\x1b[2J"]),
        (Event(kind="warning", message="careful"), ["warning: careful"]),
        (Event(kind="postdeploy.failed", message="exited\nwith 3"), ["warning: exited", "  with 3"]),
        (Event(kind="note", message="by the way"), ["  by the way"]),
        (Event(kind="result", message=""), []),
        (Event(kind="audit", message="who"), []),
        (Event(kind="something new", message="still told"), ["  still told"]),
    ],
)
def test_events_become_plain_lines(event: Event, lines: list[str]) -> None:
    assert progress.lines_of(event) == lines


def test_the_unit_runs_this_python_and_takes_its_environment_from_a_file() -> None:
    text = daemon.unit("/opt/my venv/bin/python", Path("/var/lib/paas/server.env"))
    assert "ExecStart=/opt/my\\x20venv/bin/python -m paas.server" in text
    assert "EnvironmentFile=-/var/lib/paas/server.env" in text
    assert "Restart=on-failure" in text


def test_the_unit_gets_settings_and_the_way_to_the_network_and_nothing_else() -> None:
    given_ = {
        "PAAS_DOMAIN": "x.org",
        "https_proxy": "http://p",
        "SSL_CERT_FILE": "/ca",
        "AWS_SECRET": "s",
        "PATH": "/bin",
    }
    kept = daemon.environment(given_)
    assert kept == {
        "PAAS_DOMAIN": "x.org", "https_proxy": "http://p", "SSL_CERT_FILE": "/ca", "PATH": "/bin",
        "MALLOC_ARENA_MAX": "2",
    }  # fmt: skip


def test_another_platform_than_the_usual_one_is_never_systemds(tmp_path: Path) -> None:
    assert not daemon.systemd(Settings(home=tmp_path))
    assert not daemon.systemd(Settings(instance="other"))


def test_a_home_nobody_owns_is_not_owned(tmp_path: Path) -> None:
    assert not daemon.owned(Settings(home=tmp_path / "none"))
    assert not daemon.owned(Settings(home=tmp_path))
