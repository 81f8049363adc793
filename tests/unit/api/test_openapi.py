"""The OpenAPI document against the answers of a real server: schemathesis makes requests of it, good and bad."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from paas.requests.all import all_requests
from paas.server.openapi import document
from tests.unit.permissions.world import BOSS, World, world

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
THERE = {"app": "mine", "addon": "mine-db", "team": "our-team", "user": "bob", "operation": "01230a0a0a0a"}
EXAMPLES = 60 if settings.get_current_profile_name() == "fuzz" else 8
"""Of each request and each of two callers."""
schema = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def server() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="paas-t-") as name, world(Path(name), acting=True) as found:
        yield found


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("who", ["server", "viewer"])
def test_no_request_gets_an_answer_that_is_not_in_the_document(
    server: World, case: schemathesis.Case, who: str
) -> None:
    if "follow" in case.query:
        case.query["follow"] = "false"  # it would never end
    for name, known in THERE.items():
        if name in case.path_parameters and len(str(case.path_parameters[name])) % 2:
            case.path_parameters[name] = known
    # One of its own for each: some requests end the token they come with.
    token = BOSS if who == "server" else server.token(server.store.user("app-viewer"))
    case.call_and_validate(
        base_url=f"http://{server.settings.listen}", headers={"Authorization": f"Bearer {token}"}, checks=CHECKS,
        timeout=60,
    )  # fmt: skip


def test_the_document_is_for_who_is_logged_in(server: World) -> None:
    assert server.get("/openapi.json").status_code == 401
    found = server.get("/openapi.json", server.tokens["app:viewer"])
    assert found.status_code == 200
    assert found.json() == document()
    assert {kind.path for kind in all_requests() if kind.shape != "session"} <= found.json()["paths"].keys()
