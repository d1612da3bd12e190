"""Operations on load balancers (classic-api.md)."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.domain.rules import ids, query
from equipoise.domain.rules import load_balancer as rules
from equipoise.http.edge import Edge
from equipoise.http.respond import json_response
from equipoise.http.routing import Operation
from equipoise.http.wire import requests
from equipoise.http.wire import resources as wire
from equipoise.http.wire.jobs import Task
from equipoise.usecases import load_balancers

TASK = (200, 202)
COLLECTION = "/v1.0/{project_id}/elbaas/loadbalancers"
ONE = COLLECTION + "/{loadbalancer_id}"


class LoadBalancers:
    """Handlers of the operations on load balancers."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

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
        caller = await self._edge.writer(request)
        body = await self._edge.body(request)
        command = rules.create_load_balancer(
            body,
            project_id=caller.project_id,
            may_freeze=caller.may_freeze,
            networks=self._edge.policy.networks,
        )
        return await self._edge.task(
            caller, lambda tx: load_balancers.create_load_balancer(tx, caller, self._edge.policy, command)
        )

    async def list(self, request: Request) -> Response:
        caller = await self._edge.reader(request)
        wanted = query.load_balancer_filters(request.query_params)
        found = await self._edge.read(
            lambda c: load_balancers.list_load_balancers(c, caller, wanted.filters, wanted.limit, wanted.marker)
        )
        documents = [wire.load_balancer(record) for record in found]
        return json_response({"loadbalancers": documents, "instance_num": str(len(documents))})

    async def show(self, request: Request) -> Response:
        caller = await self._edge.reader(request)
        id = _id(request)
        return json_response(
            wire.load_balancer(await self._edge.read(lambda c: load_balancers.show_load_balancer(c, caller, id)))
        )

    async def update(self, request: Request) -> Response:
        caller = await self._edge.writer(request)
        id = _id(request)
        body = await self._edge.body(request)
        return await self._edge.task(
            caller, lambda tx: load_balancers.update_load_balancer(tx, caller, self._edge.policy, id, body)
        )

    async def delete(self, request: Request) -> Response:
        return await self._delete(request, keep_address=False)

    async def delete_keeping(self, request: Request) -> Response:
        return await self._delete(request, keep_address=True)

    async def _delete(self, request: Request, *, keep_address: bool) -> Response:
        caller = await self._edge.writer(request)
        id = _id(request)
        return await self._edge.task(
            caller,
            lambda tx: load_balancers.delete_load_balancer(
                tx, caller, self._edge.policy, id, keep_address=keep_address
            ),
        )


def _id(request: Request) -> str:
    return ids.load_balancer_id(request.path_params["loadbalancer_id"])
