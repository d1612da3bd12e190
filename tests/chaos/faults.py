"""What goes wrong, and when: a schedule that follows from a seed alone, and what carries it out on a real service."""

import os
import random
import resource
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from stand import Service, eventually, process_is_there
from stand.postgres import Postgres
from tests.chaos.clocked import write_offset
from tests.chaos.journal import Journal
from tests.chaos.service import ClockedService


class Fault(StrEnum):
    """Kinds of fault. The kills have no length, the clock stays where it jumped to."""

    KILL_SERVICE = "kill -9 service"
    KILL_ENVOY = "kill -9 Envoy"
    KILL_BOTH = "kill -9 both"
    KILL_ALL = "kill -9 both and the standby"
    STOP_ENVOY = "stop Envoy"
    STOP_SERVICE = "stop service"
    FULL_DISK = "disk quota full"
    READ_ONLY = "database read-only"
    LOCKED = "database locked"
    CUT = "database connections cut"
    PARTITION = "database out of reach"
    RESTART = "database restarted"
    CLOCK = "clock jumps"


LEASE = 6.0
"""Seconds after which the others go on without a service that nobody hears of."""

_WEIGHTS = {
    Fault.KILL_SERVICE: 6,
    Fault.KILL_ENVOY: 8,
    Fault.KILL_BOTH: 4,
    Fault.KILL_ALL: 2,
    Fault.STOP_ENVOY: 3,
    Fault.FULL_DISK: 2,
    Fault.READ_ONLY: 2,
    Fault.LOCKED: 1,
    Fault.CLOCK: 2,
}
_LONGEST = {Fault.STOP_ENVOY: 6.0, Fault.FULL_DISK: 2.0, Fault.READ_ONLY: 2.0, Fault.LOCKED: 7.0}
_CLOCK_SECONDS = 7200.0

# Several services. No full disk: the log of each job is held against those of the others, and would have gaps.
_WEIGHTS_OF_SEVERAL: dict[Fault, int] = {
    Fault.STOP_SERVICE: 4,
    Fault.PARTITION: 4,
    Fault.RESTART: 2,
    Fault.CUT: 2,
    **{fault: weight for fault, weight in _WEIGHTS.items() if fault is not Fault.FULL_DISK},
}
_OUTLASTING_A_LEASE = (Fault.STOP_SERVICE, Fault.PARTITION)
CLOCKS_APART = 600.0
"""Seconds by which the clock of one of several services is wrong, at most."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault: after a pause, for so long, and whether the service is killed in the middle of it. Seconds.

    Attributes:
        target: the number of the service that it happens to.
        crash: whether the database is killed rather than stopped in order.
    """

    fault: Fault
    pause: float
    length: float
    with_kill: bool
    clock: float
    target: int = 0
    crash: bool = False


def schedule(seed: str, server: bool, services: int = 1, longest: float = 20.0) -> Iterator[Planned]:
    """The faults of a run, without end.

    Args:
        server: the database is a server of its own, whose connections can break.
        services: how many there are.
        longest: seconds for which one of several is stopped or cut off, at most.
    """
    chance = random.Random(f"{seed}/faults")
    weights = _WEIGHTS | ({Fault.CUT: 2} if server else {})
    lengths = dict(_LONGEST)
    clock = _CLOCK_SECONDS
    if services > 1:
        weights, clock = _WEIGHTS_OF_SEVERAL, CLOCKS_APART
        lengths |= {Fault.STOP_SERVICE: longest, Fault.PARTITION: longest, Fault.RESTART: 3.0}
    # Apart from what else is drawn, which is the same for one service.
    choice = random.Random(f"{seed}/targets")
    for number in count():
        # Each kind once before chance decides: a short run has them all.
        kinds = list(weights)
        first = number < len(kinds)
        fault = kinds[number] if first else chance.choices(kinds, list(weights.values()))[0]
        planned = Planned(
            fault,
            pause=chance.random() * 1.0,
            length=chance.random() ** 2 * lengths.get(fault, 0.2),
            with_kill=fault in lengths and chance.random() < 0.3,
            clock=chance.uniform(-clock, clock),
            target=choice.randrange(services),
            crash=choice.random() < 0.5,
        )
        if first and fault in _OUTLASTING_A_LEASE:
            planned = replace(planned, length=max(planned.length, LEASE + 1.5), with_kill=False)
        yield planned


