"""Use of the database by work that nobody waits for and that must not be lost: it goes on trying."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import chain, repeat
from typing import Final, TypeVar

import structlog
from sqlalchemy import Connection

from equipoise.store.database import Database, StoreUnavailable, Transaction

T = TypeVar("T")

_log = structlog.get_logger("equipoise.controller")

_RETRY_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0)


class PatientDatabase:
    """Reads and writes that are tried again for as long as the database is unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def is_shared(self) -> bool:
        """Whether other services may use it."""
        return self._database.is_shared

    def now(self) -> int:
        """Milliseconds since 1970 (UTC)."""
        return self._database.now()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a read."""
        return await self._patiently(partial(self._database.read, work))

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run a write: what was observed must not be lost."""
        return await self._patiently(partial(self._database.write, work))

    async def _patiently(self, use: Callable[[], Awaitable[T]]) -> T:
        for pause in chain(_RETRY_SECONDS, repeat(_RETRY_SECONDS[-1])):
            try:
                return await use()
            except StoreUnavailable as error:
                _log.error("database_unavailable", reason=str(error), retry_in=pause)
                await asyncio.sleep(pause)
        raise AssertionError("the pauses never end")
