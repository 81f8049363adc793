"""The log of a build is the build: not what the deploy did with it."""

from __future__ import annotations

from paas.model.events import Event
from paas.usecases.logs import of_build
from paas.usecases.steps import step
from tests.unit.usecases.parts import Parts


def test_the_steps_of_the_rollout_and_their_output_are_not_of_the_build(platform: Parts) -> None:
    told: list[Event] = [Event(kind="warning", message="no lock file")]
    with step(platform.context, told.append, "Building with python", stage="build"):
        told.append(Event(kind="output", message="Installed flask"))
    with step(platform.context, told.append, "run the release command"):
        told.append(Event(kind="output", message="migrated"))
    told.append(Event(kind="error", message="failed"))
    said = [event.message for event in of_build(told) if event.kind != "done"]
    assert said == ["no lock file", "Building with python", "Installed flask"]
