"""Rules, samples and decisions as JSON values, and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from paas.model.autoscaling import Range, Recorded, Summary
from paas.model.scaling import Autoscale, Decision, Rule, Sample, ScheduleRule, Statistic, StepRule, TargetRule

Values = dict[str, Any]


def rules_values(rules: Autoscale | None) -> Values | None:
    """Rules as a document."""
    return asdict(rules) if rules else None


def rules(values: Mapping[str, Any] | None) -> Autoscale | None:
    """Rules of a document; one that an older or newer version wrote may have fewer or more fields."""
    if not values:
        return None
    known = _known(Autoscale, values)
    known["rules"] = tuple(_rule(one) for one in known.get("rules", ()))
    known["schedules"] = tuple(ScheduleRule(**_known(ScheduleRule, one)) for one in known.get("schedules", ()))
    return Autoscale(**known)


def recorded_values(recorded: Recorded) -> Values:
    """A decision as a document, with the summary of its samples."""
    made = recorded.decision
    summary = {"summary": asdict(recorded.summary)} if recorded.summary else {}
    return {**asdict(made), "limits": list(made.limits), "missing": list(made.missing), **summary}


def summary(values: Mapping[str, Any]) -> Summary | None:
    """The summary in the document of a decision; those of older versions have none."""
    found = values.get("summary")
    if not found:
        return None
    ranges = {str(name): Range(**_known(Range, one)) for name, one in found["values"].items()}
    return Summary(seconds=float(found["seconds"]), count=int(found["count"]), values=ranges)


def decision(values: Mapping[str, Any]) -> Decision:
    """The decision of a document."""
    known = _known(Decision, values)
    listed = {name: tuple(known.get(name, ())) for name in ("limits", "missing")}
    return Decision(**{**known, **listed})


def sample_values(sample: Sample) -> Values:
    """A sample as a document."""
    return {"at": sample.at, "replicas": sample.replicas, "values": dict(sample.values)}


def sample(values: Mapping[str, Any]) -> Sample:
    """The sample of a document."""
    measured = {str(name): float(value) for name, value in values["values"].items()}
    return Sample(float(values["at"]), int(values["replicas"]), measured)


def _rule(values: Mapping[str, Any]) -> Rule:
    if "target" in values:
        return TargetRule(**_known(TargetRule, values))
    return StepRule(**{**_known(StepRule, values), "statistic": Statistic(values.get("statistic", "average"))})


def _known(kind: type, values: Mapping[str, Any]) -> Values:
    names = {field.name for field in fields(kind)}
    return {key: value for key, value in values.items() if key in names}
