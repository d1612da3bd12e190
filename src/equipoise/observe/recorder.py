"""Writes down what was seen of members' health. Who sees it is `health`; what users are told of it is the API's."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final, Protocol

import structlog

from equipoise.observe.health_reading import Health, Member
from equipoise.store.database import Database, StoreUnavailable, Transaction

_log = structlog.get_logger("equipoise.health")

_RETRY_SECONDS: Final = 1.0


class Observe(Protocol):
    """Writes what was seen of members, (listener id, address) -> healthy, in a transaction."""

    def __call__(self, tx: Transaction, /, seen: Health) -> None: ...


class HealthRecorder:
    """Keeps the column `healthy` of members at the last word. What is said during a write goes into the next one.

    Args:
        observe: writes; there is one for each kind of checks.
    """

    def __init__(self, database: Database, observe: Observe) -> None:
        self._database = database
        self._observe = observe
        self._pending: Health = {}
        self._something_pending = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write, on the running event loop."""
        self._writing = asyncio.create_task(self._write_forever(), name="health")

    async def stop(self) -> None:
        """Stop; what is pending is seen again at the next start."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    def record(self, seen: Mapping[Member, bool]) -> None:
        """Note what was seen of members, by listener id and address: True for healthy."""
        self._pending.update(seen)
        self._something_pending.set()

    async def _write_forever(self) -> None:
        while True:
            await self._something_pending.wait()
            self._something_pending.clear()
            seen, self._pending = self._pending, {}
            try:
                await self._database.write(partial(self._observe, seen=seen))
            except StoreUnavailable as error:
                _log.error("health_not_written", reason=str(error), retry_in=_RETRY_SECONDS)
                # What was said since is newer and wins.
                self._pending = seen | self._pending
                self._something_pending.set()
                await asyncio.sleep(_RETRY_SECONDS)
