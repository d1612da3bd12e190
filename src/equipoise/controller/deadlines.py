"""Fails jobs whose time limit is over, with the reason that fits."""

import asyncio
from typing import Final

from sqlalchemy import Connection

from equipoise.controller import reasons
from equipoise.controller.patience import PatientDatabase
from equipoise.core.jobs import FailureReason, JobStatus
from equipoise.store import nodes
from equipoise.store.database import Database, StoreUnavailable, Transaction
from equipoise.store.jobs import queries, rollback, transitions

_LOOK_SECONDS: Final = 0.25
_TOLERANCE: Final = 1000
"""Milliseconds by which a service that only looks may be behind the clock of the database."""


class Deadlines:
    """Looks for overdue jobs.

    Args:
        time_limit: seconds after which a job fails; the deadline itself is in the job.
    """

    def __init__(self, database: Database, time_limit: float) -> None:
        self._database = database
        self._patient = PatientDatabase(database)
        self._time_limit = time_limit

    async def run(self) -> None:
        """Look again and again, for ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            # The write lock is not taken for a look that nearly always finds nothing.
            if await self._any_overdue():
                await self._patient.write(self._fail_overdue)

    async def _any_overdue(self) -> bool:
        def look(connection: Connection) -> bool:
            now = self._database.now()
            return queries.has_late(connection, now, self._latest(now) + _TOLERANCE)

        try:
            return await self._database.read_one(look)
        except StoreUnavailable:
            return False

    def _latest(self, now: int) -> int:
        """No deadline can be later, unless the clock was set back."""
        return now + int(self._time_limit * 1000)

    def _fail_overdue(self, tx: Transaction) -> None:
        transitions.limit_deadlines(tx, self._latest(tx.now))
        overdue = queries.overdue(tx.connection, tx.now)
        live = nodes.live(tx.connection) if overdue else ()
        for id, status in overdue:
            reason = reasons.of_time_limit(JobStatus(status), self._time_limit, live)
            rollback.fail(tx, [id], FailureReason.NOT_CONFIRMED, reason)
