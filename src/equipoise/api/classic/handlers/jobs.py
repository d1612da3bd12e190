"""Operations on jobs (jobs.md)."""

from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.rules import job as rules
from equipoise.api.classic.wire import jobs as wire
from equipoise.api.classic.wire import requests
from equipoise.api.context import ApiContext
from equipoise.core.jobs import Job
from equipoise.http.respond import json_response
from equipoise.http.routing import Operation
from equipoise.usecases import jobs

COLLECTION = "/v1.0/{project_id}/jobs"
ONE = COLLECTION + "/{job_id}"
EVENTS = ONE + "/events"
ONE_AS_IN_URI = "/v1/{project_id}/jobs/{job_id}"

_QUIET_SECONDS: Final = 15.0
_LONGEST_EVENT_ID: Final = 18


class JobHandlers:
    """Handlers of the operations on jobs.

    Args:
        empty_sub_jobs: whether jobs without sub-jobs say so by an empty list (`jobs.empty_sub_jobs`).
    """

    def __init__(self, api: ApiContext, *, empty_sub_jobs: bool) -> None:
        self._api = api
        self._service = api.service
        self._empty_sub_jobs = empty_sub_jobs

    def operations(self) -> list[Operation]:
        """What this class answers. A job answers at both paths, because clients form either (jobs.md, Choice)."""
        return [
            Operation(
                "listJobs",
                "GET",
                COLLECTION,
                self.list,
                "List jobs, the newest first",
                query=requests.JobQuery,
                answer=wire.JobList,
            ),
            self._showing("showJob", ONE),
            self._showing("showJobByUri", ONE_AS_IN_URI),
            Operation(
                "cancelJob", "DELETE", ONE, self.cancel, "Cancel a job that has not begun", answer=wire.JobDocument
            ),
            Operation(
                "followJob",
                "GET",
                EVENTS,
                self.follow,
                "Follow a job",
                produces=("text/event-stream",),
                answer=wire.JobEvent,
            ),
        ]

    def _showing(self, name: str, path: str) -> Operation:
        return Operation(
            name,
            "GET",
            path,
            self.show,
            "Show a job, or wait for its end",
            query=requests.OneJobQuery,
            answer=wire.JobDocument,
        )

    async def list(self, request: Request) -> Response:
        caller = await self._api.reader(request)
        wanted = rules.job_filters(request.query_params)
        found = await self._service.read(
            lambda c: jobs.list_jobs(c, caller, wanted.filters, wanted.limit, wanted.marker)
        )
        return json_response(wire.jobs(found))

    async def show(self, request: Request) -> Response:
        caller = await self._api.reader(request)
        id = request.path_params["job_id"]
        seconds = rules.seconds_to_wait(request.query_params)
        history = rules.wants_history(request.query_params)
        if seconds:
            found = jobs.present(await self._service.wait_for_job(caller, id, seconds), id)
        else:
            found = await self._service.read_one(lambda c: jobs.show_job(c, caller, id))
        return self._shown(found, history=history)

    async def cancel(self, request: Request) -> Response:
        caller = (await self._api.writer(request)).caller
        id = request.path_params["job_id"]
        return self._shown(await self._service.write(caller, lambda tx: jobs.cancel_job(tx, caller, id)), history=True)

    async def follow(self, request: Request) -> Response:
        caller = await self._api.reader(request)
        id = request.path_params["job_id"]
        # Asked once before the answer begins, so that an unknown job is a 404 and not an empty stream.
        await self._service.read_one(lambda c: jobs.show_job(c, caller, id))
        seen = _last_event(request)
        return StreamingResponse(
            self._events(self._service.follow_job(caller, id, _QUIET_SECONDS), seen),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    async def _events(self, moves: AsyncIterator[Job | None], seen: int) -> AsyncIterator[bytes]:
        async for job in moves:
            if job is None:
                # Keeps proxies and clients from taking a quiet stream for a dead one.
                yield b": waiting\n\n"
                continue
            for number, transition in enumerate(job.history, start=1):
                if number > seen:
                    seen = number
                    yield wire.event(number, job.id, transition)

    def _shown(self, found: Job, *, history: bool) -> Response:
        document = wire.job(found, empty_sub_jobs=self._empty_sub_jobs)
        if history:
            document["history"] = wire.history(found)
        return json_response(document)


def _last_event(request: Request) -> int:
    """Where a client that was cut off goes on (the Last-Event-ID header of server-sent events)."""
    given = request.headers.get("last-event-id", "0")
    if not given.isdecimal() or len(given) > _LONGEST_EVENT_ID:
        raise RuleBroken(Rule.JOB_QUERY_INVALID, "Last-Event-ID must be the id of an event of this stream.")
    return int(given)
