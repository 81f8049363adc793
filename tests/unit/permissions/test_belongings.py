"""What belongs to another team's app is not reached through one's own: every request × every name it takes of something
that an app has, over HTTP. A request that takes such a name is tried without being listed here."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.permissions.belongings import belongings, names_one
from tests.unit.permissions.table import ROWS, Row
from tests.unit.permissions.world import MINE, TEAM, THEIRS, World, world

OWN = {"app": MINE.name, "addon": "mine-db", "team": TEAM.name, "operation": f"0123{MINE.id}"}
ABSENT = {"run": "cafe0000ff", "delivery": "de11ff", "invite": "1fff", "backup": "20260109T000000Z"}
CASES = [(row, field) for row in ROWS for field in names_one(row.request)]


@dataclass(frozen=True)
class Both:
    """A server with both teams' things on it."""

    server: World
    mine: Mapping[str, str]
    theirs: Mapping[str, str]

    def ask(self, row: Row, field: str, value: str, who: str) -> tuple[int, str]:
        own = {name: self.mine[name] for name in names_one(row.request) if name in row.fields}
        about = {row.on: OWN[row.on]} if row.on in OWN else {}
        fields: dict[str, Any] = {**row.fields, **own, **about, field: value}
        status, text = self.server.ask(row.request, fields, self.server.tokens[who])
        return status, re.sub(r'("at": ?|"id": ?")[0-9a-f.]+', r"\1", text).replace(value, "X")


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with tempfile.TemporaryDirectory(prefix="paas-t-") as name, world(Path(name), acting=True) as found:
        theirs = belongings(found.context, THEIRS)
        mine = belongings(found.context, MINE)
        yield Both(found, mine, theirs)


@pytest.mark.parametrize(("row", "field"), CASES, ids=[f"{row.request.__name__}-{row.on}-{one}" for row, one in CASES])
def test_what_is_theirs_is_not_there_for_us(both: Both, row: Row, field: str) -> None:
    wanted = both.theirs.get(field, both.theirs["backup"])
    for who in ("app:owner", "through:owner", "maker:operator", "token:operator"):
        foreign = both.ask(row, field, wanted, who)
        absent = both.ask(row, field, ABSENT.get(field, "absent"), who)
        assert foreign == absent, who
        assert "theirs" not in foreign[1], who
        assert foreign[0] != 500, foreign


def test_the_same_names_lead_somewhere_for_their_owners(both: Both) -> None:
    """Else the test above would prove nothing."""
    shown = {"ShowRun": "run", "ReadRunLogs": "run", "ShowDeployHook": "hook", "ListHookDeliveries": "hook",
             "ListNotificationDeliveries": "target", "ShowReview": "review", "ShowPipeline": "pipeline",
             "FetchBackup": "backup"}  # fmt: skip
    for row, field in CASES:
        if shown.get(row.request.__name__) == field and row.on != "platform":
            found = both.ask(row, field, both.mine[field], "app:owner")
            assert found[0] == 200, (row.request, found)
    store = both.server.store
    assert store.target(both.theirs["target"], THEIRS.id)
    assert [hook.name for hook in store.deploy_hooks(THEIRS.id)] == [both.theirs["hook"]]
    assert [review.name for review in store.reviews(THEIRS.id)] == [both.theirs["review"]]
    assert [place.app_id for place in store.places(both.theirs["pipeline"])] == [THEIRS.id]
    assert both.theirs["invite"] in [invite.id for invite in store.invites()]
