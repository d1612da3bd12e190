"""A database server, used from threads because it may be slow or gone.

Its writers, also those of other processes, take turns by a lock of the database, so that the same statements mean
the same as with SQLite, which has one writer by nature.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, text

from equipoise.store.transaction import UNAVAILABLE, Outcome, StoreUnavailable, Unit, cause, run

T = TypeVar("T")

READERS: Final = 4
"""How many reads a database server gets at once from one process."""

_WRITER_TURN: Final = 0x65717569
"""The advisory lock by which the writers of a database server take turns. Any number that nobody else uses."""

_BEGIN_WRITING: Final = text("SELECT CAST(pg_current_xact_id() AS text) FROM pg_advisory_xact_lock(:turn)")
_STATUS: Final = text("SELECT pg_xact_status(CAST(:number AS xid8))")
_NUMBER: Final = "transaction_number"
"""Where a connection keeps what the server calls its transaction."""

_DOUBT_PATIENCE: Final = 30.0
"""Seconds for which the server is asked what became of a commit before it counts as failed."""

_DOUBT_PAUSE: Final = 0.1

_PATIENCE: Final = "-c statement_timeout=15000 -c lock_timeout=10000 -c timezone=UTC"


class ServerAccess:
    """Threads to read, and one to write."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = ThreadPoolExecutor(READERS, "database-reader")
        self._writer = ThreadPoolExecutor(1, "database-writer")

    def close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a short read on one consistent snapshot. Raises StoreUnavailable."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def commit(self, units: Sequence[Unit[Any]], now: Callable[[], int]) -> list[Outcome]:
        """Run the units and commit what they did. Raises what is of `UNAVAILABLE`."""
        return await asyncio.wrap_future(self._writer.submit(self._commit, units, now))

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
                return work(connection)
        except UNAVAILABLE as error:
            raise StoreUnavailable(cause(error)) from error

    def _commit(self, units: Sequence[Unit[Any]], now: Callable[[], int]) -> list[Outcome]:
        with (
            self._engine.connect().execution_options(writer=True) as connection,
            connection.begin() as group,
        ):
            # A savepoint keeps what fails from the others; one that is alone needs none.
            outcomes = [
                run(connection, unit, now(), nullcontext() if len(units) == 1 else connection.begin_nested())
                for unit in units
            ]
            if all(outcome.error is not None for outcome in outcomes):
                group.rollback()
                return outcomes
            number = connection.info[_NUMBER]
            try:
                group.commit()
            except UNAVAILABLE:
                # Only the answer may be lost. Who waits must be told the truth, and what was stored be carried out.
                if not self._was_committed(number):
                    raise
        return outcomes

    def _was_committed(self, number: str) -> bool:
        """What became of a transaction whose connection broke. Raises what is of `UNAVAILABLE` when nobody tells."""
        deadline = time.monotonic() + _DOUBT_PATIENCE
        while True:
            try:
                with self._engine.connect() as connection:
                    status = connection.execute(_STATUS, {"number": number}).scalar()
            except UNAVAILABLE:
                if time.monotonic() > deadline:
                    raise
            else:
                if status != "in progress":
                    return bool(status == "committed")
            time.sleep(_DOUBT_PAUSE)


def server_engine(address: URL) -> Engine:
    """An engine with the durability and isolation that the service promises."""
    engine = create_engine(
        address.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=READERS + 1,
        max_overflow=0,
        connect_args={"connect_timeout": 5, "options": _PATIENCE},
    )
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("writer"):
        connection.info[_NUMBER] = connection.execute(_BEGIN_WRITING, {"turn": _WRITER_TURN}).scalar_one()
