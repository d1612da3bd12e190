"""The way into the database: reads beside each other, writes through one writer at a time.

Writes that arrive together share one durable commit, each inside a savepoint of its own so that one that fails
takes no other with it. A write is answered only after its commit; the events it emitted are told after that, too.
How the two kinds of database are used is in `equipoise.store.sqlite` and `equipoise.store.server`.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, make_url

from equipoise.store.comparisons import Comparison
from equipoise.store.events import Event
from equipoise.store.lanes import Lanes
from equipoise.store.server import ServerAccess, server_engine
from equipoise.store.sqlite import SqliteAccess, sqlite_engine
from equipoise.store.transaction import (
    UNAVAILABLE,
    OutcomeUnknown,
    StoreUnavailable,
    Transaction,
    Unit,
    UnitOutcome,
    cause,
)

__all__ = ["Clock", "Database", "OutcomeUnknown", "StoreUnavailable", "Transaction", "open_engine", "sqlite_url"]

Clock = Callable[[], float]

T = TypeVar("T")

GROUP_LIMIT: Final = 64
"""How many writes one commit carries at most: keeps the latency of the first one bounded."""

_DOUBT_SECONDS: Final = 1.0
"""How often a database is asked what became of a commit in doubt while there is nothing to write."""

OWN_LANE: Final = ""
"""The lane of the service itself, which goes first: what it writes is what everybody waits for."""


class Database:
    """The database of one service process.

    Args:
        url: an SQLAlchemy URL.
        clock: seconds since 1970, in place of the clock that all services on the database share: that of a database
            server, or of this machine with SQLite.
    """

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self._engine = open_engine(url)
        self._clock = clock
        self._lanes: Lanes[Unit[Any]] = Lanes(OWN_LANE)
        self._something_waits = asyncio.Event()
        self._closing = False
        self._listeners: list[Callable[[list[Event]], None]] = []
        self._comparisons: list[Comparison] = []
        self._own_revisions: set[int] = set()
        self._used: SqliteAccess | ServerAccess | None = None
        self._writing: asyncio.Task[None] | None = None
        self._comparing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin serving, on the running event loop. The schema must be there (`equipoise.store.migrate`)."""
        if self.is_shared:
            self._used = server = ServerAccess(self._engine)
            self._comparing = asyncio.create_task(self._compare(server.foreign_writes()), name="database-comparisons")
        else:
            self._used = SqliteAccess(self._engine)
        self._writing = asyncio.create_task(self._write_until_closed(), name="database-writer")

    async def stop(self) -> None:
        """Finish the writes already accepted and close every connection."""
        self._closing = True
        self._something_waits.set()
        if self._comparing is not None:
            self._comparing.cancel()
            await asyncio.wait([self._comparing])
        if self._writing is not None:
            await self._writing
        if self._used is not None:
            self._used.close()
        self._engine.dispose()

    async def failed(self) -> None:
        """Return only by raising: what ended the writer or the comparisons. Nothing does but a defect."""
        tasks = [task for task in (self._writing, self._comparing) if task is not None]
        await asyncio.gather(*map(asyncio.shield, tasks))

    @property
    def is_shared(self) -> bool:
        """Whether other services may use it: it is a server, and not the file of this one."""
        return self._engine.dialect.name != "sqlite"

    def now(self) -> int:
        """Milliseconds since 1970 (UTC)."""
        return self._access.now() if self._clock is None else int(self._clock() * 1000)

    def on_commit(self, listener: Callable[[list[Event]], None]) -> None:
        """Call `listener` on the event loop with the events of each commit, in the order of commits."""
        self._listeners.append(listener)

    def on_foreign_write(self, compare: Callable[[], Awaitable[None]], after: float = 0.0) -> None:
        """Await `compare` whenever another service may have written to the same database, and every few seconds.

        Args:
            compare: compares what this process knows with what is stored; may raise StoreUnavailable.
            after: seconds that it may come after the write, and after the one before.
        """
        self._comparisons.append(Comparison(compare, after))

    def take_own_revisions(self, up_to: int) -> Collection[int]:
        """The revisions up to this one that this process has written and told of, each once; of a shared database."""
        taken = {revision for revision in self._own_revisions if revision <= up_to}
        self._own_revisions -= taken
        return taken

    def tell(self, events: list[Event]) -> None:
        """Call those that follow the commits: with what another service has committed, for example."""
        for listener in self._listeners:
            listener(events)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a short read on one consistent snapshot.

        Raises:
            StoreUnavailable: the database did not answer.
        """
        return await self._access.read(work)

    async def read_one(self, work: Callable[[Connection], T]) -> T:
        """Run a short read of one statement, which is a snapshot by itself: a server is asked once, not three times.

        Raises:
            StoreUnavailable: the database did not answer.
        """
        return await self._access.read_one(work)

    async def write(self, work: Callable[[Transaction], T], lane: str = OWN_LANE, *, is_news: bool = True) -> T:
        """Run `work` when it is its turn and return its result once it is durable.

        Args:
            lane: whose turn it is: lanes take turns, so that who asks much holds up nobody who asks little.
            is_news: whether other services are to compare at once what they know with what is stored.

        Raises:
            StoreUnavailable: it could not be committed; nothing of it is stored.
            OutcomeUnknown: it may be stored or not. If it is, its events are told when the database is back.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._lanes.add(lane, Unit(work, future, is_news))
        self._something_waits.set()
        # Shielded: a caller who goes away must not make a commit look as if it had not happened.
        return await asyncio.shield(future)

    @property
    def _access(self) -> SqliteAccess | ServerAccess:
        if self._used is None:
            raise RuntimeError("the database was not started")
        return self._used

    async def _write_until_closed(self) -> None:
        while not self._closing or self._lanes:
            self._something_waits.clear()
            await self._settle()
            while self._lanes:
                await self._commit(self._lanes.take(GROUP_LIMIT))
                await self._settle()
            if not self._closing:
                await self._pause()

    async def _compare(self, foreign_writes: AsyncIterator[None]) -> None:
        # Side by side: whoever waits for a change of another service does not wait for the other comparisons.
        async with asyncio.TaskGroup() as running:
            async for _ in foreign_writes:
                for comparison in self._comparisons:
                    comparison.want(running)

    async def _pause(self) -> None:
        """Wait until there is something to write, or a commit in doubt is to be asked for again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_DOUBT_SECONDS if self._access.is_in_doubt else None):
                await self._something_waits.wait()

    async def _settle(self) -> None:
        """Carry out what a commit in doubt has stored, if the database tells by now."""
        with suppress(StoreUnavailable):
            self._tell(await self._access.settle())

    async def _commit(self, units: list[Unit[Any]]) -> None:
        try:
            outcomes = await self._access.commit(units, self.now)
        except Exception as error:  # noqa: BLE001 - those who wait must hear it, whatever it is, and the next group be tried
            outcomes = [UnitOutcome(unit, error=_told(error)) for unit in units]
        self._tell(outcomes)

    def _tell(self, outcomes: Iterable[UnitOutcome]) -> None:
        events: list[Event] = []
        for outcome in outcomes:
            events.extend(outcome.events)
            if outcome.events and self.is_shared:
                self._own_revisions.add(outcome.revision)
            future = outcome.unit.future
            if future.done():
                # Whoever waited has gone, or was told that the outcome is not known.
                continue
            if outcome.error is None:
                future.set_result(outcome.result)
            else:
                future.set_exception(outcome.error)
        if events:
            self.tell(events)


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{path}"


def open_engine(url: str) -> Engine:
    """An engine with the durability and isolation that the service promises."""
    address = make_url(url)
    return sqlite_engine(address) if address.get_backend_name() == "sqlite" else server_engine(address)


def _told(error: Exception) -> Exception:
    """What those who wait are told of an error of the whole group."""
    if isinstance(error, UNAVAILABLE):
        return StoreUnavailable(cause(error))
    return StoreUnavailable(str(error)) if isinstance(error, sqlite3.OperationalError) else error
