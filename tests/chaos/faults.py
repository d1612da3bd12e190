"""What goes wrong, and when: a schedule that follows from a seed alone, and what carries it out on a real service."""

import os
import random
import resource
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from stand import Service, eventually, process_is_there
from tests.chaos.clocked import write_offset
from tests.chaos.journal import Journal


class Fault(StrEnum):
    """Kinds of fault. The kills have no length, the clock stays where it jumped to."""

    KILL_SERVICE = "kill -9 service"
    KILL_ENVOY = "kill -9 Envoy"
    KILL_BOTH = "kill -9 both"
    KILL_ALL = "kill -9 both and the standby"
    STOP_ENVOY = "stop Envoy"
    FULL_DISK = "disk quota full"
    READ_ONLY = "database read-only"
    LOCKED = "database locked"
    CUT = "database connections cut"
    CLOCK = "clock jumps"


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


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault: after a pause, for so long, and whether the service is killed in the middle of it. Seconds."""

    fault: Fault
    pause: float
    length: float
    with_kill: bool
    clock: float


def schedule(seed: str, server: bool) -> Iterator[Planned]:
    """The faults of a run, without end; `server`: the database is a server of its own, whose connections can break."""
    chance = random.Random(f"{seed}/faults")
    weights = _WEIGHTS | ({Fault.CUT: 2} if server else {})
    for number in count():
        # Each kind once before chance decides: a short run has them all.
        kinds = list(weights)
        fault = kinds[number] if number < len(kinds) else chance.choices(kinds, list(weights.values()))[0]
        yield Planned(
            fault,
            pause=chance.random() * 1.0,
            length=chance.random() ** 2 * _LONGEST.get(fault, 0.2),
            with_kill=fault in _LONGEST and chance.random() < 0.3,
            clock=chance.uniform(-_CLOCK_SECONDS, _CLOCK_SECONDS),
        )


class Injector:
    """Carries faults out on one service, one after another.

    Args:
        clock: the file that moves the clock of the service (`clocked`).
        server_url: the URL of the database when it is a server; SQLite otherwise.
    """

    def __init__(self, service: Service, journal: Journal, clock: Path, server_url: str = "") -> None:
        self._service = service
        self._journal = journal
        self._clock = clock
        self._server_url = server_url
        self.done: Counter[Fault] = Counter()
        self.kills = 0
        self._holding: dict[Fault, Callable[[], AbstractContextManager[None]]] = {
            Fault.STOP_ENVOY: lambda: halted_if_there(service),
            Fault.FULL_DISK: lambda: self._file_limit(self._quota()),
            Fault.READ_ONLY: self._server_read_only if server_url else lambda: self._file_limit(0),
            Fault.LOCKED: self._server_locked if server_url else self._file_locked,
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
        self._look_after_service()
        self.done[planned.fault] += 1
        hold = self._holding.get(planned.fault)
        if hold is not None:
            with hold():
                threading.Event().wait(planned.length / 2)
                if planned.with_kill:
                    self._kill_service()
                threading.Event().wait(planned.length / 2)
            if planned.with_kill:
                self._start()
            return
        match planned.fault:
            case Fault.CLOCK:
                write_offset(self._clock, planned.clock)
            case Fault.CUT:
                self._cut_connections()
            case Fault.KILL_ENVOY:
                self._kill(envoy_of(self._service))
            case Fault.KILL_SERVICE | Fault.KILL_BOTH | Fault.KILL_ALL:
                self._kill_service()
                if planned.fault is Fault.KILL_ALL:
                    # Before Envoy, which it would start again.
                    self._kill(standby_of(self._service))
                if planned.fault is not Fault.KILL_SERVICE:
                    self._kill(envoy_of(self._service))
                threading.Event().wait(planned.length)
                self._start()

    def _kill_service(self) -> None:
        self._service.kill()
        self.kills += 1

    def _kill(self, pid: int | None) -> None:
        self.kills += signal_process(pid, signal.SIGKILL)

    def _start(self) -> None:
        eventually(self._starts, patience=120)

    def _starts(self) -> bool:
        try:
            self._service.start()
        except AssertionError:
            # It said why and ended; whoever looks after a service starts it again.
            self._service.wait()
            return False
        return True

    def _look_after_service(self) -> None:
        if not self._service.is_running:
            self._journal.violation(f"the service ended by itself: {self._service.log()[-3000:]}")
            self._service.wait()
            self._start()

    # Disk

    def _quota(self) -> int:
        """A limit that some of the writes to come still fit under."""
        logs = [self._service.data_dir / "equipoise.db-wal", self._service.data_dir.parent / "data.log"]
        return max((log.stat().st_size for log in logs if log.exists()), default=0) + 8192

    @contextmanager
    def _file_limit(self, size: int) -> Iterator[None]:
        """No file of the service, its standby or its Envoy may grow beyond `size` bytes; with 0 none at all."""
        with ExitStack() as undoing:
            for pid in (self._service.pid, standby_of(self._service), envoy_of(self._service)):
                undoing.callback(limit_files, pid, resource.RLIM_INFINITY)
                limit_files(pid, size)
            try:
                yield
            finally:
                # Those that were started meanwhile have inherited it.
                for pid in (standby_of(self._service), envoy_of(self._service)):
                    limit_files(pid, resource.RLIM_INFINITY)

    # Database

    @contextmanager
    def _file_locked(self) -> Iterator[None]:
        other = sqlite3.connect(self._service.data_dir / "equipoise.db", timeout=10, isolation_level=None)
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
def halted_if_there(service: Service) -> Iterator[None]:
    """Envoy exists and does nothing; it may have been replaced by the end."""
    pid = envoy_of(service)
    signal_process(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_process(pid, signal.SIGCONT)
