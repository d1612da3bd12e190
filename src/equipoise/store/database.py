"""The way into the database: reads on the event loop's own connection, writes through one writer thread.

Writes that arrive together share one durable commit, each inside a savepoint of its own so that one that fails
takes no other with it. A write is answered only after its commit; the events it emitted are told after that, too.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from equipoise.store.events import Event

Clock = Callable[[], float]

T = TypeVar("T")

GROUP_LIMIT: Final = 64
"""How many writes one commit carries at most: keeps the latency of the first one bounded."""


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


class Database:
    """The database of one service process.

    Args:
        url: an SQLAlchemy URL.
        clock: seconds since 1970; the only clock that the store reads.
    """

    def __init__(self, url: str, clock: Clock = time.time) -> None:
        self._engine = open_engine(url)
        self._clock = clock
        self._queue: queue.SimpleQueue[_Unit[Any] | None] = queue.SimpleQueue()
        self._listeners: list[Callable[[list[Event]], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reader: Connection | None = None
        self._thread = threading.Thread(target=self._write_until_closed, name="database-writer", daemon=True)

    def start(self) -> None:
        """Begin serving, on the running event loop. The schema must be there (`equipoise.store.migrate`)."""
        self._loop = asyncio.get_running_loop()
        self._reader = self._engine.connect()
        self._thread.start()

    async def stop(self) -> None:
        """Finish the writes already accepted and close every connection."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        if self._reader is not None:
            self._reader.close()
        self._engine.dispose()

    def now(self) -> int:
        """Milliseconds since 1970 (UTC)."""
        return int(self._clock() * 1000)

    def on_commit(self, listener: Callable[[list[Event]], None]) -> None:
        """Call `listener` on the event loop with the events of each commit, in the order of commits."""
        self._listeners.append(listener)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run a short read on one consistent snapshot, here and now: SQLite answers in less than a thread hop costs.

        Raises:
            StoreUnavailable: the database did not answer.
        """
        if self._reader is None:
            raise RuntimeError("the database was not started")
        try:
            with self._reader.begin():
                return work(self._reader)
        except OperationalError as error:
            raise StoreUnavailable(str(error.orig)) from error

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in the writer thread and return its result once it is durable.

        Raises:
            StoreUnavailable: it could not be committed; nothing of it is stored.
        """
        if self._loop is None:
            raise RuntimeError("the database was not started")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Unit(work, future))
        # Shielded: a caller who goes away must not make a commit look as if it had not happened.
        return await asyncio.shield(future)

    def _write_until_closed(self) -> None:
        with self._engine.connect().execution_options(writer=True) as connection:
            closing = False
            while not closing:
                group = self._next_group()
                closing = group[-1] is None
                units = [unit for unit in group if unit is not None]
                if units:
                    self._commit(connection, units)

    def _next_group(self) -> list[_Unit[Any] | None]:
        group = [self._queue.get()]
        while group[-1] is not None and len(group) < GROUP_LIMIT:
            try:
                group.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return group

    def _commit(self, connection: Connection, units: list[_Unit[Any]]) -> None:
        outcomes: list[tuple[_Unit[Any], Any, BaseException | None]] = []
        events: list[Event] = []
        try:
            with connection.begin() as group:
                for unit in units:
                    outcomes.append(self._run(connection, unit, events, alone=len(units) == 1))
                if len(units) == 1 and outcomes[0][2] is not None:
                    group.rollback()
        except OperationalError as error:
            unavailable = StoreUnavailable(str(error.orig))
            outcomes, events = [(unit, None, unavailable) for unit in units], []
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._tell, outcomes, events)

    def _run(
        self, connection: Connection, unit: _Unit[Any], events: list[Event], *, alone: bool
    ) -> tuple[_Unit[Any], Any, BaseException | None]:
        transaction = Transaction(connection, self.now())
        try:
            # A savepoint keeps what fails from the others; one that is alone needs none.
            with nullcontext() if alone else connection.begin_nested():
                result = unit.work(transaction)
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - it is the caller's: it is raised where the unit is awaited
            return unit, None, error
        events.extend(transaction.events)
        return unit, result, None

    def _tell(self, outcomes: list[tuple[_Unit[Any], Any, BaseException | None]], events: list[Event]) -> None:
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
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transaction handling begins late and not before reads or savepoints; ours is explicit.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # The writer takes the write lock at once: a read that turns into a write later would fail instead of waiting.
    writes = connection.get_execution_options().get("writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
