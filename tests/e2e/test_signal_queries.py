"""Queries of signals on a real PostgreSQL: they read one number, as the app, and can do nothing else for long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from paas.errors import PlatformError
from paas.model.app import Addon
from paas.plan.custom_values import of_query
from paas.usecases import addon_service
from tests.e2e.addon_lab import Lab, eventually, healthy

pytestmark = pytest.mark.docker

MADE = """
CREATE TABLE jobs (id serial PRIMARY KEY, done bool NOT NULL DEFAULT false);
INSERT INTO jobs SELECT FROM generate_series(1, 30);
CREATE FUNCTION spend() RETURNS bigint LANGUAGE sql AS $$ UPDATE jobs SET done = true RETURNING 1::bigint $$;
CREATE FUNCTION loosen() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('transaction_read_only', 'off', false);
  UPDATE jobs SET done = true;
  RETURN 1;
END $$;
CREATE SEQUENCE numbers;
"""


@pytest.fixture(scope="module")
def lab(bases: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("queries"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def database(lab: Lab) -> Addon:
    lab.app("shop")
    made = lab.create(app="shop")
    lab.sql(made.name, MADE)
    return made


def asked(lab: Lab, database: Addon, query: str) -> float:
    service = addon_service.observed(lab.context, database)
    assert service is not None
    return of_query(addon_service.asked(lab.context, database, service.healthy[0], query))


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("SELECT count(*) FROM jobs WHERE NOT done", 30),
        (" select -1.5 ; ", -1.5),
        ("WITH a AS (SELECT 2 AS b) SELECT b * 1e20 FROM a -- a word", 2e20),
        ("VALUES (7)", 7),
        ("SELECT id FROM jobs ORDER BY id DESC LIMIT 1", 30),
        ("SELECT json_build_object('a', 1)->'a' /* {query} */", 1),
    ],
)
def test_a_query_that_reads_one_number_is_answered(lab: Lab, database: Addon, query: str, value: float) -> None:
    assert asked(lab, database, query) == value


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("WITH gone AS (DELETE FROM jobs RETURNING 1) SELECT count(*) FROM gone", "must be at the top level"),
        ("SELECT spend()", "read-only transaction"),
        ("SELECT loosen()", "transaction read-write mode must be set before any query|read-only transaction"),
        ("SELECT nextval('numbers')", "read-only transaction"),
        ("SELECT 1 INTO kept", "syntax error|INTO"),
        ("SELECT id FROM jobs LIMIT 1 FOR UPDATE", "read-only transaction"),
        ("SELECT 1) AS a, (SELECT pg_read_file('/etc/passwd')", "permission denied"),
        ("SELECT lo_create(0)", "read-only transaction"),
    ],
)
def test_a_query_that_writes_or_goes_elsewhere_is_refused_and_nothing_changes(
    lab: Lab, database: Addon, query: str, words: str
) -> None:
    with pytest.raises(PlatformError) as refused:
        asked(lab, database, query)
    assert re.search(words, " ".join(refused.value.details)), refused.value.details
    assert lab.sql(database.name, "SELECT count(*) FROM jobs WHERE NOT done") == ["30"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT id FROM jobs", "2 rows"),
        ("SELECT 1, 2", "not answer one number"),
        ("SELECT null", "answered nothing"),
        ("SELECT id FROM jobs WHERE false", "answered nothing"),
        ("SELECT 'three'", "not answer one number"),
        ("SELECT 'NaN'::float8", "not answer one number"),
        ("SELECT repeat('9', 50000000)", "finite|one number"),
        ("SELECT generate_series(1, 100000000000)", "2 rows"),
    ],
)
def test_what_is_no_number_is_refused_however_much_of_it_there_is(
    lab: Lab, database: Addon, query: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        asked(lab, database, query)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT pg_sleep(1000)::text",
        "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
        "SELECT set_config('statement_timeout', '0', false) || pg_sleep(1000)::text",
    ],
)
def test_a_query_that_never_ends_is_ended_by_the_database(lab: Lab, database: Addon, query: str) -> None:
    with pytest.raises(PlatformError) as ended:
        asked(lab, database, query)
    assert "statement timeout" in " ".join(ended.value.details)
    left = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND usename = user"
    assert lab.sql(database.name, left) == ["0"]


def test_one_that_waits_for_a_lock_gives_up(lab: Lab, database: Addon) -> None:
    lab.sql(database.name, "CREATE TABLE held (a int)")
    holds = "BEGIN; LOCK TABLE held; SELECT pg_sleep(60); COMMIT"
    command = ["psql", "-U", "postgres", "-d", database.secrets["database"].reveal(), "-c", holds]
    lab.container(database).exec_run(command, detach=True)
    locked = "SELECT count(*) FROM pg_locks WHERE relation = 'held'::regclass"
    eventually(lambda: lab.sql(database.name, locked) == ["1"], "a lock")
    with pytest.raises(PlatformError) as ended:
        asked(lab, database, "SELECT count(*) FROM held")
    assert "lock timeout" in " ".join(ended.value.details)


def test_one_whose_database_freezes_is_left_after_the_patience_and_ended(
    lab: Lab, database: Addon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addon_service, "PATIENCE", 2.0)
    container = lab.container(database)
    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(asked, lab, database, "SELECT pg_sleep(1000)::text")
        eventually(lambda: bool(_psqls(lab, database)), "a psql")
        container.pause()
        try:
            with pytest.raises(PlatformError, match="took longer than 2 s and was ended"):
                asking.result(timeout=60)
        finally:
            container.unpause()
    eventually(lambda: not _psqls(lab, database), "the end of its psql")
    eventually(lambda: healthy(lab, database), "a database that is well again")
    assert asked(lab, database, "SELECT 1") == 1


def _psqls(lab: Lab, database: Addon) -> list[str]:
    """What still asks queries in the container."""
    found = lab.container(database).top(ps_args="-eo pid,args")["Processes"] or []
    return [" ".join(line) for line in found if "answer::text" in " ".join(line)]
