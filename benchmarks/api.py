"""`make bench-api`: 200 reads a second against a server with 100 apps, each sent when it is due, whatever became of
those before: so one slow answer hides no other. The baseline is the same load on an endpoint that does nothing.

Needs no Engine: the server stands on a store on disk and an engine in memory, in a process of its own.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import quantiles

import httpx2
import uvicorn
from fastapi import FastAPI

from paas.model.app import App, ProcessSpec, Release, ReleaseKind, ReleaseStatus
from paas.model.events import Event
from paas.model.secret import Secret
from paas.server.app import Parts, create
from paas.server.listen import Http, WebSocket, tcp_socket
from paas.server.streams import quick_turns, short_collections
from paas.store.sql import SqlStore
from paas.usecases.door import Door
from paas.usecases.operations import Operations
from tests.ports import free_port
from tests.unit.usecases.parts import parts

APPS, RELEASES, RATE, SECONDS, BOUND = 100, 20, 200, 30, 0.050
TOKEN = "token-of-the-benchmark"
READS = ("/apps", "/apps/{app}", "/apps/{app}/ps", "/apps/{app}/releases", "/apps/{app}/config", "/apps/{app}/events",
         "/apps/{app}/metrics", "/me")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds from when each request was due to the end of its answer, and what was no 200."""

    seconds: list[float]
    failed: int
    cpu: float

    def at(self, percent: int) -> float:
        """That percentile."""
        return quantiles(self.seconds, n=100)[percent - 1]


def main() -> int:
    """Print the table; 1 when the bound is not held."""
    rows = [("does nothing", measured(nothing, ("/",))), ("paas", measured(platform, READS))]
    print(f"{RATE} requests/s for {SECONDS} s, {APPS} apps; ms from when a request was due")
    print(f"{'':14}{'p50':>8}{'p95':>8}{'p99':>8}{'max':>8}{'failed':>8}{'CPU':>8}")
    for name, one in rows:
        times = "".join(f"{1000 * value:8.1f}" for value in (one.at(50), one.at(95), one.at(99), max(one.seconds)))
        print(f"{name:14}{times}{one.failed:8}{100 * one.cpu / SECONDS:7.0f}%")
    held = rows[1][1].at(99) <= BOUND and not rows[1][1].failed
    print(f"bound: p99 at most {1000 * BOUND:g} ms, none failed: {'held' if held else 'NOT held'}")
    return 0 if held else 1


def measured(serve: Callable[[str], None], paths: tuple[str, ...]) -> Measured:
    """A server in a process of its own under the load."""
    listen = f"127.0.0.1:{free_port()}"
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(listen,), daemon=True)
    process.start()
    try:
        _wait(f"http://{listen}{paths[0]}")
        before = _cpu(process.pid)
        short_collections()  # here, too: what holds the client up is no time of the server's
        seconds, failed = asyncio.run(_load(f"http://{listen}", paths))
        return Measured(seconds, failed, _cpu(process.pid) - before)
    finally:
        process.terminate()
        process.join(20)


async def _load(url: str, paths: tuple[str, ...]) -> tuple[list[float], int]:
    dice, seconds, failed = random.Random(1), [], 0
    limits = httpx2.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx2.AsyncClient(base_url=url, headers=_headers(), limits=limits, timeout=30) as http:

        async def one(due: float, path: str) -> None:
            nonlocal failed
            answer = await http.get(path)
            seconds.append(time.perf_counter() - due)
            failed += answer.status_code != 200

        begin, tasks = time.perf_counter() + 0.1, []
        for number in range(RATE * SECONDS):
            due = begin + number / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            path = dice.choice(paths).replace("{app}", f"app-{dice.randrange(APPS):03}")
            tasks.append(asyncio.create_task(one(due, path)))
        await asyncio.gather(*tasks)
    return seconds, failed


def _headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx2.get(url, headers=_headers()).status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def _cpu(pid: int | None) -> float:
    """CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- servers ------------------------------------------------------------------------------------------------------


def nothing(listen: str) -> None:
    """An endpoint that answers at once."""
    app = FastAPI()
    app.add_api_route("/", lambda: {"status": "ok"})
    short_collections()
    _serve(app, listen)


def platform(listen: str) -> None:
    """The real door, store and HTTP, with apps that have a history."""
    quick_turns()
    with tempfile.TemporaryDirectory(prefix="paas-bench-") as name:
        home = Path(name)
        made = parts(home, token=TOKEN, listen=listen)
        store = SqlStore.open(home)
        _filled(store)
        door = Door.of(replace(made.context, store=store))
        operations = Operations(door)
        settings = door.context.settings
        app = create(Parts(door=door, operations=operations, settings=settings, logins=door.logins))
        short_collections()
        _serve(app, listen)


def _filled(store: SqlStore) -> None:
    for number in range(APPS):
        app = App(id=f"{number:08x}", name=f"app-{number:03}", created_at=float(number), formation={"web": 3})
        store.add_app(app)
        for release in range(1, RELEASES + 1):
            store.add_release(
                Release(
                    app_id=app.id, number=release, kind=ReleaseKind.DEPLOY, created_at=float(release), actor="me",
                    description=f"deploy {release}", status=ReleaseStatus.SUCCEEDED, image=f"sha256:{release}",
                    processes=(ProcessSpec(name="web", command=("run",)),),
                    config={f"KEY_{each}": Secret("value" * 10) for each in range(20)},
                )
            )  # fmt: skip
        for event in range(20):
            store.add_event(Event(kind="note", app=app.name, message=f"{event} happened", at=float(event)), app.id)


def _serve(app: FastAPI, listen: str) -> None:
    config = uvicorn.Config(
        app, http=Http, ws=WebSocket, loop="asyncio", lifespan="off", log_config=None, access_log=False,
        proxy_headers=False, server_header=False, date_header=False,
    )  # fmt: skip
    with tcp_socket(listen, TOKEN) as listener:
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    sys.exit(main())
