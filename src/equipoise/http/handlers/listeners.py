"""Operations on listeners (classic-api.md). Writes answer when they are in force."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.domain.rules import ids, query
from equipoise.http.edge import Edge
from equipoise.http.respond import json_response, no_content
from equipoise.http.routing import Operation
from equipoise.http.wire import requests
from equipoise.http.wire import resources as wire
from equipoise.usecases import listeners
from equipoise.usecases.context import Caller

COLLECTION = "/v1.0/{project_id}/elbaas/listeners"
ONE = COLLECTION + "/{listener_id}"


class Listeners:
    """Handlers of the operations on listeners."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

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
        caller = await self._edge.writer(request)
        body = await self._edge.body(request)
        id = await self._edge.put_in_force(
            caller, lambda tx: listeners.create_listener(tx, caller, self._edge.policy, body)
        )
        return await self._shown(caller, id)

    async def list(self, request: Request) -> Response:
        caller = await self._edge.reader(request)
        wanted = query.listener_filters(request.query_params)
        found = await self._edge.read(
            lambda c: listeners.list_listeners(c, caller, wanted.filters, wanted.limit, wanted.marker)
        )
        return json_response([wire.listed_listener(view) for view in found])

    async def show(self, request: Request) -> Response:
        return await self._shown(await self._edge.reader(request), _id(request))

    async def update(self, request: Request) -> Response:
        caller = await self._edge.writer(request)
        id = _id(request)
        body = await self._edge.body(request)
        await self._edge.put_in_force(
            caller, lambda tx: listeners.update_listener(tx, caller, self._edge.policy, id, body)
        )
        return await self._shown(caller, id)

    async def delete(self, request: Request) -> Response:
        caller = await self._edge.writer(request)
        id = _id(request)
        await self._edge.put_in_force(caller, lambda tx: listeners.delete_listener(tx, caller, self._edge.policy, id))
        return no_content()

    async def _shown(self, caller: Caller, id: str) -> Response:
        return json_response(wire.listener(await self._edge.read(lambda c: listeners.show_listener(c, caller, id))))


def _id(request: Request) -> str:
    return ids.listener_id(request.path_params["listener_id"])
