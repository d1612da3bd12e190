"""Waiting for a job to move or to end: an event raised after the commit. What other services on the same database write
is compared when they notify.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

from equipoise.core.jobs import UNFINISHED, Job, JobStatus
from equipoise.store.database import Database
from equipoise.store.events import Event, JobMoved, SubJobsMoved
from equipoise.store.jobs import queries

_Watch = tuple[asyncio.Event, tuple[JobStatus, ...]]
_States = frozenset[tuple[str, str]]


class JobWaiters:
    """Everybody in this process who waits for a job."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: defaultdict[str, set[_Watch]] = defaultdict(set)
        self._compared: dict[str, _States] = {}
        database.on_commit(self._wake)
        database.on_foreign_write(self._compare)

    async def wait(self, project_id: str, job_id: str, seconds: float) -> Job | None:
        """The job once it has ended, or as it stands after `seconds`; None if the project has no such job."""
        with self._watching(job_id, UNFINISHED) as ended:
            # Watched first, looked at second: a move between the two is seen by the look.
            job = await self._look(project_id, job_id)
            try:
                async with asyncio.timeout(seconds):
                    while job is not None and not job.ended:
                        await ended.wait()
                        ended.clear()
                        job = await self._look(project_id, job_id)
            except TimeoutError:
                job = await self._look(project_id, job_id)
            return job

    async def follow(self, project_id: str, job_id: str, patience: float) -> AsyncIterator[Job | None]:
        """The job now and after each of its moves, until it has ended; None whenever `patience` seconds were quiet."""
        told = None
        with self._watching(job_id, ()) as moved:
            while (job := await self._look(project_id, job_id)) is not None:
                # One move may wake twice: here, and when it is compared.
                if job != told:
                    yield (told := job)
                if job.ended:
                    return
                while not await _set_within(moved, patience):
                    yield None
                moved.clear()

    @contextmanager
    def _watching(self, job_id: str, but: tuple[JobStatus, ...]) -> Iterator[asyncio.Event]:
        """An event that is set whenever the job enters a state, but for those named."""
        moved = asyncio.Event()
        watch = (moved, but)
        self._waiting[job_id].add(watch)
        try:
            yield moved
        finally:
            self._waiting[job_id].discard(watch)
            if not self._waiting[job_id]:
                del self._waiting[job_id]
                self._compared.pop(job_id, None)

    async def _look(self, project_id: str, job_id: str) -> Job | None:
        return await self._database.read_one(lambda connection: queries.get(connection, project_id, job_id))

    async def _compare(self) -> None:
        if not self._waiting:
            return
        ids = tuple(self._waiting)
        states = await self._database.read_one(lambda connection: queries.states(connection, ids))
        for id, state in states.items():
            # One that was not compared before may have moved since its look.
            if id in self._waiting and self._compared.get(id) != state:
                self._compared[id] = state
                self._wake_those_of(id)

    def _wake(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case JobMoved():
                    self._wake_those_of(event.job_id, event.status)
                case SubJobsMoved() if self._waiting:
                    for job_id in event.job_ids:
                        self._wake_those_of(job_id)

    def _wake_those_of(self, job_id: str, status: JobStatus | None = None) -> None:
        """`status` None: the job moved somewhere, and whoever waits looks where."""
        for moved, but in self._waiting.get(job_id, ()):
            if status is None or status not in but:
                moved.set()


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
