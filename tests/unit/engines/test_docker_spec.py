"""What the Engine is told for a spec, as values, and what its labels tell back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.engines.docker_spec import (
    ADDON_CAPABILITIES,
    Act,
    Listed,
    acts,
    addresses,
    container,
    container_name,
    labels,
    listed,
    networks,
    notes,
    oneoff,
    signalled,
    stopping_name,
    tags,
)
from paas.model.secret import Secret
from paas.model.service import HealthCheck, HealthKind, Limits, Mount, ServiceSpec

SPEC = ServiceSpec(
    app_id="0123abcd",
    app_name="shop",
    process="web",
    release=12,
    image="sha256:feed",
    command=("/bin/sh", "-c", "exec gunicorn app:app"),
    env={"SECRET_KEY": Secret("s3cr3t-value"), "PORT": Secret("8000")},
    port=8000,
    limits=Limits(memory=256 << 20, cpus=0.5, pids=100),
    health=HealthCheck(kind=HealthKind.HTTP, path="/up", passes=2),
    stop_grace=12.5,
    networks=("paas-0123abcd",),
)


def test_a_replica_is_told_to_the_engine_in_full() -> None:
    body = container(SPEC, 2, "paas")
    assert body.pop("Labels") == labels(SPEC, 2, "paas")
    assert body == {
        "Image": "sha256:feed",
        "Cmd": ["/bin/sh", "-c", "exec gunicorn app:app"],
        "Env": ["PAAS_PROCESS=web.2", "PORT=8000", "SECRET_KEY=s3cr3t-value"],
        "StopSignal": "SIGTERM",
        "StopTimeout": 13,
        "NetworkingConfig": {"EndpointsConfig": {"paas-0123abcd": {}}},
        "HostConfig": {
            "Init": True,
            "RestartPolicy": {"Name": "unless-stopped"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "NetworkMode": "paas-0123abcd",
            "Mounts": [],
            "Memory": 256 << 20,
            "MemorySwap": 256 << 20,
            "NanoCpus": 500_000_000,
            "PidsLimit": 100,
        },
    }


def test_an_addon_has_its_volume_its_alias_and_what_a_database_needs() -> None:
    spec = replace(
        SPEC,
        kind="addon",
        alias="db",
        user="postgres",
        mounts=(Mount("paas-db-1", "/var/lib/data"),),
        networks=("paas-aaaaaaaa", "paas-bbbbbbbb"),
    )
    body = container(spec, 1, "paas")
    assert body["User"] == "postgres"
    assert body["HostConfig"]["CapAdd"] == list(ADDON_CAPABILITIES)
    assert body["HostConfig"]["Mounts"] == [
        {"Type": "volume", "Source": "paas-db-1", "Target": "/var/lib/data"},
    ]
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"paas-aaaaaaaa": {"Aliases": ["db"]}}}


def test_no_limit_and_no_command_leave_no_key() -> None:
    body = container(replace(SPEC, limits=Limits(memory=0, cpus=0, pids=0), command=()), 1, "paas")
    assert "Cmd" not in body
    assert not {"Memory", "MemorySwap", "NanoCpus", "PidsLimit"} & set(body["HostConfig"])


def test_a_one_off_keeps_no_log_is_not_restarted_and_has_its_streams() -> None:
    body = oneoff(replace(SPEC, kind="oneoff", process="run"), "a1b2c3", "paas", tty=True, stdin=True, until=99)
    assert body["HostConfig"]["RestartPolicy"] == {"Name": "no"}
    assert body["HostConfig"]["LogConfig"]["Type"] == "none"
    assert (body["Tty"], body["OpenStdin"], body["StdinOnce"], body["AttachStdin"]) == (True, True, True, True)
    assert "PAAS_PROCESS=run.a1b2c3" in body["Env"]
    assert (body["Labels"]["paas.kind"], body["Labels"]["paas.until"]) == ("oneoff", "99")


def test_a_service_without_networks_gets_its_own_and_a_one_off_none() -> None:
    assert networks(replace(SPEC, networks=()), "paas") == ("paas-0123abcd",)
    assert networks(replace(SPEC, networks=(), kind="oneoff"), "paas") == ()


def test_names_say_instance_app_process_release_and_index() -> None:
    assert container_name(SPEC, 3, "paas") == "paas-shop-web-v12-3"


@pytest.mark.parametrize(
    ("name", "started_at", "at"),
    [
        ("paas-shop-web-v12-3", 0.0, 0),
        (stopping_name("paas-shop-web-v12-3", 1000.9), 1000.5, 1000),
        (stopping_name(stopping_name("paas-shop-web-v12-3", 5.0), 1000.0), 999.0, 1000),
        (stopping_name("paas-shop-web-v12-3", 1000.0), 1001.0, 0),
        ("paas-now-stopping-web-v1-1", 0.0, 0),
        ("x-stopping-", 0.0, 0),
        ("x-stopping-99999999999999999999", 0.0, 0),
    ],
)
def test_a_name_says_since_when_a_container_is_stopping_in_this_run(name: str, started_at: float, at: int) -> None:
    assert signalled(name, started_at) == at
    assert name.count("-stopping-") < 2


def test_labels_hold_what_observe_needs_and_nothing_secret() -> None:
    found = labels(SPEC, 2, "paas")
    assert "s3cr3t" not in json.dumps(found)
    read = tags(found)
    assert read is not None
    assert (read.key, read.app_name, read.kind, read.index, read.core) == (SPEC.key, "shop", "replica", 2, SPEC.core)
    assert read.notes == notes(SPEC)
    assert read.notes.health == SPEC.health
    assert all(isinstance(value, str) for value in found.values())


def test_labels_of_something_else_are_no_tags() -> None:
    assert tags({}) is None
    assert tags({"paas.instance": "paas", "paas.kind": "router"}) is None


@given(st.text())
def test_damaged_labels_are_read_as_defaults(text: str) -> None:
    read = tags({"paas.app": "0123abcd", "paas.process": "web", "paas.spec": text, "paas.replica": text})
    assert read is not None
    assert read.notes.health.kind is HealthKind.RUNNING


def test_notes_of_a_newer_version_are_read_as_far_as_they_are_known() -> None:
    data = json.loads(labels(SPEC, 1, "paas")["paas.spec"])
    data["new"] = 1
    data["health"]["new"] = 2
    del data["health"]["settle"]
    read = tags({"paas.app": "0123abcd", "paas.process": "web", "paas.spec": json.dumps(data)})
    assert read is not None
    assert read.notes == notes(SPEC)


def there(index: int, spec: ServiceSpec = SPEC, status: str = "running", **nets: str) -> Listed:
    read = tags(labels(spec, index, "paas"))
    assert read is not None
    joined = nets or dict.fromkeys(networks(spec, "paas"), "10.0.0.2")
    return Listed(id=f"c{index}", status=status, tags=read, networks=joined)


def verbs(found: tuple[Act, ...]) -> list[tuple[int, str]]:
    return [(act.index, act.verb) for act in found]


def test_nothing_there_means_create() -> None:
    assert verbs(acts(SPEC, 2, [], "paas")) == [(1, "create"), (2, "create")]


def test_what_runs_is_kept_and_what_is_dead_started() -> None:
    present = [there(1), there(2, status="exited"), there(3, status="created"), there(4, status="restarting")]
    assert verbs(acts(SPEC, 4, present, "paas")) == [(1, "keep"), (2, "start"), (3, "start"), (4, "keep")]


def test_gaps_are_filled_with_the_lowest_free_index() -> None:
    assert verbs(acts(SPEC, 3, [there(2)], "paas")) == [(2, "keep"), (1, "create"), (3, "create")]
    assert verbs(acts(SPEC, 2, [there(2), there(3)], "paas")) == [(2, "keep"), (3, "keep")]


def test_surplus_is_left_alone() -> None:
    assert verbs(acts(SPEC, 1, [there(1), there(2)], "paas")) == [(1, "keep")]


def test_those_on_their_way_out_keep_their_index_and_nothing_else() -> None:
    present = [there(1, status="exited"), there(2), there(3)]
    assert verbs(acts(SPEC, 3, present, "paas", ["c1", "c3"])) == [(2, "keep"), (4, "create"), (5, "create")]
    assert verbs(acts(SPEC, 1, present, "paas", ["c1", "c3"])) == [(2, "keep")]


def test_another_spec_and_a_corpse_are_replaced() -> None:
    other = replace(SPEC, env={"SECRET_KEY": Secret("new")})
    assert verbs(acts(SPEC, 2, [there(1, other), there(2, status="dead")], "paas")) == [(1, "replace"), (2, "replace")]


def test_what_is_being_removed_does_not_count() -> None:
    assert verbs(acts(SPEC, 1, [there(1, status="removing")], "paas")) == [(1, "create")]


def test_networks_alone_are_changed_in_place() -> None:
    spec = replace(SPEC, kind="addon", networks=("paas-aaaaaaaa", "paas-bbbbbbbb"))
    present = Listed(
        id="c1", status="running", tags=there(1, spec).tags, networks={"paas-bbbbbbbb": "", "paas-cccccccc": ""}
    )
    (act,) = acts(spec, 1, [present], "paas")
    assert (act.verb, act.connect, act.disconnect) == ("keep", ("paas-aaaaaaaa",), ("paas-cccccccc",))


@given(st.integers(0, 6), st.sets(st.integers(1, 8)))
def test_acts_lead_to_at_least_the_wanted_number_and_are_then_done(wanted: int, indexes: set[int]) -> None:
    present = [there(index) for index in indexes]
    made = [there(act.index) for act in acts(SPEC, wanted, present, "paas") if act.verb == "create"]
    assert len({one.tags.index for one in present + made}) == max(wanted, len(indexes))
    assert all(act.verb == "keep" for act in acts(SPEC, wanted, present + made, "paas"))


def test_a_list_entry_is_read() -> None:
    entry = {
        "Id": "abc",
        "State": "running",
        "Created": 5,
        "Labels": labels(SPEC, 1, "paas"),
        "NetworkSettings": {"Networks": {"paas-0123abcd": {"IPAddress": "10.1.2.3"}, "x": None}},
    }
    one = listed(entry)
    assert one is not None
    assert (one.id, one.status, one.tags.index) == ("abc", "running", 1)
    assert one.networks == addresses(entry) == {"paas-0123abcd": "10.1.2.3", "x": ""}
    assert listed({"Id": "x", "Labels": None}) is None
