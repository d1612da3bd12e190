"""Operations on load balancers (classic-api.md)."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.classic.rules import ids, query
from equipoise.api.classic.rules import load_balancer as rules
from equipoise.api.classic.wire import requests
from equipoise.api.classic.wire import resources as wire
from equipoise.api.classic.wire.jobs import Task, task_response
from equipoise.api.context import ApiContext
from equipoise.core.commands import UpdateLoadBalancerCommand
from equipoise.core.model import LoadBalancer
from equipoise.http.respond import json_response
from equipoise.http.routing import Operation
from equipoise.store.database import Transaction
from equipoise.usecases import load_balancers
from equipoise.usecases.context import Accepted, Caller, Policy

TASK = (200, 202)
COLLECTION = "/v1.0/{project_id}/elbaas/loadbalancers"
ONE = COLLECTION + "/{loadbalancer_id}"


class LoadBalancerHandlers:
    """Handlers of the operations on load balancers."""

    def __init__(self, api: ApiContext) -> None:
        self._api = api
        self._service = api.service

    def operations(self) -> list[Operation]:
        """What this class answers."""
        return [
            Operation(
                "createLoadBalancer",
                "POST",
                COLLECTION,
                self.create,
                "Create a load balancer",
                TASK,
                body=requests.CreateLoadBalancer,
                answer=Task,
                errors=(501,),
            ),
            Operation(
                "listLoadBalancers",
                "GET",
                COLLECTION,
                self.list,
                "List load balancers",
                query=requests.LoadBalancerQuery,
                answer=wire.LoadBalancerList,
            ),
            Operation(
                "showLoadBalancer", "GET", ONE, self.show, "Show a load balancer", answer=wire.LoadBalancerDocument
            ),
            Operation(
                "updateLoadBalancer",
                "PUT",
                ONE,
                self.update,
                "Change a load balancer",
                TASK,
                body=requests.UpdateLoadBalancer,
                answer=Task,
            ),
            Operation(
                "deleteLoadBalancer", "DELETE", ONE, self.delete, "Delete it and its elastic IP", TASK, answer=Task
            ),
            Operation(
                "deleteLoadBalancerKeepEip",
                "DELETE",
                ONE + "/keep-eip",
                self.delete_keeping,
                "Delete it, keep its elastic IP",
                TASK,
                answer=Task,
            ),
        ]

    async def create(self, request: Request) -> Response:
        asked = await self._api.writer(request)
        caller = asked.caller
        body = await self._api.body(request)
        command = rules.create_load_balancer(
            body.value,
            project_id=caller.project_id,
            may_freeze=caller.may_freeze,
            networks=self._service.policy.networks,
        )
        submission = await self._service.submit(
            caller,
            asked.attempt(body),
            lambda tx: load_balancers.create_load_balancer(tx, caller, self._service.policy, command),
        )
        return task_response(caller, submission)

    async def list(self, request: Request) -> Response:
        caller = await self._api.reader(request)
        wanted = query.load_balancer_filters(request.query_params)
        found = await self._service.read(
            lambda c: load_balancers.list_load_balancers(c, caller, wanted.filters.items(), wanted.limit, wanted.marker)
        )
        documents = [wire.load_balancer(record) for record in found]
        return json_response({"loadbalancers": documents, "instance_num": str(len(documents))})

    async def show(self, request: Request) -> Response:
        caller = await self._api.reader(request)
        id = _id(request)
        return json_response(
            wire.load_balancer(await self._service.read_one(lambda c: load_balancers.show_load_balancer(c, caller, id)))
        )

    async def update(self, request: Request) -> Response:
        asked = await self._api.writer(request)
        caller = asked.caller
        id = _id(request)
        body = await self._api.body(request)
        submission = await self._service.submit(
            caller,
            asked.attempt(body),
            lambda tx: update_load_balancer(tx, caller, self._service.policy, id, body.value),
        )
        return task_response(caller, submission)

    async def delete(self, request: Request) -> Response:
        return await self._delete(request, keep_address=False)

    async def delete_keeping(self, request: Request) -> Response:
        return await self._delete(request, keep_address=True)

    async def _delete(self, request: Request, *, keep_address: bool) -> Response:
        asked = await self._api.writer(request)
        caller = asked.caller
        id = _id(request)
        submission = await self._service.submit(
            caller,
            asked.attempt(),
            lambda tx: load_balancers.delete_load_balancer(
                tx, caller, self._service.policy, id, keep_address=keep_address
            ),
        )
        return task_response(caller, submission)


def update_load_balancer(tx: Transaction, caller: Caller, policy: Policy, id: str, body: object) -> Accepted:
    """Change what a body asks for: which fields mean anything depends on the type."""

    def asked(load_balancer: LoadBalancer) -> UpdateLoadBalancerCommand:
        current = asdict(load_balancer) | {"tenantId": load_balancer.project_id}
        return rules.update_load_balancer(body, current=current, may_freeze=caller.may_freeze)

    return load_balancers.update_load_balancer(tx, caller, policy, id, asked)


def _id(request: Request) -> str:
    return ids.load_balancer_id(request.path_params["loadbalancer_id"])
