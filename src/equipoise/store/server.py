"""A database server, used from threads because it may be slow or gone.

Its writers, also those of other processes, take turns by a lock of the database, so that the same statements mean
the same as with SQLite, which has one writer by nature.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar
from uuid import uuid4

from sqlalchemy import URL, Connection, Engine, RootTransaction, Row, create_engine, text
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import DataError, DBAPIError

from equipoise.store.foreign_writes import CHANNEL, foreign_writes
from equipoise.store.reachability import CONNECTION_PARAMETERS
from equipoise.store.transaction import (
    UNAVAILABLE,
    OutcomeUnknown,
    StoreUnavailable,
    Transaction,
    Unit,
    UnitOutcome,
    cause,
    run,
)

T = TypeVar("T")

READERS: Final = 4
"""How many reads a database server gets at once from one process."""

_WRITER_TURN: Final = 0x65717569
"""The advisory lock by which the writers of a database server take turns. Any number that nobody else uses."""

# All that a write has to know, in one statement.
_BEGIN_WRITING: Final = (
    "UPDATE revisions SET value = value + 1 FROM pg_advisory_xact_lock(:turn) RETURNING "
    "value AS revision, CAST(pg_current_xact_id() AS text) AS number, "
    "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) AS time"
)
_BEGIN_QUIETLY: Final = text(_BEGIN_WRITING)
# Other services are notified of a commit only: a rollback takes the notification with it.
_BEGIN_AND_NOTIFY: Final = text(f"{_BEGIN_WRITING}, pg_notify(:channel, CAST(:writer AS text) || ' ' || value)")
_TIME: Final = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)")
_TAKE_TURN: Final = text("SELECT pg_advisory_xact_lock(:turn)")
_STATUS: Final = text("SELECT pg_xact_status(CAST(:number AS xid8))")
_COMMITTED: Final = "committed"
_IN_PROGRESS: Final = "in progress"
_NEVER_SEEN: Final = "never seen"

_DOUBT_PATIENCE: Final = 30.0
"""Seconds for which the server is asked what became of a commit before those who wait hear that nobody knows."""

_DOUBT_PAUSE: Final = 0.1

_AT_ONCE: Final = 1.0
"""Seconds within which a connection that the server has closed is noticed. One that is cut off takes longer."""

# A transaction whose client was lost holds the turn of all writers, and nobody can tell what becomes of it.
# So the server ends it, well before those who wait for their turn give up.
_PATIENCE: Final = (
    "-c statement_timeout=15000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=5000 -c timezone=UTC"
)

_WITHOUT_HASTE: Final = (
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL lock_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
)
"""For a transaction that changes the schema, which takes as long as the tables are large."""


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A commit of which it is not known whether the server has made it: its transaction, and what it was to bring."""

    number: str
    outcomes: Sequence[UnitOutcome]


