"""Waiting for the end of a job: an event raised after the commit, never polling."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from equipoise.domain.jobs import UNFINISHED, Job
from equipoise.store import jobs
from equipoise.store.database import Database
from equipoise.store.events import Event, JobMoved


class JobWaiters:
    """Everybody in this process who waits for a job to end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        database.on_commit(self._wake)

    async def wait(self, project_id: str, job_id: str, seconds: float) -> Job | None:
        """The job once it has ended, or as it stands after `seconds`; None if the project has no such job."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[job_id].add(ended)
        try:
            # Registered first, looked at second: an end between the two is seen by the look.
            job = await self._look(project_id, job_id)
            if job is None or job.ended:
                return job
            await asyncio.wait([ended], timeout=seconds)
        finally:
            self._waiting[job_id].discard(ended)
            if not self._waiting[job_id]:
                del self._waiting[job_id]
        return await self._look(project_id, job_id)

    async def _look(self, project_id: str, job_id: str) -> Job | None:
        return await self._database.read(lambda connection: jobs.get(connection, project_id, job_id))

    def _wake(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, JobMoved) and event.status not in UNFINISHED:
                for ended in self._waiting.get(event.job_id, ()):
                    if not ended.done():
                        ended.set_result(None)
