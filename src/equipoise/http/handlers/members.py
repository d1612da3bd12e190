"""Operations on the members of a listener (classic-api.md)."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.domain.rules import ids, query
from equipoise.domain.rules import member as rules
from equipoise.http.edge import Edge
from equipoise.http.handlers.listeners import ONE as LISTENER
from equipoise.http.handlers.load_balancers import TASK
from equipoise.http.respond import json_response
from equipoise.http.routing import Operation
from equipoise.http.wire import requests
from equipoise.http.wire import resources as wire
from equipoise.http.wire.jobs import Task
from equipoise.usecases import members

COLLECTION = LISTENER + "/members"


class Members:
    """Handlers of the operations on members."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def operations(self) -> list[Operation]:
        """What this class answers."""
        return [
            Operation(
                "createMembers",
                "POST",
                COLLECTION,
                self.add,
                "Add members",
                TASK,
                body=requests.NewMembers,
                answer=Task,
            ),
            Operation(
                "removeMembers",
                "POST",
                COLLECTION + "/action",
                self.remove,
                "Remove members",
                TASK,
                body=requests.RemoveMembers,
                answer=Task,
            ),
            Operation(
                "listMembers",
                "GET",
                COLLECTION,
                self.list,
                "List the members of a listener",
                query=requests.MemberQuery,
                answer=list[wire.MemberDocument],
            ),
        ]

    async def add(self, request: Request) -> Response:
        caller = await self._edge.writer(request)
        listener_id = _listener_id(request)
        wanted = rules.add_members(await self._edge.body(request))
        return await self._edge.task(
            caller, lambda tx: members.add_members(tx, caller, self._edge.policy, listener_id, wanted)
        )

    async def remove(self, request: Request) -> Response:
        caller = await self._edge.writer(request)
        listener_id = _listener_id(request)
        unwanted = rules.remove_members(await self._edge.body(request))
        return await self._edge.task(
            caller, lambda tx: members.remove_members(tx, caller, self._edge.policy, listener_id, unwanted)
        )

    async def list(self, request: Request) -> Response:
        caller = await self._edge.reader(request)
        listener_id = _listener_id(request)
        wanted = query.member_filters(request.query_params)
        found = await self._edge.read(
            lambda c: members.list_members(c, caller, listener_id, wanted.filters, wanted.limit, wanted.marker)
        )
        return json_response([wire.member(view) for view in found])


def _listener_id(request: Request) -> str:
    return ids.member_listener_id(request.path_params["listener_id"])
