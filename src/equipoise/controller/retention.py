"""Forgets what is old: ended jobs past their retention, idempotency keys past theirs, removed members whose connections
have ended, and nodes that are gone."""

import asyncio
from typing import Final

import structlog

from equipoise.store import draining, idempotency, nodes
from equipoise.store.database import Database, StoreUnavailable, Transaction
from equipoise.store.jobs import queries

_log = structlog.get_logger("equipoise.retention")

_DAY: Final = 24 * 3600 * 1000
"""Milliseconds."""

_KEY_LIFETIME: Final = _DAY
"""Milliseconds for which an idempotency key is remembered."""

_NODE_LIFETIME: Final = _DAY
"""Milliseconds for which it is remembered what a node has confirmed that is gone."""

REMOVAL_LIFETIME: Final = 60_000
"""Milliseconds for which it is remembered that the connections of a removed member have ended: a node that was paused
or away for so long still ends them."""

_PERIOD: Final = 600.0
_BATCH: Final = 500
"""Jobs deleted in one go: bounds how long others wait for the writer."""


class Retention:
    """Runs beside the controller.

    Args:
        job_days: days for which an ended job can still be asked for.
    """

    def __init__(self, database: Database, job_days: float) -> None:
        self._database = database
        self._job_milliseconds = int(job_days * _DAY)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._task = asyncio.create_task(self._forget_forever(), name="retention")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def forget(self) -> None:
        """Forget what is old now. Raises StoreUnavailable."""
        while await self._database.write(self._forget_some) == _BATCH:
            pass

    async def _forget_forever(self) -> None:
        while True:
            try:
                await self.forget()
            except StoreUnavailable as error:
                _log.warning("nothing_forgotten", reason=str(error), retry_in=_PERIOD)
            await asyncio.sleep(_PERIOD)

    def _forget_some(self, tx: Transaction) -> int:
        idempotency.forget(tx, tx.now - _KEY_LIFETIME)
        draining.forget(tx.connection, tx.now - REMOVAL_LIFETIME)
        if self._database.is_shared:
            nodes.forget_gone(tx.connection, tx.now - _NODE_LIFETIME)
        return queries.forget_ended(tx, tx.now - self._job_milliseconds, _BATCH)
