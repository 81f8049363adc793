"""What docs/autoscaling.md gives as an example of rules does what it says there."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime

from benchmarks.autoscale import LEAST, MOST, RULES
from paas.model.scaling import Sample
from paas.plan.scaling import decide
from paas.usecases.autoscale import parsed
from tests.docs.markdown import ROOT, Page


def test_the_example_of_rules_grows_by_its_step_and_lets_go_by_its_targets() -> None:
    page = Page(ROOT / "docs" / "autoscaling.md")
    (block,) = [one for one in page.blocks("toml") if "targets" in one and "[[processes.web.autoscale.step]]" in one]
    rules = parsed(tomllib.loads(block)["processes"]["web"]["autoscale"])
    sunday = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()

    def wanted(replicas: int, p95: float) -> int:
        values = {"cpu": 0.06, "requests": 20.0, "p95": p95}
        samples = [Sample(sunday + at, replicas, values) for at in range(-600, 1, 5)]
        return decide(rules, replicas, samples, sunday).wanted

    assert (wanted(8, 0.1), wanted(4, 0.9), wanted(2, 0.1)) == (2, 6, 2)


def test_the_rules_that_are_compared_with_hosted_platforms_are_what_the_page_says_to_write() -> None:
    text = Page(ROOT / "docs" / "autoscaling.md").text
    found = re.findall(r"^\| \*\*(\w+)\*\* \| ((?:no `targets`|`\w+ = .+?`)(?:, `.+?`)*) \| \D", text, re.MULTILINE)
    written = {name: parsed(tomllib.loads("\n".join(re.findall(r"`(\w+ = .+?)`", keys)))) for name, keys in found}
    assert {name: replace(rules, least=LEAST, most=MOST) for name, rules in written.items()} == RULES
