"""Operations on health checks (classic-api.md). Writes answer when they are in force."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.classic.codes import Rule
from equipoise.api.classic.records import health_check_fields
from equipoise.api.classic.rules import health_check as rules
from equipoise.api.classic.rules import ids
from equipoise.api.classic.wire import requests
from equipoise.api.classic.wire import resources as wire
from equipoise.api.context import ApiContext
from equipoise.core.commands import CreateHealthMonitorCommand, UpdateHealthMonitorCommand
from equipoise.core.model import Listener, Pool
from equipoise.http.respond import json_response, no_content
from equipoise.http.routing import Operation
from equipoise.store.database import Transaction
from equipoise.usecases import health_monitors
from equipoise.usecases.context import Accepted, Caller, Policy
from equipoise.usecases.health_monitors import HealthMonitorView

COLLECTION = "/v1.0/{project_id}/elbaas/healthcheck"
ONE = COLLECTION + "/{healthcheck_id}"
WITHOUT_PROJECT = "/v1.0/elbaas/healthcheck/{healthcheck_id}"


class HealthCheckHandlers:
    """Handlers of the operations on health checks."""

    def __init__(self, api: ApiContext) -> None:
        self._api = api
        self._service = api.service

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
        asked = await self._api.writer(request)
        caller = asked.caller
        body = await self._api.body(request)
        id = await self._service.put_in_force(
            caller,
            asked.attempt(body),
            lambda tx: create_health_check(tx, caller, self._service.policy, body.value),
        )
        return await self._shown(caller, id)

    async def show(self, request: Request) -> Response:
        return await self._shown(await self._api.reader(request), _id(request))

    async def update(self, request: Request) -> Response:
        asked = await self._api.writer(request)
        caller = asked.caller
        id = _id(request)
        body = await self._api.body(request)
        await self._service.put_in_force(
            caller,
            asked.attempt(body),
            lambda tx: update_health_check(tx, caller, self._service.policy, id, body.value),
        )
        return await self._shown(caller, id)

    async def delete(self, request: Request) -> Response:
        asked = await self._api.writer(request)
        caller = asked.caller
        id = _id(request, Rule.HEALTH_CHECK_ID_MALFORMED_ON_DELETE)
        await self._service.put_in_force(
            caller,
            asked.attempt(),
            lambda tx: health_monitors.delete_health_monitor(tx, caller, self._service.policy, id),
        )
        return no_content()

    async def _shown(self, caller: Caller, id: str) -> Response:
        return json_response(
            wire.health_check(await self._service.read(lambda c: health_monitors.show_health_monitor(c, caller, id)))
        )


def create_health_check(tx: Transaction, caller: Caller, policy: Policy, body: object) -> Accepted:
    """Create what a body asks for. Its listener, which comes first, is looked up before the other fields are read."""

    def asked(pool: Pool, listener: Listener | None) -> CreateHealthMonitorCommand:
        return rules.create_health_check(body, listener_protocol=_protocol(pool, listener)).command()

    return health_monitors.create_health_monitor(tx, caller, policy, rules.listener_id(body), asked)


def update_health_check(tx: Transaction, caller: Caller, policy: Policy, id: str, body: object) -> Accepted:
    """Change what a body asks for: which values fit depends on those that stand."""

    def asked(view: HealthMonitorView) -> UpdateHealthMonitorCommand:
        return rules.update_health_check(
            body,
            current=asdict(health_check_fields(view.monitor)),
            listener_protocol=_protocol(view.pool, view.listener),
            backend_port=view.pool.default_port or 0,
        ).command()

    return health_monitors.update_health_monitor(tx, caller, policy, id, asked)


def _protocol(pool: Pool, listener: Listener | None) -> str:
    return pool.protocol if listener is None else listener.protocol


def _id(request: Request, malformed: Rule = Rule.HEALTH_CHECK_ID_MALFORMED) -> str:
    return ids.health_check_id(request.path_params["healthcheck_id"], malformed)
