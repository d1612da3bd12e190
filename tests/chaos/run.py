"""One run of the fault harness: clients and faults together for a while, then the checker."""

import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from equipoise.client import ClientError
from equipoise.core.addresses import usable
from stand import Api, Backends, eventually, running_backends, unused_network
from stand.namespaces import ALL_NETWORKS, machines
from stand.postgres import Postgres, running_postgres
from tests.chaos.calm import Calm
from tests.chaos.checker import Checker, World, world_of
from tests.chaos.clocked import write_offset
from tests.chaos.faults import CLOCKS_APART, Fault, Happened, Injector, Planned, schedule
from tests.chaos.journal import Journal, Missing
from tests.chaos.service import ClockedService
from tests.chaos.several import Several, moment, told_by, undelivered
from tests.chaos.workload import Client, Members
from tests.people import add_project, add_user
from tests.receiver import Receiver
from tests.udp import Echoes, running_echoes

TIME_LIMIT = 5.0
"""Seconds after which a job fails: shorter than the longest fault, so that some do."""

TIME_LIMIT_OF_SEVERAL = 9.0
"""Longer than a lease: others go on without a service that nobody hears of, and most jobs with them."""

QUOTA_OF_SEVERAL = 12
"""Load balancers of a project: fewer than its clients ask for, so that they compete for the last one."""

_PROJECTS = 2
_BACKENDS = "198.18.0.16/28"
_ECHOES = "198.18.0.32/28"
"""Parts of `stand.namespaces.HUB_NETWORK`, which all machines reach."""

_ALIKE, _KIND = 5, 60
"""How many violations are told whose first so many characters are alike."""

_DELIVERY_SECONDS = 75.0
"""Within this all webhooks have come: what one service has left is looked for every minute."""


@dataclass(frozen=True, slots=True)
class Length:
    """How long faults go on: so many seconds, or until that many kills if those are more than None.

    Attributes:
        longest: seconds for which one of several services is stopped or cut off, at most.
    """

    seconds: float
    kills: int | None = None
    longest: float = 20.0


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
    seen: Counter[str] = field(default_factory=Counter)
    happened: Sequence[Happened] = ()

    def table(self) -> str:
        lines = [f"seed {self.seed}"]
        for title, counted in (
            ("operations", self.operations),
            ("answers", self.answers),
            ("faults", Counter({fault.value: times for fault, times in self.faults.items()})),
            ("jobs", self.jobs),
            *([("seen of several services", self.seen)] if self.seen else []),
        ):
            lines.append(f"{title:<34}{counted.total():>8}")
            lines += [f"  {name:<32}{times:>8}" for name, times in sorted(counted.items())]
        lines.append(f"{'kills':<34}{self.kills:>8}")
        lines.append(f"{'violations':<34}{len(self.violations):>8}")
        return "\n".join([*lines, *(f"  {violation}" for violation in self._told())])

    def _told(self) -> Iterator[str]:
        """Violations that differ in ids and numbers alone are told a few times."""
        kinds = Counter(map(_kind, self.violations))
        told: Counter[str] = Counter()
        for violation in self.violations:
            told[kind := _kind(violation)] += 1
            if told[kind] <= _ALIKE:
                yield violation
            elif told[kind] == kinds[kind]:
                yield f"... and {kinds[kind] - _ALIKE} more like: {violation}"

    def story(self) -> str:
        """All violations, and when which fault happened."""
        faults = [
            f"{moment(each.began)} to {moment(each.over)} {each.fault} ({each.service}{', killed' * each.killed})"
            for each in self.happened
        ]
        return "\n".join([*faults, *self.violations, ""])


