"""`python -m benchmarks.wake [ROUNDS]`: how long the first request to a sleeping app takes, against the start of the
same container by hand, through the Engine's API and with `docker run`, until it answers.

An app that boots at once and one that takes a second, each with a worker beside web. By hand there is the container of
web alone: same image, command, variables, limits and network. The time of a start ends with the whole answer to a GET,
asked for every 10 ms; that of a wake-up with the whole answer of the router to one request. Before each request no
container of the app runs, and afterwards its events have to say that this request woke it.
"""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker import APIClient

from benchmarks.byhand import docker
from benchmarks.lab import LONGEST, POLL, Lab, lab
from benchmarks.report import Report, interleaved
from paas.errors import PaasError
from paas.requests.sleep import SleepNow
from paas.settings import load

APP = Path(__file__).parent / "sleeper"
BOOTS = {"at-once": 0.0, "a-second": 1.0}
"""The apps, and the seconds that each sleeps before it listens."""
ROUNDS, AT_ONCE = 12, 10
BOUND = 0.5
"""Seconds that a wake-up may take beyond the container's start."""
LABEL = "paas-bench=wake"


@dataclass(frozen=True, slots=True)
class Container:
    """A replica of web as the platform made it: enough to make the same by hand."""

    config: dict[str, Any]
    host: dict[str, Any]
    network: str

    @property
    def port(self) -> str:
        """Where it listens."""
        return next(one.removeprefix("PORT=") for one in self.config["Env"] if one.startswith("PORT="))


