"""Whatever comes while replicas are on their way out: none of them is led to, and in the end there are as many as are
wanted."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from paas.errors import PaasError
from paas.model.plan import Plan
from paas.reconcile import finish, reconcile
from tests.unit.test_reconcile import APP, Place, a_release

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["scale", "scale while the router is broken"]), st.integers(0, 4)),
        st.tuples(st.sampled_from(["end", "fail to end", "crash", "lose"]), st.integers(0, 9)),
        st.tuples(st.just("deploy"), st.just(0)),
    ),
    max_size=25,
)


class Story:
    """An app that is scaled, deployed and struck, and the ends that are still to be finished."""

    def __init__(self) -> None:
        self.place, self.count, self.release = Place(), 2, 1
        self.left: list[Plan] = []
        self.scale(self.count)

    def scale(self, count: int) -> None:
        app = replace(APP, formation={"web": count})
        left = reconcile(self.place.world, app, a_release(self.release), self.place.events.append, leave=True)
        self.count = count
        if left:
            self.left.append(left)

    def end(self, which: int) -> None:
        if self.left:
            finish(self.place.world, self.left.pop(which % len(self.left)), self.place.events.append)

    def step(self, what: str, number: int) -> None:
        engine, router = self.place.engine, self.place.router
        there = sorted(self.place.replicas())
        match what:
            case "scale":
                self.scale(number)
            case "scale while the router is broken":
                router.broken = True
                with suppress(PaasError):
                    self.scale(number)
                router.broken = False
            case "end":
                self.end(number)
            case "fail to end":
                engine.down = True
                with suppress(PaasError):
                    self.end(number)
                engine.down = False
            case "deploy":
                self.release += 1
                self.scale(self.count)
            case "crash" if there:
                engine.crash(there[number % len(there)])
            case "lose" if there:
                engine.lose(there[number % len(there)])

    def routed(self) -> set[str]:
        return {server for route in self.place.router.observe() for server in route.servers}

    def leaving(self) -> set[str]:
        ids = self.place.world.leaving.all()
        return {address for id, address in self.place.replicas().items() if id in ids}


@given(steps=STEPS)
@settings(max_examples=300, deadline=None)
def test_nobody_is_led_to_one_that_leaves_and_in_the_end_there_are_as_many_as_are_wanted(
    steps: list[tuple[str, int]],
) -> None:
    story = Story()
    for what, number in steps:
        story.step(what, number)
        assert not story.routed() & story.leaving()
    while story.left:
        story.end(0)
    for _ in range(2):
        story.scale(story.count)
        while story.left:
            story.end(0)
    (services, leaving) = story.place.engine.observe(), story.place.world.leaving
    replicas = [replica for service in services for replica in service.replicas]
    assert [service.key.release for service in services if service.replicas] == [story.release][: story.count]
    assert len(replicas) == story.count
    assert story.routed() == {replica.address for replica in replicas}
    assert not any(leaving.is_ending(replica.id) for replica in replicas)
