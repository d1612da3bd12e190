"""Operations on jobs (jobs.md)."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.http.edge import Edge
from equipoise.http.respond import json_response
from equipoise.http.routing import Operation
from equipoise.http.wire import jobs as wire
from equipoise.usecases import jobs

ONE = "/v1.0/{project_id}/jobs/{job_id}"
ONE_AS_IN_URI = "/v1/{project_id}/jobs/{job_id}"


class Jobs:
    """Handlers of the operations on jobs.

    Args:
        empty_sub_jobs: whether jobs without sub-jobs say so by an empty list (`jobs.empty_sub_jobs`).
    """

    def __init__(self, edge: Edge, *, empty_sub_jobs: bool) -> None:
        self._edge = edge
        self._empty_sub_jobs = empty_sub_jobs

    def operations(self) -> list[Operation]:
        """What this class answers. A job answers at both paths, because clients form either (jobs.md, Choice)."""
        return [
            Operation("showJob", "GET", ONE, self.show, "Show a job", answer=wire.JobDocument),
            Operation("showJobByUri", "GET", ONE_AS_IN_URI, self.show, "Show a job", answer=wire.JobDocument),
        ]

    async def show(self, request: Request) -> Response:
        caller = await self._edge.reader(request)
        id = request.path_params["job_id"]
        found = await self._edge.read(lambda c: jobs.show_job(c, caller, id))
        return json_response(wire.job(found, empty_sub_jobs=self._empty_sub_jobs))
