"""An app with rules, its load, and the loop, on a platform in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from paas.interfaces import NoSignals
from paas.model.app import ProcessSpec, Release, ReleaseKind
from paas.model.custom_signal import CustomSignal
from paas.model.scaling import Autoscale, Sample, TargetRule
from paas.usecases.autoscaling import PERIOD, Autoscaler
from paas.usecases.releases import change_release
from tests.unit.usecases.parts import GOOD, HTTP, Parts, parts

RULES = Autoscale(least=1, most=6, rules=(TargetRule(metric="requests", target=10.0),))


MAIL = CustomSignal(name="mail", path="/m", prometheus="mail")
BY_MAIL = Autoscale(least=1, most=9, rules=(TargetRule(metric="mail", target=5.0),))


class Fed(NoSignals):
    """Signals that a test writes, `requests` per second for all replicas together."""

    def __init__(self, platform: Parts) -> None:
        self.platform = platform
        self.kept: list[Sample] = []

    def recent(self, app_id: str, process: str, seconds: float) -> tuple[Sample, ...]:
        since = self.platform.clock.now() - seconds
        return tuple(one for one in self.kept if one.at > since)

    def history(self, app_id: str, process: str, since: float, until: float, points: int = 0) -> tuple[Sample, ...]:
        return tuple(one for one in self.kept if since <= one.at <= until)


class Lab:
    """An app with rules, its load, and the loop."""

    def __init__(self, home: Path, rules: Autoscale = RULES, image: str = GOOD) -> None:
        made = parts(home)
        self.signals = Fed(made)
        self.platform = replace(made, context=replace(made.context, signals=self.signals))
        self.app = self.platform.app(web=1)
        self.deploy(rules)
        self.loop = Autoscaler(self.platform.context)
        self.patience = 30.0

    def deploy(
        self,
        rules: Autoscale | None,
        image: str = GOOD,
        signals: tuple[CustomSignal, ...] = (MAIL,),
        **others: Autoscale,
    ) -> Release:
        self.platform.builder.add("paas/shop:1", image, self.app.id)

        def change(base: Release) -> Release:
            web = ProcessSpec(name="web", command="run web", health=HTTP, autoscale=rules)
            more = [ProcessSpec(name=name, command="work", autoscale=one) for name, one in others.items()]
            return replace(base, image=image, image_ref="paas/shop:1", processes=(*more, web), signals=signals)

        return change_release(
            self.platform.context, self.app, self.platform.act, kind=ReleaseKind.DEPLOY, description="deploy",
            change=change,
        )  # fmt: skip

    def load(self, values: Mapping[str, float] | None, seconds: float) -> list[int]:
        """The counts after every look while this is what is measured; None: nothing is."""
        counts = []
        for _ in range(int(seconds / PERIOD)):
            self.platform.clock.sleep(PERIOD)
            if values is not None:
                self.signals.kept.append(Sample(self.platform.clock.now(), self.count, values))
            self.loop()
            self.loop.wait(self.patience)
            counts.append(self.count)
        return counts

    @property
    def count(self) -> int:
        return int(self.platform.store.app(self.app.id).formation["web"])

    @property
    def formation(self) -> Mapping[str, int]:
        return self.platform.store.app(self.app.id).formation

    def kinds(self) -> list[str]:
        events = self.platform.store.events(self.app.id)
        return [event.kind for _, event in events if event.kind.startswith("autoscale.")]

    def whys(self) -> Sequence[str]:
        return [one.decision.why for one in self.platform.store.decisions(self.app.id, "web")]


class Each(NoSignals):
    """Signals of their own for each process."""

    def __init__(self, recent: Mapping[str, Callable[[str, str, float], tuple[Sample, ...]]]) -> None:
        self.by_process = recent

    def recent(self, app_id: str, process: str, seconds: float) -> tuple[Sample, ...]:
        return self.by_process[process](app_id, process, seconds)
