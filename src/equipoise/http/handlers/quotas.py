"""The operation on quotas (classic-api.md, Operations)."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.domain.quotas import LARGEST, SMALLEST
from equipoise.http.edge import Edge
from equipoise.http.respond import json_response
from equipoise.http.routing import Operation
from equipoise.http.wire import quotas as wire
from equipoise.usecases import quotas

PATH = "/v1.0/{project_id}/elbaas/quotas"


class Quotas:
    """Handler of the operation on quotas."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def operations(self) -> list[Operation]:
        """What this class answers."""
        return [Operation("showQuotas", "GET", PATH, self.show, "Show the quotas", answer=wire.QuotaDocument)]

    async def show(self, request: Request) -> Response:
        caller = await self._edge.reader(request)
        found = await self._edge.read(lambda c: quotas.show_quotas(c, caller, self._edge.policy))
        # Between `min` and `max` the operator can set a quota.
        resources: list[wire.Quota] = [
            {"type": each.type, "used": each.used, "quota": each.quota, "max": LARGEST, "min": SMALLEST}
            for each in found
        ]
        return json_response({"quotas": {"resources": resources}})
