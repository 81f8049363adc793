"""What tests of the build share: a stack's offers, base images, and a short way to look at files."""

from __future__ import annotations

from collections.abc import Mapping

from paas.build.detect import Inspection, inspect
from paas.build.dockerfile import BuildFacts, render
from paas.build.files import Files
from paas.model.build import Base, BuildPlan

OFFERS: Mapping[str, tuple[str, ...]] = {
    "python": ("3.13", "3.11"),
    "node": ("22", "20"),
    "static": ("1.26",),
}
FACTS = BuildFacts(cache_mounts=True, cache_id="0a1b2c3d")


def offers(runtime: str) -> tuple[str, ...]:
    """What the pretended stack can give, best first."""
    return OFFERS.get(runtime, ())


def look(files: Mapping[str, str | bytes] | Files, buildpack: str = "") -> Inspection:
    """The inspection of files in memory."""
    view = files if isinstance(files, Files) else Files.from_mapping(files)
    return inspect(view, offers=offers, buildpack=buildpack)


def web(inspection: Inspection) -> str:
    """The command of web."""
    return next(process.command for process in inspection.plan.processes if process.name == "web")


def bases(plan: BuildPlan) -> dict[str, Base]:
    """The base images a stack would answer with."""
    return {
        stage: Base(
            runtime,
            f"paas-base/{runtime.name}:{runtime.version}",
            f"paas-base/{runtime.name}-build:{runtime.version}",
            runtime.version,
        )
        for stage, runtime in plan.runtimes.items()
    }


def dockerfile(inspection: Inspection, facts: BuildFacts = FACTS) -> str:
    """The Dockerfile of an inspection."""
    return render(inspection.plan, bases(inspection.plan), facts)
