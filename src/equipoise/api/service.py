"""The door to the service for every face of it: who calls, reads, changes with their jobs, and the wait for a job.

Nothing here knows of HTTP. An API parses a request, calls this, and renders what it returns.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from sqlalchemy import Connection

from equipoise.core.errors import NotFound, NotKnown, Overloaded, Rejected, TokenMissing, Unavailable
from equipoise.core.jobs import Job, JobStatus
from equipoise.core.references import ResourceKind
from equipoise.identity.actor import Actor
from equipoise.identity.provider import IdentityProvider
from equipoise.store.backlog import Backlog
from equipoise.store.database import Database, OutcomeUnknown, StoreUnavailable, Transaction
from equipoise.store.waiting import JobWaiters
from equipoise.usecases.context import Accepted, Caller, Policy
from equipoise.usecases.idempotency import Attempt, once

T = TypeVar("T")

_NOT_STORED: Final = "The database cannot be used just now; nothing was stored, try again in a few seconds."
_NOT_KNOWN: Final = (
    "The database went away while it stored this and has not told whether it did. Look at what there is before you "
    "send it again; under the same Idempotency-Key you can send it again at once."
)
# After a change that was accepted, too: then a look at the resource tells what became of it.
_NOT_READ: Final = "The database cannot be used just now; look again in a few seconds."


@dataclass(frozen=True, slots=True)
class RequestCredentials:
    """What a request brings along to prove who asks.

    `project_id` is the project in which it acts, None for that of the token; `request_id` is for jobs and the log.
    """

    token: str | None = field(repr=False)
    project_id: str | None
    request_id: str


@dataclass(frozen=True, slots=True)
class BacklogLimits:
    """From how many unfinished jobs on answers say that it takes longer (0: never), and changes are not accepted."""

    busy: int
    hard: int


@dataclass(frozen=True, slots=True)
class Submission:
    """A change that was accepted. `busy`: many jobs were waiting to be done before it."""

    accepted: Accepted
    busy: bool


class Service:
    """The service as its APIs see it.

    Args:
        sync_wait: seconds for which a synchronous change waits for the data plane (`api.sync_wait`).
    """

    def __init__(
        self,
        database: Database,
        identity: IdentityProvider,
        policy: Policy,
        waiters: JobWaiters,
        backlog: Backlog,
        limits: BacklogLimits,
        sync_wait: float,
    ) -> None:
        self._database = database
        self._identity = identity
        self.policy = policy
        self._waiters = waiters
        self._backlog = backlog
        self._limits = limits
        self._sync_wait = sync_wait

    # Who calls

    async def authenticate(self, credentials: RequestCredentials) -> Caller:
        """Who asks to read.

        Raises:
            TokenMissing, what `IdentityProvider` raises, ProjectForbidden, RoleTooWeak, or NotFound (the project).
        """
        token = checked_token(credentials.token)
        return await self._caller(credentials, await self._identity.authenticate(token), token)

    async def authenticate_writer(self, credentials: RequestCredentials) -> Caller:
        """Who asks to write. Raises as `authenticate` does, and Overloaded."""
        token = checked_token(credentials.token)
        actor = await self._identity.authenticate(token)
        actor.check_may_write()
        if self._backlog.unfinished >= self._limits.hard:
            raise Overloaded(
                f"{self._backlog.unfinished} jobs wait to be done; nothing was stored, try again in a few seconds."
            )
        return await self._caller(credentials, actor, token)

    # Reads and writes

    def now(self) -> int:
        """Milliseconds since 1970 (UTC), by the clock that everything is stored with."""
        return self._database.now()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a read. Raises Unavailable."""
        with _available(_NOT_READ):
            return await self._database.read(work)

    async def read_one(self, work: Callable[[Connection], T]) -> T:
        """Run a read of one statement. Raises Unavailable."""
        with _available(_NOT_READ):
            return await self._database.read_one(work)

    async def write(self, caller: Caller, work: Callable[[Transaction], T]) -> T:
        """Run a write that is the same however often it is done. Raises Unavailable."""
        with _available():
            return await self._database.write(work, lane=caller.project_id)

    async def change(self, caller: Caller, attempt: Attempt | None, work: Callable[[Transaction], str]) -> str:
        """Make a change that the data plane has no part in, once for its key. Returns the id of the resource."""
        with _available():
            accepted = await self._write_once(caller, attempt, lambda tx: Accepted("", work(tx)))
        return accepted.resource_id

    async def submit(
        self, caller: Caller, attempt: Attempt | None, work: Callable[[Transaction], Accepted]
    ) -> Submission:
        """Accept an asynchronous change, once for its key; its job tells what becomes of it."""
        busy = 0 < self._limits.busy <= self._backlog.unfinished
        with _available():
            return Submission(await self._write_once(caller, attempt, work), busy)

    async def put_in_force(
        self, caller: Caller, attempt: Attempt | None, work: Callable[[Transaction], Accepted]
    ) -> str:
        """Make a synchronous change, once for its key: accept it and wait for its jobs, a short while.

        Returns the id of the resource.

        Raises:
            Rejected: the data plane did not take it; nothing is left behind.
        """
        with _available():
            accepted = await self._write_once(caller, attempt, work)
        with _available(_NOT_READ):
            waits = (self._waiters.wait(caller.project_id, id, self._sync_wait) for id in accepted.job_ids)
            jobs = await asyncio.gather(*waits)
        for job in jobs:
            if job is not None and job.status == JobStatus.FAIL:
                raise Rejected(job.fail_reason or "")
        return accepted.resource_id

    # Jobs

    async def wait_for_job(self, caller: Caller, id: str, seconds: float) -> Job | None:
        """The job once it has ended, or as it stands after `seconds`; None if the project has no such job."""
        with _available():
            return await self._waiters.wait(caller.project_id, id, seconds)

    def follow_job(self, caller: Caller, id: str, patience: float) -> AsyncIterator[Job | None]:
        """The job after each of its moves, until it has ended; None after `patience` seconds without one."""
        return self._waiters.follow(caller.project_id, id, patience)

    async def _write_once(
        self, caller: Caller, attempt: Attempt | None, work: Callable[[Transaction], Accepted]
    ) -> Accepted:
        return await self._database.write(once(attempt, caller.project_id, work), lane=caller.project_id)

    async def _caller(self, credentials: RequestCredentials, actor: Actor, token: str) -> Caller:
        wanted = actor.project_id if credentials.project_id is None else credentials.project_id
        there = actor.in_project(wanted)
        there.check_may_read()
        if wanted != actor.project_id and not await self._identity.has_project(wanted, token):
            raise NotFound(ResourceKind.PROJECT, wanted, "There is no project with the id in the path.")
        return Caller(wanted, credentials.request_id, there.may_freeze)


def checked_token(token: str | None) -> str:
    """The token that a request brings. Raises TokenMissing."""
    if not token:
        raise TokenMissing("Send a token in the header X-Auth-Token; POST /v3/auth/tokens gives one.")
    return token


@contextmanager
def _available(message: str = _NOT_STORED) -> Iterator[None]:
    """A database that cannot be used just now is a condition that passes, not a defect.

    Raises:
        Unavailable with this message, or NotKnown when it is not known whether a write was stored.
    """
    try:
        yield
    except OutcomeUnknown as error:
        raise NotKnown(_NOT_KNOWN) from error
    except StoreUnavailable as error:
        raise Unavailable(message) from error
