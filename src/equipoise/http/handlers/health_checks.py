"""Operations on health checks (classic-api.md). Writes answer when they are in force."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.domain.errors import Rule
from equipoise.domain.rules import ids
from equipoise.http.edge import Edge
from equipoise.http.respond import json_response, no_content
from equipoise.http.routing import Operation
from equipoise.http.wire import requests
from equipoise.http.wire import resources as wire
from equipoise.usecases import health_checks
from equipoise.usecases.context import Caller

COLLECTION = "/v1.0/{project_id}/elbaas/healthcheck"
ONE = COLLECTION + "/{healthcheck_id}"
WITHOUT_PROJECT = "/v1.0/elbaas/healthcheck/{healthcheck_id}"


class HealthChecks:
    """Handlers of the operations on health checks."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def operations(self) -> list[Operation]:
        """What this class answers. A client in use deletes without a project in the path."""
        delete = "Delete a health check"
        return [
            Operation(
                "createHealthCheck",
                "POST",
                COLLECTION,
                self.create,
                "Create a health check",
                body=requests.CreateHealthCheck,
                answer=wire.HealthCheckDocument,
            ),
            Operation("showHealthCheck", "GET", ONE, self.show, "Show a health check", answer=wire.HealthCheckDocument),
            Operation(
                "updateHealthCheck",
                "PUT",
                ONE,
                self.update,
                "Change a health check",
                body=requests.UpdateHealthCheck,
                answer=wire.HealthCheckDocument,
            ),
            Operation("deleteHealthCheck", "DELETE", ONE, self.delete, delete, (204,)),
            Operation("deleteOwnHealthCheck", "DELETE", WITHOUT_PROJECT, self.delete, delete, (204,)),
        ]

    async def create(self, request: Request) -> Response:
        caller = await self._edge.writer(request)
        body = await self._edge.body(request)
        id = await self._edge.put_in_force(
            caller, lambda tx: health_checks.create_health_check(tx, caller, self._edge.policy, body)
        )
        return await self._shown(caller, id)

    async def show(self, request: Request) -> Response:
        return await self._shown(await self._edge.reader(request), _id(request))

    async def update(self, request: Request) -> Response:
        caller = await self._edge.writer(request)
        id = _id(request)
        body = await self._edge.body(request)
        await self._edge.put_in_force(
            caller, lambda tx: health_checks.update_health_check(tx, caller, self._edge.policy, id, body)
        )
        return await self._shown(caller, id)

    async def delete(self, request: Request) -> Response:
        caller = await self._edge.writer(request)
        id = _id(request, Rule.HEALTH_CHECK_ID_MALFORMED_ON_DELETE)
        await self._edge.put_in_force(
            caller, lambda tx: health_checks.delete_health_check(tx, caller, self._edge.policy, id)
        )
        return no_content()

    async def _shown(self, caller: Caller, id: str) -> Response:
        return json_response(
            wire.health_check(await self._edge.read(lambda c: health_checks.show_health_check(c, caller, id)))
        )


def _id(request: Request, malformed: Rule = Rule.HEALTH_CHECK_ID_MALFORMED) -> str:
    return ids.health_check_id(request.path_params["healthcheck_id"], malformed)