@dataclass(frozen=True, slots=True)
class Happened:
    """A fault that happened to a service: when it began and when it was over, in seconds since 1970 by the true
    clock. `killed` tells whether a service was killed -9."""

    fault: Fault
    service: str
    began: float
    over: float
    killed: bool


class Injector:
    """Carries faults out, one after another.

    Args:
        services: those that a plan numbers.
        server_url: the URL of the database when it is a server; SQLite otherwise.
        postgres: that server, where it may be restarted.
    """

    def __init__(
        self,
        services: Sequence[ClockedService],
        journal: Journal,
        server_url: str = "",
        postgres: Postgres | None = None,
    ) -> None:
        self._services = services
        self._journal = journal
        self._server_url = server_url
        self._postgres = postgres
        self.done: Counter[Fault] = Counter()
        self.happened: list[Happened] = []
        self.kills = 0
        self._services_killed = 0
        self._holding: dict[Fault, Callable[[ClockedService, Planned], AbstractContextManager[None]]] = {
            Fault.STOP_ENVOY: lambda service, _: halted_if_there(envoy_of(service)),
            Fault.STOP_SERVICE: lambda service, _: halted_if_there(service.pid),
            Fault.FULL_DISK: lambda service, _: self._file_limit(service, self._quota(service)),
            Fault.READ_ONLY: lambda service, _: (
                self._server_read_only() if server_url else self._file_limit(service, 0)
            ),
            Fault.LOCKED: lambda service, _: self._server_locked() if server_url else self._file_locked(service),
            Fault.PARTITION: lambda service, _: self._out_of_reach(service),
            Fault.RESTART: lambda _, planned: self._server_away(crash=planned.crash),
        }

    def run(self, plan: Iterator[Planned], stopping: threading.Event, kills: int | None = None) -> None:
        """Go through the plan until `stopping`, or until that many kills."""
        while not stopping.is_set() and (kills is None or self.kills < kills):
            planned = next(plan)
            if stopping.wait(planned.pause):
                return
            self.inject(planned)

    def inject(self, planned: Planned) -> None:
        """Let one fault happen, and end."""
        for each in self._services:
            self._look_after(each)
        service = self._services[planned.target]
        began, killed_before = time.time(), self._services_killed
        self.done[planned.fault] += 1
        hold = self._holding.get(planned.fault)
        if hold is None:
            self._happen(service, planned)
        else:
            with hold(service, planned):
                threading.Event().wait(planned.length / 2)
                if planned.with_kill:
                    self._kill_service(service)
                threading.Event().wait(planned.length / 2)
            if planned.with_kill:
                self._start(service)
        killed = self._services_killed > killed_before
        self.happened.append(Happened(planned.fault, service.name, began, time.time(), killed))

    def _happen(self, service: ClockedService, planned: Planned) -> None:
        match planned.fault:
            case Fault.CLOCK:
                write_offset(service.clock, planned.clock)
            case Fault.CUT:
                self._cut_connections()
            case Fault.KILL_ENVOY:
                self._kill(envoy_of(service))
            case Fault.KILL_SERVICE | Fault.KILL_BOTH | Fault.KILL_ALL:
                self._kill_service(service)
                if planned.fault is Fault.KILL_ALL:
                    # Before Envoy, which it would start again.
                    self._kill(standby_of(service))
                if planned.fault is not Fault.KILL_SERVICE:
                    self._kill(envoy_of(service))
                threading.Event().wait(planned.length)
                self._start(service)

    def _kill_service(self, service: ClockedService) -> None:
        service.kill()
        self.kills += 1
        self._services_killed += 1

    def _kill(self, pid: int | None) -> None:
        self.kills += signal_process(pid, signal.SIGKILL)

    def _start(self, service: ClockedService) -> None:
        eventually(lambda: self._starts(service), patience=120)

    def _starts(self, service: ClockedService) -> bool:
        try:
            service.start()
        except AssertionError:
            # It said why and ended; whoever looks after a service starts it again.
            service.wait()
            return False
        return True

    def _look_after(self, service: ClockedService) -> None:
        if not service.is_running:
            self._journal.violation(f"the service {service.name} ended by itself: {service.log()[-3000:]}")
            service.wait()
            self._start(service)

    # Disk

    def _quota(self, service: Service) -> int:
        """A limit that some of the writes to come still fit under."""
        logs = [service.data_dir / "equipoise.db-wal", service.data_dir.parent / "data.log"]
        return max((log.stat().st_size for log in logs if log.exists()), default=0) + 8192

    @contextmanager
    def _file_limit(self, service: Service, size: int) -> Iterator[None]:
        """No file of the service, its standby or its Envoy may grow beyond `size` bytes; with 0 none at all."""
        with ExitStack() as undoing:
            for pid in (service.pid, standby_of(service), envoy_of(service)):
                undoing.callback(limit_files, pid, resource.RLIM_INFINITY)
                limit_files(pid, size)
            try:
                yield
            finally:
                # Those that were started meanwhile have inherited it.
                for pid in (standby_of(service), envoy_of(service)):
                    limit_files(pid, resource.RLIM_INFINITY)

    # Database

    @contextmanager
    def _file_locked(self, service: Service) -> Iterator[None]:
        other = sqlite3.connect(service.data_dir / "equipoise.db", timeout=10, isolation_level=None)
        try:
            with suppress(sqlite3.OperationalError):
                # Refused now and then: the service is just writing.
                other.execute("BEGIN EXCLUSIVE")
            yield
        finally:
            other.close()

    @contextmanager
    def _server_locked(self) -> Iterator[None]:
        with psycopg.connect(self._server_url) as connection:
            connection.execute("LOCK TABLE load_balancers, jobs IN ACCESS EXCLUSIVE MODE")
            yield
            connection.rollback()

    @contextmanager
    def _server_read_only(self) -> Iterator[None]:
        self._alter("SET default_transaction_read_only = on")
        try:
            self._cut_connections()
            yield
        finally:
            self._alter("RESET default_transaction_read_only")
            self._cut_connections()

    def _alter(self, how: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            name = sql.Identifier(connection.info.dbname)
            connection.execute(sql.SQL("ALTER DATABASE {} ").format(name) + sql.SQL(how))

    @contextmanager
    def _server_away(self, *, crash: bool) -> Iterator[None]:
        assert self._postgres is not None
        self._postgres.stop(signal.SIGQUIT if crash else signal.SIGINT)
        try:
            yield
        finally:
            self._postgres.start()

    def _out_of_reach(self, service: ClockedService) -> AbstractContextManager[None]:
        assert service.network is not None
        assert self._postgres is not None
        return service.network.cut_off_from(self._postgres.host, self._postgres.port)

    def _cut_connections(self) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


def envoy_of(service: Service) -> int | None:
    """The process id of its Envoy; None when there is none to be known."""
    return _pid_in(service.data_dir / "run" / "envoy.pid")


def standby_of(service: Service) -> int | None:
    """The process id of what looks after Envoy while there is no service."""
    return _pid_in(service.data_dir / "run" / "standby.pid")


def _pid_in(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (FileNotFoundError, ValueError):
        # An orderly end has taken it away, or it could not be written.
        return None


def limit_files(pid: int | None, size: int) -> None:
    """No file that the process writes may become longer than `size`; one that is gone needs no limit."""
    if pid is not None:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def signal_process(pid: int | None, number: int) -> bool:
    """Send a signal; returns whether there was still anybody to send it to."""
    if pid is None or not process_is_there(pid):
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def halted_if_there(pid: int | None) -> Iterator[None]:
    """A process exists and does nothing; it may have been replaced by the end."""
    signal_process(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_process(pid, signal.SIGCONT)
