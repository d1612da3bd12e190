"""Waiting for a job to move or to end: an event raised after the commit, never polling."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

from equipoise.domain.jobs import Job
from equipoise.store import jobs
from equipoise.store.database import Database
from equipoise.store.events import Event, JobMoved, PartsMoved


class JobWaiters:
    """Everybody in this process who waits for a job."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        database.on_commit(self._wake)

    async def wait(self, project_id: str, job_id: str, seconds: float) -> Job | None:
        """The job once it has ended, or as it stands after `seconds`; None if the project has no such job."""
        with self._watching(job_id) as moved:
            # Watched first, looked at second: a move between the two is seen by the look.
            job = await self._look(project_id, job_id)
            try:
                async with asyncio.timeout(seconds):
                    while job is not None and not job.ended:
                        await moved.wait()
                        moved.clear()
                        job = await self._look(project_id, job_id)
            except TimeoutError:
                job = await self._look(project_id, job_id)
            return job

    async def follow(self, project_id: str, job_id: str, patience: float) -> AsyncIterator[Job | None]:
        """The job now and after each of its moves, until it has ended; None whenever `patience` seconds were quiet."""
        with self._watching(job_id) as moved:
            while (job := await self._look(project_id, job_id)) is not None:
                yield job
                if job.ended:
                    return
                while not await _set_within(moved, patience):
                    yield None
                moved.clear()

    @contextmanager
    def _watching(self, job_id: str) -> Iterator[asyncio.Event]:
        moved = asyncio.Event()
        self._waiting[job_id].add(moved)
        try:
            yield moved
        finally:
            self._waiting[job_id].discard(moved)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def _look(self, project_id: str, job_id: str) -> Job | None:
        return await self._database.read(lambda connection: jobs.get(connection, project_id, job_id))

    def _wake(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case JobMoved(job_id):
                    self._wake_those_of(job_id)
                case PartsMoved(job_ids) if self._waiting:
                    for job_id in job_ids:
                        self._wake_those_of(job_id)

    def _wake_those_of(self, job_id: str) -> None:
        for moved in self._waiting.get(job_id, ()):
            moved.set()


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
