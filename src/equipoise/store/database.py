"""The way into the database: reads beside each other, writes through one writer at a time.

Writes that arrive together share one durable commit, each inside a savepoint of its own so that one that fails
takes no other with it. A write is answered only after its commit; the events it emitted are told after that, too.

SQLite is read and written on the event loop itself, which costs less than handing over to a thread; only the
commit, which waits for the disk, is done in one. A database server is used from threads, because it may be slow or
gone; its writers, also those of other processes, take turns by a lock of the database, so that the same statements
mean the same on both.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection, Engine, RootTransaction, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from equipoise.store.events import Event
from equipoise.store.lanes import Lanes

Clock = Callable[[], float]

T = TypeVar("T")

GROUP_LIMIT: Final = 64
"""How many writes one commit carries at most: keeps the latency of the first one bounded."""

OWN_LANE: Final = ""
"""The lane of the service itself, which goes first: what it writes is what everybody waits for."""

READERS: Final = 4
"""How many reads a database server gets at once from one process."""

LOCK_PATIENCE: Final = 5.0
"""Seconds for which a write waits for a lock that somebody else has on the file."""

_LOCK_PAUSE: Final = 0.01
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_WRITER_TURN: Final = 0x65717569
"""The advisory lock by which the writers of a database server take turns. Any number that nobody else uses."""

_UNAVAILABLE: Final = (OperationalError, InterfaceError, InternalError, PoolTimeout)
_SERVER_PATIENCE: Final = "-c statement_timeout=15000 -c lock_timeout=10000 -c timezone=UTC"


class StoreUnavailable(Exception):
    """The database cannot be reached, is locked or cannot be written. Nothing was stored; try again later."""


class Transaction:
    """One unit of work inside a transaction.

    Attributes:
        connection: where statements are executed.
        now: the time of the transaction in milliseconds since 1970 (UTC); the same for all that it writes.
    """

    def __init__(self, connection: Connection, now: int) -> None:
        self.connection = connection
        self.now = now
        self.events: list[Event] = []

    def emit(self, happened: Event) -> None:
        """Tell `happened` to the listeners of the database, if and when the transaction commits."""
        self.events.append(happened)


@dataclass(slots=True)
class _Unit(Generic[T]):
    work: Callable[[Transaction], T]
    future: "asyncio.Future[T]"


_Outcome = tuple[_Unit[Any], Any, BaseException | None]
"""What became of a unit: its result, or what it raised."""


class Database:
    """The database of one service process.

    Args:
        url: an SQLAlchemy URL.
        clock: seconds since 1970; the only clock that the store reads.
    """

    def __init__(self, url: str, clock: Clock = time.time) -> None:
        self._engine = open_engine(url)
        self._clock = clock
        self._lanes: Lanes[_Unit[Any]] = Lanes(OWN_LANE)
        self._something_waits = asyncio.Event()
        self._closing = False
        self._listeners: list[Callable[[list[Event]], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._own_reader: Connection | None = None
        self._own_writer: Connection | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._committer = ThreadPoolExecutor(1, "database-commit")
        self._writing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin serving, on the running event loop. The schema must be there (`equipoise.store.migrate`)."""
        self._loop = asyncio.get_running_loop()
        if self._engine.dialect.name == "sqlite":
            self._own_reader = self._engine.connect()
            self._own_writer = _patient_writer(self._engine)
        else:
            self._readers = ThreadPoolExecutor(READERS, "database-reader")
        self._writing = self._loop.create_task(self._write_until_closed(), name="database-writer")

    async def stop(self) -> None:
        """Finish the writes already accepted and close every connection."""
        self._closing = True
        self._something_waits.set()
        if self._writing is not None:
            await self._writing
        self._committer.shutdown()
        if self._readers is not None:
            self._readers.shutdown()
        for connection in (self._own_reader, self._own_writer):
            if connection is not None:
                connection.close()
        self._engine.dispose()

    async def failed(self) -> None:
        """Return only by raising: what ended the writer. Nothing does but a defect."""
        if self._writing is not None:
            await asyncio.shield(self._writing)

    def now(self) -> int:
        """Milliseconds since 1970 (UTC)."""
        return int(self._clock() * 1000)

    def on_commit(self, listener: Callable[[list[Event]], None]) -> None:
        """Call `listener` on the event loop with the events of each commit, in the order of commits."""
        self._listeners.append(listener)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a short read on one consistent snapshot.

        Raises:
            StoreUnavailable: the database did not answer.
        """
        if self._own_reader is not None:
            return _read(self._own_reader, work)
        if self._loop is None:
            raise RuntimeError("the database was not started")
        return await self._loop.run_in_executor(self._readers, self._read_pooled, work)

    def _read_pooled(self, work: Callable[[Connection], T]) -> T:
        try:
            connection = self._engine.connect()
        except _UNAVAILABLE as error:
            raise StoreUnavailable(_cause(error)) from error
        with connection:
            return _read(connection.execution_options(isolation_level="REPEATABLE READ"), work)

    async def write(self, work: Callable[[Transaction], T], lane: str = OWN_LANE) -> T:
        """Run `work` when it is its turn and return its result once it is durable.

        Args:
            lane: whose turn it is: lanes take turns, so that who asks much holds up nobody who asks little.

        Raises:
            StoreUnavailable: it could not be committed; nothing of it is stored.
        """
        if self._loop is None:
            raise RuntimeError("the database was not started")
        future: asyncio.Future[T] = self._loop.create_future()
        self._lanes.add(lane, _Unit(work, future))
        self._something_waits.set()
        # Shielded: a caller who goes away must not make a commit look as if it had not happened.
        return await asyncio.shield(future)

    async def _write_until_closed(self) -> None:
        while not self._closing or self._lanes:
            self._something_waits.clear()
            while self._lanes:
                await self._commit(self._lanes.take(GROUP_LIMIT))
            if not self._closing:
                await self._something_waits.wait()

    async def _commit(self, units: list[_Unit[Any]]) -> None:
        events: list[Event] = []
        try:
            if self._own_writer is not None:
                outcomes = await self._run_here(self._own_writer, units, events)
            else:
                outcomes = await asyncio.wrap_future(self._committer.submit(self._run_there, units, events))
        except Exception as error:  # noqa: BLE001 - those who wait must hear it, whatever it is, and the next group be tried
            fault = StoreUnavailable(_cause(error)) if isinstance(error, _UNAVAILABLE) else error
            outcomes, events = [(unit, None, fault) for unit in units], []
        self._tell(outcomes, events)

    async def _run_here(self, connection: Connection, units: list[_Unit[Any]], events: list[Event]) -> list[_Outcome]:
        """Run the units on the event loop; only what waits for the disk is done in a thread.

        A hand-over to a thread and back for each statement would cost more than the statements.
        """
        outcomes: list[_Outcome] = []
        group = await _begin_patiently(connection)
        try:
            for unit in units:
                outcomes.append(self._run(connection, unit, events, alone=len(units) == 1))
                # Others have their turn between units; the connection is nobody else's.
                await asyncio.sleep(0)
            if len(units) > 1 or outcomes[0][2] is None:
                await asyncio.wrap_future(self._committer.submit(group.commit))
        finally:
            _leave_nothing_open(connection)
        return outcomes

    def _run_there(self, units: list[_Unit[Any]], events: list[Event]) -> list[_Outcome]:
        """Run the units in a thread: every statement waits for a server."""
        with (
            self._engine.connect().execution_options(writer=True) as connection,
            connection.begin() as group,
        ):
            outcomes = [self._run(connection, unit, events, alone=len(units) == 1) for unit in units]
            if len(units) == 1 and outcomes[0][2] is not None:
                group.rollback()
        return outcomes

    def _run(self, connection: Connection, unit: _Unit[Any], events: list[Event], *, alone: bool) -> _Outcome:
        transaction = Transaction(connection, self.now())
        try:
            # A savepoint keeps what fails from the others; one that is alone needs none.
            with nullcontext() if alone else connection.begin_nested():
                result = unit.work(transaction)
        except _UNAVAILABLE:
            raise
        except Exception as error:  # noqa: BLE001 - it is the caller's: it is raised where the unit is awaited
            return unit, None, error
        events.extend(transaction.events)
        return unit, result, None

    def _tell(self, outcomes: list[_Outcome], events: list[Event]) -> None:
        for unit, result, error in outcomes:
            if unit.future.cancelled():
                continue
            if error is None:
                unit.future.set_result(result)
            else:
                unit.future.set_exception(error)
        if events:
            for listener in self._listeners:
                listener(events)


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{path}"


def open_engine(url: str) -> Engine:
    """An engine with the durability and isolation that the service promises."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        engine = create_engine(address)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        address.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=READERS + 1,
        max_overflow=0,
        connect_args={"connect_timeout": 5, "options": _SERVER_PATIENCE},
    )
    event.listen(engine, "begin", _begin_server)
    return engine


