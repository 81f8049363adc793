"""What build stages are told about this machine's network, and when they need its CA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from paas.errors import ConfigError
from paas.model.events import silent
from paas.settings import Settings
from paas.stacks import build_env, ca_image
from tests.unit.stacks.memory import MemoryBuilder

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, {}),
        (
            {"https_proxy": "http://proxy.corp:3128", "NO_PROXY": "localhost,.corp"},
            {
                "HTTPS_PROXY": "http://proxy.corp:3128",
                "https_proxy": "http://proxy.corp:3128",
                "NO_PROXY": "localhost,.corp",
                "no_proxy": "localhost,.corp",
            },
        ),
        ({"HTTP_PROXY": "http://127.0.0.1:3128", "http_proxy": "localhost:8080"}, {}),
        (
            {"PIP_INDEX_URL": "https://pypi.corp/simple"},
            {"PIP_INDEX_URL": "https://pypi.corp/simple", "UV_DEFAULT_INDEX": "https://pypi.corp/simple"},
        ),
        (
            {"UV_DEFAULT_INDEX": "https://pypi.corp/simple"},
            {"PIP_INDEX_URL": "https://pypi.corp/simple", "UV_DEFAULT_INDEX": "https://pypi.corp/simple"},
        ),
        ({"npm_config_registry": "https://npm.corp/"}, {"NPM_CONFIG_REGISTRY": "https://npm.corp/"}),
        ({"PIP_EXTRA_INDEX_URL": "file:///opt/wheels", "PIP_INDEX_URL": "/opt/simple"}, {}),
        ({"PIP_INDEX_URL": "https://x/\nRUN evil"}, {}),
        ({"PATH": "/bin", "SECRET_TOKEN": "x", "PIP_FIND_LINKS": "/opt"}, {}),
    ],
)
def test_only_what_a_build_stage_can_reach_is_passed_on(environ: Mapping[str, str], found: Mapping[str, str]) -> None:
    assert build_env(environ) == found


def ca(tmp_path: Path, builder: MemoryBuilder, **changes: str) -> str:
    return ca_image(replace(Settings(), **changes), builder, silent, local=tmp_path / "local")  # type: ignore[arg-type]


def test_a_machine_without_certificates_of_its_own_needs_no_ca_image(tmp_path: Path) -> None:
    builder = MemoryBuilder()
    (tmp_path / "local").mkdir()
    assert ca(tmp_path, builder) == ""
    assert ca(tmp_path, builder, ca_file="/etc/ssl/certs/ca-certificates.crt") == ""
    assert builder.built == []


def test_a_bundle_that_is_named_travels_in_an_image_of_its_own_made_once(tmp_path: Path) -> None:
    builder = MemoryBuilder()
    (tmp_path / "corp.pem").write_text(PEM)
    ref = ca(tmp_path, builder, ca_file=str(tmp_path / "corp.pem"))
    assert ref.startswith("paas-base/ca:")
    assert ca(tmp_path, builder, ca_file=str(tmp_path / "corp.pem")) == ref
    assert [(made.ref, made.files) for made in builder.built] == [(ref, {"ca.pem": PEM})]
    assert builder.built[0].dockerfile.startswith("FROM scratch\n")


def test_the_machines_own_certificates_are_reason_enough(tmp_path: Path) -> None:
    builder = MemoryBuilder()
    (tmp_path / "local" / "corp").mkdir(parents=True)
    (tmp_path / "local" / "corp" / "root.crt").write_text(PEM)
    (tmp_path / "bundle.pem").write_text(PEM * 2)
    assert ca(tmp_path, builder, ca_file=str(tmp_path / "bundle.pem")).startswith("paas-base/ca:")


def test_another_bundle_is_another_image(tmp_path: Path) -> None:
    builder = MemoryBuilder()
    refs = set()
    for number in (1, 2):
        (tmp_path / "corp.pem").write_text(PEM * number)
        refs.add(ca(tmp_path, builder, ca_file=str(tmp_path / "corp.pem")))
    assert len(refs) == 2


@pytest.mark.parametrize(("body", "match"), [(None, "No such file"), ("no certificate", "holds no certificate")])
def test_a_bundle_that_is_none_is_named_with_its_setting(tmp_path: Path, body: str | None, match: str) -> None:
    if body is not None:
        (tmp_path / "corp.pem").write_text(body)
    with pytest.raises(ConfigError, match=f"^SSL_CERT_FILE: .*corp.pem.*{match}"):
        ca(tmp_path, MemoryBuilder(), ca_file=str(tmp_path / "corp.pem"))
