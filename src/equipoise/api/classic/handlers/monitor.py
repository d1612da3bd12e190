"""The operation on traffic metrics (classic-api.md, Monitor)."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.classic.wire import monitor as wire
from equipoise.api.context import ApiContext
from equipoise.http.respond import json_response
from equipoise.http.routing import Operation
from equipoise.usecases import monitor

PATH = "/v1.0/{project_id}/elbaas/monitor"

SAMPLES_KEPT = 3
"""For how many intervals a sample counts when no newer one comes."""


class MonitorHandlers:
    """Handler of the operation on traffic metrics.

    Args:
        interval: seconds between two samples (`monitor.interval`).
    """

    def __init__(self, api: ApiContext, *, interval: float) -> None:
        self._api = api
        self._service = api.service
        self._longest = int(interval * 1000) * SAMPLES_KEPT

    def operations(self) -> list[Operation]:
        """What this class answers."""
        summary = "Show the traffic of each load balancer"
        return [Operation("listTraffic", "GET", PATH, self.list, summary, answer=list[wire.TrafficFigures])]

    async def list(self, request: Request) -> Response:
        caller = await self._api.reader(request)
        now = self._service.now()
        found = await self._service.read(lambda c: monitor.show_traffic(c, caller, now, self._longest))
        return json_response([wire.traffic(*view) for view in found])