class ServerAccess:
    """Threads to read, and one to write."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._name = uuid4().hex
        self._readers = ThreadPoolExecutor(READERS, "database-reader")
        self._writer = ThreadPoolExecutor(1, "database-writer")
        self._doubt: _Doubt | None = None
        # Of the clock of the server before the monotonic one of this machine, in milliseconds.
        self._ahead: int | None = None

    def now(self) -> int:
        """Milliseconds since 1970 (UTC) by the clock of the server, which all services share, as last heard.

        Before it was heard for the first time it is the clock of this machine.
        """
        return int(time.time() * 1000) if self._ahead is None else self._ahead + _monotonic()

    @property
    def is_in_doubt(self) -> bool:
        """Whether it is not known what became of the last commit. Nothing is committed until `settle` has found out."""
        return self._doubt is not None

    def close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a short read on one consistent snapshot. Raises StoreUnavailable."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def read_one(self, work: Callable[[Connection], T]) -> T:
        """Run a read of one statement, without a transaction around it. Raises StoreUnavailable."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work, "AUTOCOMMIT")

    async def commit(self, units: Sequence[Unit[Any]], now: Callable[[], int]) -> list[UnitOutcome]:
        """Run the units and commit what they did. Raises what is of `UNAVAILABLE`, or StoreUnavailable while in doubt.

        Units of which nobody knows whether they were stored have failed as OutcomeUnknown.
        """
        if self.is_in_doubt:
            raise StoreUnavailable("it has not told yet what became of the commit before")
        return await asyncio.wrap_future(self._writer.submit(self._commit, units, now))

    async def settle(self) -> Sequence[UnitOutcome]:
        """What was stored by a commit that was in doubt, once, when the server tells. Raises StoreUnavailable."""
        if self._doubt is None:
            return []
        doubt, status = self._doubt, await asyncio.wrap_future(self._writer.submit(self._status, self._doubt.number))
        if status == _IN_PROGRESS:
            raise StoreUnavailable("the commit before has not ended yet")
        self._doubt = None
        return doubt.outcomes if status == _COMMITTED else []

    def _read(self, work: Callable[[Connection], T], isolation: IsolationLevel = "REPEATABLE READ") -> T:
        try:
            return _again_if_lost(partial(self._read_once, work, isolation))
        except UNAVAILABLE as error:
            raise StoreUnavailable(cause(error)) from error

    def _read_once(self, work: Callable[[Connection], T], isolation: IsolationLevel) -> T:
        with self._engine.connect().execution_options(isolation_level=isolation) as connection:
            if self._ahead is None:
                self._hear(connection.execute(_TIME).scalar_one())
            return work(connection)

    def foreign_writes(self) -> AsyncIterator[None]:
        """Yield whenever another service may have written."""
        return foreign_writes(self._engine.url, self._name)

    def _commit(self, units: Sequence[Unit[Any]], now: Callable[[], int]) -> list[UnitOutcome]:
        # To begin stores nothing; what comes after it is not done twice.
        is_news = any(unit.is_news for unit in units)
        group, begun = _again_if_lost(partial(self._take_turn, is_news=is_news))
        with group.connection as connection, group:
            self._hear(begun.time)
            # A savepoint keeps what fails from the others; one that is alone needs none.
            outcomes = [
                run(
                    Transaction(connection, now(), begun.revision),
                    unit,
                    nullcontext() if len(units) == 1 else connection.begin_nested(),
                )
                for unit in units
            ]
            if all(outcome.error is not None for outcome in outcomes):
                group.rollback()
                return outcomes
            try:
                group.commit()
            except UNAVAILABLE as error:
                # Only the answer may be lost. Who waits must be told the truth, and what was stored be carried out.
                status = self._status_in_time(begun.number)
                if status is None:
                    self._doubt = _Doubt(begun.number, outcomes)
                    return [_in_doubt(outcome, cause(error)) for outcome in outcomes]
                if status != _COMMITTED:
                    raise
        return outcomes

    def _take_turn(self, *, is_news: bool) -> tuple[RootTransaction, Row[Any]]:
        """A transaction that has its turn, and what the server said at its beginning."""
        values = {"turn": _WRITER_TURN} | ({"channel": CHANNEL, "writer": self._name} if is_news else {})
        statement = _BEGIN_AND_NOTIFY if is_news else _BEGIN_QUIETLY
        connection = self._engine.connect()
        try:
            return connection.begin(), connection.execute(statement, values).one()
        except BaseException:
            connection.close()
            raise

    def _hear(self, milliseconds: int) -> None:
        self._ahead = milliseconds - _monotonic()

    def _status_in_time(self, number: str) -> str | None:
        """What became of a transaction whose connection broke; None when nobody tells, for as long as we wait."""
        deadline = time.monotonic() + _DOUBT_PATIENCE
        while time.monotonic() < deadline:
            with suppress(StoreUnavailable):
                status = self._status(number)
                if status != _IN_PROGRESS:
                    return status
            time.sleep(_DOUBT_PAUSE)
        return None

    def _status(self, number: str) -> str:
        """What the server says of a transaction. Raises StoreUnavailable."""
        try:
            return self._read(lambda connection: str(connection.execute(_STATUS, {"number": number}).scalar()))
        except DataError:
            # It has never been there: another server has taken its place, without what was committed last.
            return _NEVER_SEEN


def _again_if_lost(work: Callable[[], T]) -> T:
    """Do what stores nothing, and once more if the server has closed the connection since it was used last.

    So no connection is tried before it is used. The pool then closes all others that are as old.
    """
    began = time.monotonic()
    try:
        return work()
    except DBAPIError as error:
        # Who waited for a connection that is cut off has waited long enough.
        if not error.connection_invalidated or time.monotonic() - began > _AT_ONCE:
            raise
    return work()


def _in_doubt(outcome: UnitOutcome, because: str) -> UnitOutcome:
    """A unit that has failed by itself has failed, whatever became of the others."""
    return outcome if outcome.error is not None else UnitOutcome(outcome.unit, error=OutcomeUnknown(because))


def server_engine(address: URL) -> Engine:
    """An engine with the durability and isolation that the service promises."""
    return create_engine(
        address.set(drivername="postgresql+psycopg"),
        pool_size=READERS + 1,
        max_overflow=0,
        connect_args={**CONNECTION_PARAMETERS, "options": _PATIENCE},
    )


def lock_for_migration(connection: Connection) -> None:
    """Keep all writers, and others that would change the schema, waiting until this transaction ends."""
    for statement in _WITHOUT_HASTE:
        connection.execute(text(statement))
    connection.execute(_TAKE_TURN, {"turn": _WRITER_TURN})


def _monotonic() -> int:
    return int(time.monotonic() * 1000)
