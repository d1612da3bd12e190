"""One unit of work inside a transaction, and what became of it. Who runs units, and when, is elsewhere."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from equipoise.store.events import Event

T = TypeVar("T")

UNAVAILABLE: Final = (OperationalError, InterfaceError, InternalError, PoolTimeout)
"""What a database raises that cannot be used just now."""


class StoreUnavailable(Exception):
    """The database cannot be reached, is locked or cannot be written. Nothing was stored, but see `OutcomeUnknown`."""


class OutcomeUnknown(StoreUnavailable):
    """The database went away during a commit and does not tell whether it has stored it.

    When it is back and tells, what was stored is carried out; whoever tries again must find what may be there.
    """


class Transaction:
    """One unit of work inside a transaction.

    Attributes:
        connection: where statements are executed.
        now: the time of the transaction in milliseconds since 1970 (UTC); the same for all that it writes.
        revision: the number of this change of the database. Each commit has a higher one than all before it, whichever
            service makes it; writes that share a commit share its revision.
    """

    def __init__(self, connection: Connection, now: int, revision: int) -> None:
        self.connection = connection
        self.now = now
        self.revision = revision
        self.events: list[Event] = []

    def emit(self, happened: Event) -> None:
        """Tell `happened` to the listeners of the database, if and when the transaction commits."""
        self.events.append(happened)


@dataclass(slots=True)
class Unit(Generic[T]):
    """Work that waits for its turn, and for whom it is done.

    `is_news`: whether other services have to compare at once what they know with what it stores.
    """

    work: Callable[[Transaction], T]
    future: "asyncio.Future[T]"
    is_news: bool = True


@dataclass(frozen=True, slots=True)
class UnitOutcome:
    """What became of a unit: its result, or what it raised; and what it emitted."""

    unit: Unit[Any]
    result: Any = None
    error: BaseException | None = None
    events: tuple[Event, ...] = ()
    revision: int = 0


def run(transaction: Transaction, unit: Unit[Any], within: AbstractContextManager[object]) -> UnitOutcome:
    """Run a unit inside `within`, which undoes what it did when it raises. Raises only what is of `UNAVAILABLE`."""
    try:
        with within:
            result = unit.work(transaction)
    except UNAVAILABLE:
        raise
    except Exception as error:  # noqa: BLE001 - it is the caller's: it is raised where the unit is awaited
        return UnitOutcome(unit, error=error)
    return UnitOutcome(unit, result, events=tuple(transaction.events), revision=transaction.revision)


def cause(error: DBAPIError | PoolTimeout) -> str:
    """What the database itself says, without the statement and its values."""
    return str(error.orig) if isinstance(error, DBAPIError) else str(error)
