"""What every handler needs: who calls, a way to the store, and the wait for a job. Handlers are beside this module."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from equipoise.domain.errors import Rule, RuleBroken
from equipoise.domain.jobs import Job, JobStatus
from equipoise.http.body import check_encoding, decoded, raw_body
from equipoise.http.respond import json_response
from equipoise.http.wire import jobs as wire
from equipoise.identity.actor import Actor
from equipoise.identity.provider import IdentityProvider
from equipoise.store.backlog import Backlog
from equipoise.store.database import Database, OutcomeUnknown, StoreUnavailable, Transaction
from equipoise.store.waiting import JobWaiters
from equipoise.usecases.attempt import Attempt
from equipoise.usecases.context import Accepted, Caller, Policy
from equipoise.usecases.idempotency import once

T = TypeVar("T")

_NOT_STORED: Final = "The database cannot be used just now; nothing was stored, try again in a few seconds."
_NOT_KNOWN: Final = (
    "The database went away while it stored this and has not told whether it did. Look at what there is before you "
    "send it again; under the same Idempotency-Key you can send it again at once."
)
# After a change that was accepted, too: then a look at the resource tells what became of it.
_NOT_READ: Final = "The database cannot be used just now; look again in a few seconds."


@dataclass(frozen=True, slots=True)
class Marks:
    """From how many unfinished jobs on a task is answered with 202 (0: never), and refused with 503."""

    busy: int
    hard: int


class Edge:
    """The way from a request into the service and back.

    Args:
        sync_wait: seconds for which a synchronous operation waits for the data plane (`api.sync_wait`).
        max_body: bytes of the largest body of a request (`http.max_body`).
    """

    def __init__(
        self,
        database: Database,
        identity: IdentityProvider,
        policy: Policy,
        waiters: JobWaiters,
        backlog: Backlog,
        marks: Marks,
        sync_wait: float,
        max_body: int,
    ) -> None:
        self._database = database
        self._identity = identity
        self.policy = policy
        self._waiters = waiters
        self._backlog = backlog
        self._marks = marks
        self._sync_wait = sync_wait
        self._max_body = max_body

    async def reader(self, request: Request) -> Caller:
        """Who asks to read.

        Raises:
            RuleBroken: TOKEN_MISSING, what `IdentityProvider` raises, PROJECT_FORBIDDEN or PROJECT_UNKNOWN.
        """
        token = token_of(request)
        return await self._caller(request, await self._identity.authenticate(token), token)

    async def writer(self, request: Request) -> Caller:
        """Who asks to write. Raises as `reader` does, ROLE_TOO_WEAK, OVERLOADED, IDEMPOTENCY_KEY_INVALID."""
        token = token_of(request)
        actor = await self._identity.authenticate(token)
        actor.check_may_write()
        if self._backlog.unfinished >= self._marks.hard:
            raise RuleBroken(
                Rule.OVERLOADED,
                f"{self._backlog.unfinished} jobs wait to be done; nothing was stored, try again in a few seconds.",
            )
        return replace(await self._caller(request, actor, token), attempt=_attempt(request))

    async def body(self, request: Request) -> object:
        """The decoded body. Raises as `check_encoding`, `raw_body` and `decoded` of `equipoise.http.body` do."""
        check_encoding(request)
        return decoded(await self.raw_body(request))

    async def raw_body(self, request: Request) -> bytes:
        """The body as it came. Raises as `raw_body` of `equipoise.http.body` does."""
        body = await raw_body(request, limit=self._max_body)
        attempt: Attempt | None = getattr(request.state, "attempt", None)
        if attempt is not None:
            attempt.add_body(body)
        return body

    def now(self) -> int:
        """Milliseconds since 1970 (UTC), by the clock that everything is stored with."""
        return self._database.now()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a read. Raises RuleBroken: UNAVAILABLE."""
        with _available(_NOT_READ):
            return await self._database.read(work)

    async def write(self, caller: Caller, work: Callable[[Transaction], T]) -> T:
        """Run a write that is the same however often it is done. Raises RuleBroken: UNAVAILABLE."""
        with _available():
            return await self._database.write(work, lane=caller.project_id)

    async def change(self, caller: Caller, work: Callable[[Transaction], str]) -> str:
        """Make a change that the data plane has no part in, once for its key. Returns the id of the resource."""
        with _available():
            accepted = await self._write_once(caller, lambda tx: Accepted("", work(tx)))
        return accepted.resource_id

    async def wait_for_job(self, caller: Caller, id: str, seconds: float) -> Job | None:
        """The job once it has ended, or as it stands after `seconds`."""
        with _available():
            return await self._waiters.wait(caller.project_id, id, seconds)

    def follow_job(self, caller: Caller, id: str, patience: float) -> AsyncIterator[Job | None]:
        """The job after each of its moves, until it has ended; None after `patience` seconds without one."""
        return self._waiters.follow(caller.project_id, id, patience)

    async def task(self, caller: Caller, work: Callable[[Transaction], Accepted]) -> Response:
        """Accept an asynchronous change and answer with the job to follow: 200, or 202 while there is a backlog."""
        busy = 0 < self._marks.busy <= self._backlog.unfinished
        with _available():
            accepted = await self._write_once(caller, work)
        return json_response(wire.task(caller.project_id, accepted.job_id), status=202 if busy else 200)

    async def put_in_force(self, caller: Caller, work: Callable[[Transaction], Accepted]) -> str:
        """Make a synchronous change: accept it and wait for its jobs, a short while. Returns the id of the resource.

        Raises:
            RuleBroken: DATA_PLANE_BIND: the data plane refused, for the reason in the detail; nothing is left behind.
        """
        with _available():
            accepted = await self._write_once(caller, work)
        with _available(_NOT_READ):
            waits = (self._waiters.wait(caller.project_id, id, self._sync_wait) for id in accepted.job_ids)
            jobs = await asyncio.gather(*waits)
        for job in jobs:
            if job is not None and job.status == JobStatus.FAIL:
                # One code for every refusal here, whatever the job says (classic-api.md, Synchronous operations).
                raise RuleBroken(Rule.DATA_PLANE_BIND, job.fail_reason or "")
        return accepted.resource_id

    async def _write_once(self, caller: Caller, work: Callable[[Transaction], Accepted]) -> Accepted:
        return await self._database.write(once(caller.attempt, caller.project_id, work), lane=caller.project_id)

    async def _caller(self, request: Request, actor: Actor, token: str) -> Caller:
        # One path names no project (classic-api.md, Health check): there the token's counts.
        wanted = request.path_params.get("project_id", actor.project_id)
        there = actor.in_project(wanted)
        there.check_may_read()
        if wanted != actor.project_id and not await self._identity.has_project(wanted, token):
            raise RuleBroken(Rule.PROJECT_UNKNOWN, "There is no project with the id in the path.")
        return Caller(wanted, request.state.request_id, there.may_freeze)


def _attempt(request: Request) -> Attempt | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    attempt = Attempt(key, request.method, request.url.path)
    # The body is read later, by the handler, and counts too.
    request.state.attempt = attempt
    return attempt


def token_of(request: Request) -> str:
    """The token of a request. Raises RuleBroken: TOKEN_MISSING."""
    token = request.headers.get("x-auth-token")
    if not token:
        raise RuleBroken(
            Rule.TOKEN_MISSING,
            "Send a token in the header X-Auth-Token; POST /v3/auth/tokens gives one.",
        )
    return token


@contextmanager
def _available(detail: str = _NOT_STORED) -> Iterator[None]:
    """A database that cannot be used just now is a condition that passes, not a defect.

    Raises:
        RuleBroken: UNAVAILABLE with this detail, or UPSTREAM_TIMEOUT when it is not known whether a write was stored.
    """
    try:
        yield
    except OutcomeUnknown as error:
        raise RuleBroken(Rule.UPSTREAM_TIMEOUT, _NOT_KNOWN) from error
    except StoreUnavailable as error:
        raise RuleBroken(Rule.UNAVAILABLE, detail) from error