def _read(connection: Connection, work: Callable[[Connection], T]) -> T:
    try:
        with connection.begin():
            return work(connection)
    except _UNAVAILABLE as error:
        raise StoreUnavailable(_cause(error)) from error


def _cause(error: DBAPIError | PoolTimeout) -> str:
    """What the database itself says, without the statement and its values."""
    return str(error.orig) if isinstance(error, DBAPIError) else str(error)


def _patient_writer(engine: Engine) -> Connection:
    """The writer waits for a lock on the event loop, with pauses, and not inside SQLite."""
    connection = engine.connect().execution_options(writer=True)
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA busy_timeout=0")
    return connection


def _leave_nothing_open(connection: Connection) -> None:
    """Roll back whatever has not been committed.

    A commit that fails, on a full disk for example, leaves the transaction open, though SQLAlchemy takes it for over.
    """
    unfinished = connection.get_transaction()
    if unfinished is not None:
        unfinished.rollback()
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction:
        driver.rollback()


async def _begin_patiently(connection: Connection) -> RootTransaction:
    """Begin, when whoever else holds the write lock has let go of it. Raises OperationalError after a while."""
    deadline = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            return connection.begin()
        except OperationalError as error:
            busy = isinstance(error.orig, sqlite3.OperationalError) and error.orig.sqlite_errorcode in _BUSY
            if not busy or time.monotonic() > deadline:
                raise
        await asyncio.sleep(_LOCK_PAUSE)


def _is_writer(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("writer", False))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transaction handling begins late and not before reads or savepoints; ours is explicit.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # The writer takes the write lock at once: a read that turns into a write later would fail instead of waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if _is_writer(connection) else "BEGIN")


def _begin_server(connection: Connection) -> None:
    if _is_writer(connection):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_TURN})")
