"""Operations on listeners (classic-api.md). Writes answer when they are in force."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.classic.records import listener_fields, listener_filters
from equipoise.api.classic.rules import ids, query
from equipoise.api.classic.rules import listener as rules
from equipoise.api.classic.wire import requests
from equipoise.api.classic.wire import resources as wire
from equipoise.api.context import ApiContext
from equipoise.core.commands import UpdateListenerCommand
from equipoise.core.errors import NotFound
from equipoise.core.model import Listener, Pool
from equipoise.core.references import ResourceKind
from equipoise.http.respond import json_response, no_content
from equipoise.http.routing import Operation
from equipoise.store.database import Transaction
from equipoise.usecases import listeners
from equipoise.usecases.context import Accepted, Caller, Policy
from equipoise.usecases.listeners import ListenerContext

COLLECTION = "/v1.0/{project_id}/elbaas/listeners"
ONE = COLLECTION + "/{listener_id}"


class ListenerHandlers:
    """Handlers of the operations on listeners."""

    def __init__(self, api: ApiContext) -> None:
        self._api = api
        self._service = api.service

    def operations(self) -> list[Operation]:
        """What this class answers."""
        return [
            Operation(
                "createListener",
                "POST",
                COLLECTION,
                self.create,
                "Create a listener",
                body=requests.CreateListener,
                answer=wire.ListenerDocument,
                errors=(501,),
            ),
            Operation(
                "listListeners",
                "GET",
                COLLECTION,
                self.list,
                "List listeners",
                query=requests.ListenerQuery,
                answer=list[wire.ListedListener],
            ),
            Operation("showListener", "GET", ONE, self.show, "Show a listener", answer=wire.ListenerDocument),
            Operation(
                "updateListener",
                "PUT",
                ONE,
                self.update,
                "Change a listener",
                body=requests.UpdateListener,
                answer=wire.ListenerDocument,
            ),
            Operation("deleteListener", "DELETE", ONE, self.delete, "Delete a listener and all below it", (204,)),
        ]

    async def create(self, request: Request) -> Response:
        asked = await self._api.writer(request)
        caller = asked.caller
        body = await self._api.body(request)
        id = await self._service.put_in_force(
            caller, asked.attempt(body), lambda tx: create_listener(tx, caller, self._service.policy, body.value)
        )
        return await self._shown(caller, id)

    async def list(self, request: Request) -> Response:
        caller = await self._api.reader(request)
        wanted = query.listener_filters(request.query_params)
        filters = listener_filters(wanted.filters)
        found = await self._service.read(
            lambda c: listeners.list_listeners(c, caller, filters, wanted.limit, wanted.marker)
        )
        return json_response([wire.listed_listener(view) for view in found])

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
            lambda tx: update_listener(tx, caller, self._service.policy, id, body.value),
        )
        return await self._shown(caller, id)

    async def delete(self, request: Request) -> Response:
        asked = await self._api.writer(request)
        caller = asked.caller
        id = _id(request)
        await self._service.put_in_force(
            caller, asked.attempt(), lambda tx: listeners.delete_listener(tx, caller, self._service.policy, id)
        )
        return no_content()

    async def _shown(self, caller: Caller, id: str) -> Response:
        return json_response(wire.listener(await self._service.read(lambda c: listeners.show_listener(c, caller, id))))


def create_listener(tx: Transaction, caller: Caller, policy: Policy, body: object) -> Accepted:
    """Create what a body asks for. It is read in the transaction: of what is wrong or does not fit the first counts."""
    return listeners.create_listener(tx, caller, policy, lambda context: rules.create_listener(body, context).command())


def update_listener(tx: Transaction, caller: Caller, policy: Policy, id: str, body: object) -> Accepted:
    """Change what a body asks for: which values fit depends on those that stand."""

    def asked(listener: Listener, pool: Pool | None, context: ListenerContext) -> UpdateListenerCommand:
        if pool is None:
            raise NotFound(ResourceKind.LISTENER, id)
        fields = asdict(listener_fields(listener, pool))
        current = fields | {
            "id": id,
            "loadbalancer_id": listener.load_balancer_id,
            "admin_state_up": listener.admin_state_up,
        }
        return rules.update_listener(body, current=current, context=context).command()

    return listeners.update_listener(tx, caller, policy, id, asked)


def _id(request: Request) -> str:
    return ids.listener_id(request.path_params["listener_id"])
