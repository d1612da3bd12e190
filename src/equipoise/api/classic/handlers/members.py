"""Operations on the members of a listener (classic-api.md)."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.handlers.listeners import ONE as LISTENER
from equipoise.api.classic.handlers.load_balancers import TASK
from equipoise.api.classic.records import member_filters
from equipoise.api.classic.rules import ids, query
from equipoise.api.classic.rules import member as rules
from equipoise.api.classic.wire import requests
from equipoise.api.classic.wire import resources as wire
from equipoise.api.classic.wire.jobs import Task, task_response
from equipoise.api.context import ApiContext
from equipoise.http.respond import json_response
from equipoise.http.routing import Operation
from equipoise.usecases import members

COLLECTION = LISTENER + "/members"


class MemberHandlers:
    """Handlers of the operations on members."""

    def __init__(self, api: ApiContext) -> None:
        self._api = api
        self._service = api.service

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
        asked = await self._api.writer(request)
        caller = asked.caller
        listener_id = _listener_id(request)
        body = await self._api.body(request)
        wanted = rules.add_members(body.value)
        submission = await self._service.submit(
            caller,
            asked.attempt(body),
            lambda tx: members.add_members(tx, caller, self._service.policy, listener_id, wanted),
        )
        return task_response(caller, submission)

    async def remove(self, request: Request) -> Response:
        asked = await self._api.writer(request)
        caller = asked.caller
        listener_id = _listener_id(request)
        body = await self._api.body(request)
        unwanted = rules.remove_members(body.value)
        submission = await self._service.submit(
            caller,
            asked.attempt(body),
            lambda tx: members.remove_members(tx, caller, self._service.policy, listener_id, unwanted),
        )
        return task_response(caller, submission)

    async def list(self, request: Request) -> Response:
        caller = await self._api.reader(request)
        listener_id = _listener_id(request)
        wanted = query.member_filters(request.query_params)
        filters, health = member_filters(wanted.filters)
        found = await self._service.read(
            lambda c: members.list_members(c, caller, listener_id, filters, health, wanted.limit, wanted.marker)
        )
        if not found and "id" in wanted.filters:
            # Clients ask for a member by its id to learn whether it is gone (classic-api.md, Choice).
            raise RuleBroken(
                Rule.MEMBER_UNKNOWN, f"There is no member {wanted.filters['id']} under listener {listener_id}."
            )
        return json_response([wire.member(view) for view in found])


def _listener_id(request: Request) -> str:
    return ids.member_listener_id(request.path_params["listener_id"])
