"""The ends of replicas in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from paas.model.app import ProcessSpec
from paas.model.service import ServiceKey
from paas.reconcile import reconcile
from paas.usecases.endings import Endings
from tests.polling import until
from tests.unit.test_reconcile import APP, Place, a_release


def test_no_process_waits_for_the_end_of_another_one() -> None:
    """As where an app falls asleep while its worker, which comes first, has an hour to finish its job."""
    place, may = Place(), threading.Event()
    release = a_release(1)
    release = replace(release, processes=(ProcessSpec(name="worker"), *release.processes))
    for count in (1, 0):
        app = replace(APP, formation={"worker": count, "web": count})
        left = reconcile(place.world, app, release, place.events.append, leave=True)
    remove = place.engine.remove

    def slowly(key: ServiceKey, replicas: Sequence[str] = ()) -> None:
        if key.process == "worker":
            assert may.wait(20)
        remove(key, replicas)

    place.engine.remove = slowly  # type: ignore[method-assign]
    endings = Endings(place.world)
    endings.begin(left)
    until(lambda: [service.key.process for service in place.engine.observe() if service.replicas] == ["worker"])
    assert len(place.world.leaving.of(ServiceKey(APP.id, "worker", 1))) == 1
    may.set()
    endings.wait(10)
    assert not place.replicas()
