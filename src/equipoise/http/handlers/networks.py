"""Operations on VPCs and subnets, which can be read alone: clients look up here what a load balancer is to be in."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.domain.rules import query
from equipoise.http.edge import Edge
from equipoise.http.respond import json_response
from equipoise.http.routing import Operation
from equipoise.http.wire import networks as wire
from equipoise.http.wire import requests
from equipoise.usecases import networks

VPCS = "/v1/{project_id}/vpcs"
SUBNETS = "/v1/{project_id}/subnets"


class Networks:
    """Handlers of the operations on networks."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def operations(self) -> list[Operation]:
        """What this class answers."""
        return [
            Operation("listVpcs", "GET", VPCS, self.vpcs, "List VPCs", query=requests.VpcQuery, answer=wire.VpcList),
            Operation("showVpc", "GET", VPCS + "/{vpc_id}", self.vpc, "Show a VPC", answer=wire.VpcDocument),
            Operation(
                "listSubnets",
                "GET",
                SUBNETS,
                self.subnets,
                "List subnets",
                query=requests.SubnetQuery,
                answer=wire.SubnetList,
            ),
            Operation(
                "showSubnet", "GET", SUBNETS + "/{subnet_id}", self.subnet, "Show a subnet", answer=wire.SubnetDocument
            ),
        ]

    async def vpcs(self, request: Request) -> Response:
        await self._edge.reader(request)
        wanted = query.vpc_filters(request.query_params)
        found = networks.list_vpcs(self._edge.policy.networks, wanted.filters, wanted.limit, wanted.marker)
        return json_response({"vpcs": [wire.vpc(id) for id in found]})

    async def vpc(self, request: Request) -> Response:
        await self._edge.reader(request)
        found = networks.show_vpc(self._edge.policy.networks, request.path_params["vpc_id"])
        return json_response({"vpc": wire.vpc(found)})

    async def subnets(self, request: Request) -> Response:
        await self._edge.reader(request)
        wanted = query.subnet_filters(request.query_params)
        found = networks.list_subnets(self._edge.policy.networks, wanted.filters, wanted.limit, wanted.marker)
        return json_response({"subnets": [wire.subnet(record) for record in found]})

    async def subnet(self, request: Request) -> Response:
        await self._edge.reader(request)
        found = networks.show_subnet(self._edge.policy.networks, request.path_params["subnet_id"])
        return json_response({"subnet": wire.subnet(found)})