def _kind(violation: str) -> str:
    return re.sub(r"[0-9a-f]{8,}|[0-9][0-9.]*", "#", violation)[:_KIND]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a run takes place: the services, not started, and what is around them.

    Attributes:
        server_url: of their database when it is a server; SQLite otherwise.
        postgres: that server, where it may be restarted.
        pools: how many addresses the pools External and Internal have.
        servers: who can be a member, as `Client` takes them.
        receiver: takes the webhooks of several services.
    """

    services: Sequence[ClockedService]
    server_url: str
    postgres: Postgres | None
    pools: Mapping[str, int]
    servers: Mapping[str, Members]
    receiver: Receiver | None = None

    @property
    def several(self) -> bool:
        return len(self.services) > 1


def run(folder: Path, seed: str, length: Length, clients: int = 8, server_url: str = "") -> Summary:
    """Run the harness on a service of its own below `folder`.

    Args:
        seed: what the clients ask and what goes wrong follow from it.
        server_url: a PostgreSQL database to run on, in place of SQLite.
    """
    settings, pools = _settings(TIME_LIMIT, 26, server_url)
    service = ClockedService(folder / "clock", folder / "data", *settings)
    with running_backends(3) as backends, running_echoes(3) as echoes:
        return _play(Stage([service], server_url, None, pools, _members(backends, echoes)), seed, length, clients)


def run_several(folder: Path, seed: str, length: Length, clients: int = 8, services: int = 3) -> Summary:
    """Run the harness on several services of its own, each in a network of its own, with one PostgreSQL.

    Raises:
        NamespacesMissing: networks of their own cannot be made here.
    """
    with (
        machines(services) as made,
        made.hub.inside(),
        running_postgres(made.hub.address, ALL_NETWORKS) as postgres,
        running_backends(3, _BACKENDS) as backends,
        running_echoes(3, _ECHOES) as echoes,
        Receiver(host=made.hub.address) as receiver,
    ):
        url = postgres.new_database()
        settings, pools = _settings(TIME_LIMIT_OF_SEVERAL, 27, url)
        settings.append(f"certificates.key_file={folder.absolute() / 'certificate.key'}")
        each = [
            ClockedService(folder / f"clock-{number}", folder / f"node-{number}", *settings, network=network)
            for number, network in enumerate(made.each, 1)
        ]
        stage = Stage(each, url, postgres, pools, _members(backends, echoes), receiver)
        return _play(stage, seed, length, clients)


def _settings(time_limit: float, prefix: int, server_url: str) -> tuple[list[str], dict[str, int]]:
    external, internal = (unused_network().replace("/24", f"/{prefix}") for _ in range(2))
    settings = [
        f"jobs.time_limit={time_limit:g}",
        # Shorter than the time limit, so that some are answered before they are confirmed.
        "api.sync_wait=2",
        f"addresses.external={external}",
        f"addresses.internal={internal}",
        "quotas.elb=1000",
        *([f"database.url={server_url}"] if server_url else []),
    ]
    pools = {"External": len(usable(IPv4Network(external))), "Internal": len(usable(IPv4Network(internal)))}
    return settings, pools


def _members(backends: Backends, echoes: Echoes) -> dict[str, Members]:
    return {"TCP": Members(backends.addresses, backends.port), "UDP": Members(echoes.addresses, echoes.port)}


def _play(stage: Stage, seed: str, length: Length, clients: int) -> Summary:
    journal = Journal()
    injector = Injector(stage.services, journal, stage.server_url, stage.postgres)
    seen: Counter[str] = Counter()
    time_limit = TIME_LIMIT_OF_SEVERAL if stage.several else TIME_LIMIT
    try:
        known = _start(stage, seed)
        with ExitStack() as stack:
            crowd = [
                Client(
                    f"{seed}/c{number}",
                    # Each begins with another one.
                    [*stage.services[number % len(stage.services) :], *stage.services[: number % len(stage.services)]],
                    known[number % _PROJECTS],
                    journal,
                    stage.servers,
                )
                for number in range(clients)
            ]
            plan = schedule(seed, bool(stage.server_url), len(stage.services), length.longest)
            _let_happen(injector, crowd, plan, length)
            apis = [[stack.enter_context(Api(service, each)) for each in known] for service in stage.services]
            # Whose quota of load balancers is beyond all pools.
            filling = stack.enter_context(Api(stage.services[0])) if stage.several else apis[0][0]
            checker = Checker(stage.services, apis[0], journal)
            violations = checker.check(patience=time_limit * 3 + 20)
            if stage.receiver is not None:
                worlds = {service.name: world_of(of_one) for service, of_one in zip(stage.services, apis, strict=True)}
                seen["looks at new listeners everywhere"] = journal.looked
                violations += _check_several(stage, stage.receiver, worlds, injector.happened, journal.missing, seen)
                violations += _unless_it_fails(Calm(stage.services, stage.servers["TCP"]).check)
            violations += _unless_it_fails(lambda: checker.give_all_back(stage.pools, filling))
    finally:
        for service in stage.services:
            service.stop()
    return Summary(
        seed,
        journal.operations(),
        journal.answers,
        injector.done,
        injector.kills,
        checker.jobs,
        violations,
        seen,
        injector.happened,
    )


def _unless_it_fails(check: Callable[[], list[str]]) -> list[str]:
    """What it finds; where it cannot go on, what was found before must be told all the same."""
    try:
        return check()
    except (ClientError, AssertionError) as error:
        return [f"a check could not go on: {error!r}"]


def _start(stage: Stage, seed: str) -> list[dict[str, str]]:
    """Start all; returns who may log in, one of each project."""
    first, *others = stage.services
    first.start()
    known = [add_user(first, add_project(first)) for _ in range(_PROJECTS)]
    if stage.several:
        # Ids of projects are known only now.
        quotas = {each["project_id"]: {"elb": QUOTA_OF_SEVERAL} for each in known}
        first.stop()
        for service in stage.services:
            service.settings.append(f"quotas.projects={json.dumps(quotas)}")
        first.start()
    chance = random.Random(f"{seed}/clocks")
    for service in others:
        write_offset(service.clock, chance.uniform(-CLOCKS_APART, CLOCKS_APART))
        service.start()
    if stage.receiver is not None:
        for each in known:
            with Api(first, each) as api:
                api.ok("PUT", "/webhook", json={"url": stage.receiver.url})
    return known


def _check_several(
    stage: Stage,
    receiver: Receiver,
    worlds: Mapping[str, World],
    happened: Sequence[Happened],
    missing: Sequence[Missing],
    seen: Counter[str],
) -> list[str]:
    jobs = next(iter(worlds.values())).jobs
    with suppress(AssertionError):
        # What a killed service had claimed is sent when that time is over.
        eventually(lambda: not undelivered(receiver.received, jobs), _DELIVERY_SECONDS)
    several = Several(
        told_by(stage.services), worlds, happened, list(receiver.received), TIME_LIMIT_OF_SEVERAL, missing, seen
    )
    return several.check()


def _let_happen(injector: Injector, crowd: list[Client], plan: Iterator[Planned], length: Length) -> None:
    over = threading.Event()
    timer = threading.Timer(length.seconds, over.set)
    timer.start()
    for client in crowd:
        client.start()
    try:
        injector.run(plan, over, length.kills)
    finally:
        timer.cancel()
        for client in crowd:
            client.stop()
        for client in crowd:
            client.join()