class ByHand:
    """Starts such containers, one at a time, and takes each away again."""

    def __init__(self, here: Lab, app: str) -> None:
        self.api = APIClient(base_url=load(here.environ).docker, version="auto")
        facts = self.api.inspect_container(f"{here.instance}-{app}-web-v{here.json('info', '-a', app)['release']}-1")
        (network,) = facts["NetworkSettings"]["Networks"]
        kept = ("Image", "Env", "Cmd", "Entrypoint", "User", "WorkingDir")
        config = {key: facts["Config"][key] for key in kept} | {"Labels": dict([LABEL.split("=")])}
        self.like = Container(config, facts["HostConfig"] | {"RestartPolicy": {"Name": "no"}}, network)
        self.name = f"byhand-{app}"

    def by_api(self) -> float:
        """Seconds through the Engine's API."""

        def start() -> None:
            joined = {"EndpointsConfig": {self.like.network: {}}}
            body = self.like.config | {"HostConfig": self.like.host, "NetworkingConfig": joined}
            self.api.start(self.api.create_container_from_config(body, self.name)["Id"])

        return self._answered(start)

    def by_command(self) -> float:
        """Seconds with `docker run`."""
        config, host = self.like.config, self.like.host
        limits = ("--memory", str(host["Memory"]), "--memory-swap", str(host["MemorySwap"]),
                  "--cpus", f"{host['NanoCpus'] / 1e9:g}", "--pids-limit", str(host["PidsLimit"]))  # fmt: skip
        hard = ("--init", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true")
        env = [part for one in config["Env"] for part in ("-e", one)]
        argv = ("run", "-d", "--name", self.name, "--label", LABEL, "--network", self.like.network)
        return self._answered(lambda: docker(*argv, *limits, *hard, *env, config["Image"], *(config["Cmd"] or ())))

    def _answered(self, start: Callable[[], object]) -> float:
        begin = time.perf_counter()
        start()
        address = self.api.inspect_container(self.name)["NetworkSettings"]["Networks"][self.like.network]["IPAddress"]
        while asked(f"http://{address}:{self.like.port}/") != 200:
            if time.perf_counter() > begin + LONGEST:
                raise SystemExit(f"{self.name} does not answer\n{docker('logs', self.name, check=False)}")
            time.sleep(POLL)
        seconds = time.perf_counter() - begin
        self.clean()
        return seconds

    def clean(self) -> None:
        """Take it away."""
        docker("rm", "-f", self.name, check=False)

    def close(self) -> None:
        """The end."""
        self.clean()
        self.api.close()


def asked(url: str, host: str = "") -> int:
    """The status of one GET, its whole answer read; 0: nobody answered."""
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=LONGEST) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one request, or of those of one moment: the statuses, and how many wakings they caused."""

    statuses: tuple[int, ...]
    wakings: int


def asleep(here: Lab, app: str) -> None:
    """Have it sleep, and nothing of it run: waits until it is awake, with its worker. SystemExit when it still runs."""
    deadline = time.monotonic() + LONGEST
    while True:
        try:
            here.carry_out(SleepNow(app=app))
        except PaasError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"{app} does not fall asleep: {error.message}") from error
            time.sleep(0.2)
        else:
            break
    facts = here.json("info", "-a", app)
    runs = docker("ps", "-q", "--filter", f"label=paas.app={facts['id']}")
    if facts["status"] != "asleep" or runs:
        raise SystemExit(f"{app} is {facts['status']}, and runs {runs or 'nothing'}")


def first_request(here: Lab, app: str, seen: list[Seen], at_once: int = 1) -> float:
    """Seconds from one request, or so many in the same moment, until the last answer, of an app that sleeps."""
    asleep(here, app)
    before = wakings(here, app)
    with ThreadPoolExecutor(at_once) as pool:
        begin = time.perf_counter()
        url, host = f"http://127.0.0.1:{here.port}/", f"{app}.localhost"
        statuses = tuple(pool.map(lambda _: asked(url, host), range(at_once)))
        seconds = time.perf_counter() - begin
    asleep(here, app)  # what still starts, the worker say, would disturb the next start by hand
    seen.append(Seen(statuses, wakings(here, app) - before))
    return seconds


def wakings(here: Lab, app: str) -> int:
    """How often a request woke it."""
    return here.paas("events", "-a", app, "-n", "1000").count("a request woke it")


def judged(report: Report, what: str, seen: Sequence[Seen]) -> None:
    """Each of them answered, and exactly one waking caused: none would mean that the app had not slept."""
    statuses = [status for one in seen for status in one.statuses]
    report.count(f"{what}: answers other than 200", sum(one != 200 for one in statuses), 0, f"of {len(statuses)}")
    report.count(f"{what}: not exactly one waking", sum(one.wakings != 1 for one in seen), 0, f"of {len(seen)}")


def woken(here: Lab, report: Report, app: str, rounds: int) -> None:
    """One request at a time, against both starts by hand."""
    hand, seen = ByHand(here, app), list[Seen]()
    try:
        first_request(here, app, [])
        hand.by_api()
        by_api, by_command, ours = interleaved(
            rounds, hand.by_api, hand.by_command, lambda: first_request(here, app, seen)
        )
    finally:
        hand.close()
    report.difference("first request → its answer, over a start through the API", ours, by_api, BOUND)
    report.difference("the same over docker run", ours, by_command, BOUND)
    report.difference("its p95 over that of a start through the API", [p95(ours)], [p95(by_api)], BOUND)
    for name, times in (("first request", ours), ("API", by_api), ("docker run", by_command)):
        report.note(f"{name}: {min(times):.3f} to {max(times):.3f} s, p95 {p95(times):.3f} s")
    judged(report, "one request", seen)


def many(here: Lab, report: Report, app: str) -> None:
    """Ten requests in the same moment."""
    seen: list[Seen] = []
    seconds = first_request(here, app, seen, AT_ONCE)
    judged(report, f"{AT_ONCE} at once", seen)
    report.note(f"the last of them was answered after {seconds:.3f} s")


def p95(times: list[float]) -> float:
    """The time that 95 % of them keep."""
    return sorted(times)[min(len(times) - 1, int(len(times) * 0.95))]


def wake(here: Lab, report: Report, rounds: int = ROUNDS) -> None:
    """Both apps."""
    for app, boot in BOOTS.items():
        report.section(f"A sleeping app that boots {'at once' if not boot else f'{boot:g} s'}, {rounds} rounds")
        here.paas("create", app)
        here.paas("config", "set", f"BOOT={boot:g}", "-a", app)
        here.paas("deploy", str(APP), "-a", app)
        woken(here, report, app, rounds)
        many(here, report, app)


def main(argv: list[str]) -> int:
    """On a platform of its own."""
    if any(not one.isdigit() or not int(one) for one in argv[:1]) or argv[1:]:
        print("usage: python -m benchmarks.wake [ROUNDS]", file=sys.stderr)
        return 2
    report = Report()
    with lab() as here:
        wake(here, report, int(argv[0]) if argv else ROUNDS)
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
