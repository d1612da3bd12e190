"""SQLite, used on the event loop itself; only what waits for the disk is done in a thread.

A hand-over to a thread and back would cost more than a statement does. Transactions and savepoints are begun and
ended at the driver: the same done by SQLAlchemy costs several times as much as SQLite takes for them.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event

from equipoise.store.transaction import UNAVAILABLE, StoreUnavailable, Transaction, Unit, UnitOutcome, cause, run

T = TypeVar("T")

LOCK_PATIENCE: Final = 5.0
"""Seconds for which a write waits for a lock that somebody else has on the file."""

_LOCK_PAUSE: Final = 0.01
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_BY_HAND: Final = "by_hand"
_RAISE_REVISION: Final = "UPDATE revisions SET value = value + 1 RETURNING value"


class SqliteAccess:
    """One connection to read and one to write, both of the event loop on which it was made."""

    def __init__(self, engine: Engine) -> None:
        self._reader, self._reading = _open(engine)
        self._writer, self._writing = _open(engine)
        # The writer waits for a lock on the event loop, with pauses, and not inside SQLite.
        self._writing.execute("PRAGMA busy_timeout=0")
        self._committer = ThreadPoolExecutor(1, "database-commit")

    def now(self) -> int:
        """Milliseconds since 1970 (UTC), by the clock of this machine."""
        return int(time.time() * 1000)

    def close(self) -> None:
        self._committer.shutdown()
        self._reader.close()
        self._writer.close()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a short read on one consistent snapshot. Raises StoreUnavailable."""
        try:
            self._reading.execute("BEGIN")
            try:
                return work(self._reader)
            finally:
                self._reading.rollback()
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(str(error)) from error
        except UNAVAILABLE as error:
            raise StoreUnavailable(cause(error)) from error

    # A transaction costs less here than another way to read.
    read_one = read

    async def commit(self, units: Sequence[Unit[Any]], now: Callable[[], int]) -> list[UnitOutcome]:
        """Run the units and commit what they did. Raises sqlite3.OperationalError or what is of `UNAVAILABLE`."""
        outcomes: list[UnitOutcome] = []
        await self._begin_patiently()
        try:
            [(revision,)] = self._writing.execute(_RAISE_REVISION).fetchall()
            for unit in units:
                # A savepoint keeps what fails from the others; one that is alone needs none.
                within = nullcontext() if len(units) == 1 else self._savepoint()
                outcomes.append(run(Transaction(self._writer, now(), revision), unit, within))
                # Others have their turn between units; the connection is nobody else's.
                await asyncio.sleep(0)
            if any(outcome.error is None for outcome in outcomes):
                await asyncio.wrap_future(self._committer.submit(self._writing.commit))
        finally:
            # A commit that fails, on a full disk for example, leaves the transaction open.
            if self._writing.in_transaction:
                self._writing.rollback()
        return outcomes

    @property
    def is_in_doubt(self) -> bool:
        """Whether it is not known what became of the last commit: a file always tells."""
        return False

    async def settle(self) -> Sequence[UnitOutcome]:
        """What was stored by a commit that was in doubt."""
        return []

    async def _begin_patiently(self) -> None:
        """Begin, when whoever else holds the write lock has let go of it."""
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                # The write lock at once: a read that turns into a write later would fail instead of waiting.
                self._writing.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in _BUSY or time.monotonic() > deadline:
                    raise
            else:
                return
            await asyncio.sleep(_LOCK_PAUSE)

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        self._writing.execute("SAVEPOINT unit")
        try:
            yield
        except BaseException:
            # An error can have undone the whole transaction already, a full disk for example.
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK TO unit")
            raise
        self._writing.execute("RELEASE unit")


def sqlite_engine(address: URL) -> Engine:
    """An engine with the durability and isolation that the service promises."""
    engine = create_engine(address)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _open(engine: Engine) -> tuple[Connection, sqlite3.Connection]:
    connection = engine.connect().execution_options(**{_BY_HAND: True})
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError(f"The driver is {type(driver)}.")
    return connection, driver


def _prepare(connection: Any, _record: object) -> None:
    # The driver's own transaction handling begins late and not before reads or savepoints; ours is explicit.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    if not connection.get_execution_options().get(_BY_HAND):
        connection.exec_driver_sql("BEGIN")
