"""The operation on quotas (classic-api.md, Operations)."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.classic.wire import quotas as wire
from equipoise.api.context import ApiContext
from equipoise.core.quotas import LARGEST, SMALLEST
from equipoise.core.references import ResourceKind
from equipoise.http.respond import json_response
from equipoise.http.routing import Operation
from equipoise.usecases import quotas

PATH = "/v1.0/{project_id}/elbaas/quotas"


_TYPES = {ResourceKind.LOAD_BALANCER: "elb", ResourceKind.LISTENER: "listener"}


class QuotaHandlers:
    """Handler of the operation on quotas."""

    def __init__(self, api: ApiContext) -> None:
        self._api = api
        self._service = api.service

    def operations(self) -> list[Operation]:
        """What this class answers."""
        return [Operation("showQuotas", "GET", PATH, self.show, "Show the quotas", answer=wire.QuotaDocument)]

    async def show(self, request: Request) -> Response:
        caller = await self._api.reader(request)
        found = await self._service.read(lambda c: quotas.show_quotas(c, caller, self._service.policy))
        # Between `min` and `max` the operator can set a quota.
        resources: list[wire.Quota] = [
            {"type": _TYPES[each.kind], "used": each.used, "quota": each.quota, "max": LARGEST, "min": SMALLEST}
            for each in found
        ]
        return json_response({"quotas": {"resources": resources}})
