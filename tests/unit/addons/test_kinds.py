"""Addon kinds: what stands in templates/addons is read, checked, and turned into services and commands."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from paas import bundled
from paas.addons import kinds, services
from paas.errors import ConfigError, NotFound
from paas.model.app import Addon
from paas.model.secret import Secret

POSTGRES = kinds.kind("postgres")
ADDON = Addon(
    id="0d0d0d0d", name="shop-postgres", kind="postgres", version="17", image="sha256:1", created_at=0.0,
    volume=services.volume_name("paas", "0d0d0d0d"),
    secrets={
        "user": Secret("u1"), "password": Secret("p{user}1"), "database": Secret("d1"), "admin_password": Secret("a1"),
    },
)  # fmt: skip


def changed(folder: Path, **changes: Any) -> Path:
    """A copy of the PostgreSQL folder with other values in its addon.yml (None: the key is gone)."""
    target = folder / "postgres"
    shutil.copytree(bundled.templates() / "addons" / "postgres", target)
    document = yaml.safe_load((target / "addon.yml").read_text()) | changes
    kept = {key: value for key, value in document.items() if value is not None}
    (target / "addon.yml").write_text(yaml.safe_dump(kept))
    return target


def test_every_folder_is_a_kind(tmp_path: Path) -> None:
    changed(tmp_path)
    shutil.copytree(tmp_path / "postgres", tmp_path / "another")
    assert [kind.name for kind in kinds.load(tmp_path)] == ["another", "postgres"]
    assert kinds.load(tmp_path)[0] == replace(kinds.load(tmp_path)[1], name="another")


def test_all_kinds_of_this_installation_can_be_read() -> None:
    folders = {path.parent.name for path in (bundled.templates() / "addons").glob("*/addon.yml")}
    assert {kind.name for kind in kinds.load()} == folders >= {"postgres"}


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(NotFound) as refused:
        kinds.kind("postgre")
    assert "postgres" in refused.value.hint


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"port": 70000}, "port"),
        ({"port": None}, "port"),
        ({"ports": 1}, "ports"),
        ({"alias": "database"}, "alias"),
        ({"volume": "data"}, "volume"),
        ({"volume": "/var/../etc"}, "volume"),
        ({"url": "postgresql://{nobody}"}, "url"),
        ({"url": "postgresql://{user"}, "url"),
        ({"secrets": {"user": "text"}}, "secrets.user"),
        ({"env": {"A": "{nothing}"}}, "env.A"),
        ({"stop_signal": "INT; rm"}, "stop_signal"),
        ({"limits": {"memory": "much"}}, "limits.memory"),
        ({"health": {}}, "health.command"),
        ({"restore": []}, "restore"),
        ({"setup": [{"run": []}]}, "setup.0.run"),
        ({"setup": [{"run": ["psql"], "stdin": "no.sql"}]}, "setup.0.stdin"),
        ({"setup": [{"run": ["psql"], "stdin": "../postgres/setup.sql"}]}, "setup.0.stdin"),
        ({"shell": {"run": ["psql", "{password}"]}}, "shell.run"),
        ({"facts": {"run": ["psql"], "env": {"X": "{nothing}"}}}, "facts.env.X"),
    ],
)
def test_a_mistake_is_told_with_file_and_key(tmp_path: Path, changes: dict[str, Any], key: str) -> None:
    folder = changed(tmp_path, **changes)
    with pytest.raises(ConfigError) as refused:
        kinds.read(folder)
    assert refused.value.where == f"{folder / 'addon.yml'}: {key}"


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "\0"])
def test_what_is_no_document_is_told_with_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "addon.yml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(str(tmp_path / "addon.yml"))):
        kinds.read(tmp_path)


# --- services -----------------------------------------------------------------------------------------------------


def test_the_service_of_a_database() -> None:
    spec = services.service(ADDON, POSTGRES, instance="paas", app_ids=["bb", "aa", "aa"])
    assert (spec.kind, spec.process, spec.release, spec.alias) == ("addon", "addon", 1, "shop-postgres")
    assert spec.networks == ("paas-aa", "paas-bb")
    assert spec.stop_signal == "SIGINT"
    assert spec.env["POSTGRES_PASSWORD"] == Secret("a1")
    (mount,) = spec.mounts
    assert mount.volume == "paas-addon-0d0d0d0d"
    data = spec.env["PGDATA"].reveal()
    assert data.startswith(f"{mount.path}/"), "below the mount: an empty one must never hide the data"


def test_the_volume_is_keyed_by_the_id_not_by_the_name() -> None:
    other = replace(ADDON, id="0e0e0e0e")
    assert services.volume_name("paas", other.id) != services.volume_name("paas", ADDON.id)


def test_the_url_names_role_password_host_port_and_database() -> None:
    url = services.url(ADDON, POSTGRES)
    assert url.reveal() == "postgresql://u1:p{user}1@shop-postgres:5432/d1", "a value is never looked into"
    assert "p{user}1" not in f"{url}"


def test_no_command_carries_a_password_where_other_processes_can_read_it() -> None:
    commands = [*POSTGRES.setup, POSTGRES.shell, POSTGRES.facts, POSTGRES.backup, POSTGRES.verify]
    for command in (*commands, *POSTGRES.restore, *POSTGRES.abandon):
        call = services.call(command, ADDON, POSTGRES)
        assert not {"p{user}1", "a1"} & set(" ".join(call.run).split())
        assert "{" not in " ".join(call.run)
        assert "p{user}1" not in call.script


def test_generated_values_need_no_quoting_and_are_never_the_same() -> None:
    made = [services.new_secrets(POSTGRES) for _ in range(50)]
    for values in made:
        assert set(values) == set(POSTGRES.secrets)
        for name in ("user", "database"):
            assert re.fullmatch(r"[a-z][0-9a-f]{15}", values[name].reveal())
        for name in ("password", "admin_password"):
            assert re.fullmatch(r"[A-Za-z0-9_-]{32}", values[name].reveal())
    assert len({value.reveal() for values in made for value in values.values()}) == 200


def test_aliases_of_further_attachments_come_from_the_name() -> None:
    assert services.free_alias(POSTGRES, "shop-postgres-2", []) == "DATABASE"
    assert services.free_alias(POSTGRES, "shop-postgres-2", ["DATABASE"]) == "SHOP_POSTGRES_2"
    taken = ["DATABASE", "SHOP_POSTGRES_2"]
    assert services.free_alias(POSTGRES, "shop-postgres-2", taken) == "SHOP_POSTGRES_2_2"
