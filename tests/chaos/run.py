"""One run of the fault harness: clients and faults together for a while, then the checker."""

import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from equipoise.core.addresses import usable
from stand import Api, running_backends, unused_network
from tests.chaos.checker import Checker
from tests.chaos.clocked import write_offset
from tests.chaos.faults import Fault, Injector, schedule
from tests.chaos.journal import Journal
from tests.chaos.service import ClockedService
from tests.chaos.workload import Client, Members
from tests.people import add_project, add_user
from tests.udp import running_echoes

TIME_LIMIT = 5.0
"""Seconds after which a job fails: shorter than the longest fault, so that some do."""

_PROJECTS = 2


@dataclass(frozen=True, slots=True)
class Length:
    """How long faults go on: so many seconds, or until that many kills if those are more than None."""

    seconds: float
    kills: int | None = None


@dataclass
class Summary:
    """What happened, and what was wrong."""

    seed: str
    operations: Counter[str]
    answers: Counter[str]
    faults: Counter[Fault]
    kills: int
    jobs: Counter[str]
    violations: list[str]

    def table(self) -> str:
        lines = [f"seed {self.seed}"]
        for title, counted in (
            ("operations", self.operations),
            ("answers", self.answers),
            ("faults", Counter({fault.value: times for fault, times in self.faults.items()})),
            ("jobs", self.jobs),
        ):
            lines.append(f"{title:<34}{counted.total():>8}")
            lines += [f"  {name:<32}{times:>8}" for name, times in sorted(counted.items())]
        lines.append(f"{'kills':<34}{self.kills:>8}")
        lines.append(f"{'violations':<34}{len(self.violations):>8}")
        return "\n".join([*lines, *(f"  {violation}" for violation in self.violations)])


def run(folder: Path, seed: str, length: Length, clients: int = 8, server_url: str = "") -> Summary:
    """Run the harness on a service of its own below `folder`.

    Args:
        seed: what the clients ask and what goes wrong follow from it.
        server_url: a PostgreSQL database to run on, in place of SQLite.
    """
    clock = folder / "clock"
    write_offset(clock, 0.0)
    external, internal = (unused_network().replace("/24", "/26") for _ in range(2))
    settings = [
        f"jobs.time_limit={TIME_LIMIT:g}",
        # Shorter than the time limit, so that some are answered before they are confirmed.
        "api.sync_wait=2",
        f"addresses.external={external}",
        f"addresses.internal={internal}",
        "quotas.elb=1000",
        *([f"database.url={server_url}"] if server_url else []),
    ]
    service = ClockedService(clock, folder / "data", *settings)
    try:
        service.start()
        journal = Journal()
        injector = Injector(service, journal, clock, server_url)
        known = [add_user(service, add_project(service)) for _ in range(_PROJECTS)]
        with running_backends(3) as backends, running_echoes(3) as echoes, ExitStack() as stack:
            servers = {"TCP": Members(backends.addresses, backends.port), "UDP": Members(echoes.addresses, echoes.port)}
            crowd = [
                Client(f"{seed}/c{number}", service, known[number % _PROJECTS], journal, servers)
                for number in range(clients)
            ]
            _let_happen(injector, crowd, seed, length, server=bool(server_url))
            checker = Checker(service, [stack.enter_context(Api(service, each)) for each in known], journal)
            violations = checker.check(patience=TIME_LIMIT * 3 + 20)
            pools = {"External": len(usable(IPv4Network(external))), "Internal": len(usable(IPv4Network(internal)))}
            violations += checker.give_all_back(pools)
    finally:
        service.stop()
    return Summary(seed, journal.operations(), journal.answers, injector.done, injector.kills, checker.jobs, violations)


def _let_happen(injector: Injector, crowd: list[Client], seed: str, length: Length, *, server: bool) -> None:
    over = threading.Event()
    timer = threading.Timer(length.seconds, over.set)
    timer.start()
    for client in crowd:
        client.start()
    try:
        injector.run(schedule(seed, server), over, length.kills)
    finally:
        timer.cancel()
        for client in crowd:
            client.stop()
        for client in crowd:
            client.join()
