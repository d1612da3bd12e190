"""Operations on VPCs and subnets, which can be read alone: clients look up here what a load balancer is to be in."""

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.classic.rules import query
from equipoise.api.classic.wire import networks as wire
from equipoise.api.classic.wire import requests
from equipoise.api.context import ApiContext
from equipoise.core.commands import Column
from equipoise.http.respond import json_response
from equipoise.http.routing import Operation
from equipoise.usecases import networks

VPCS = "/v1/{project_id}/vpcs"
SUBNETS = "/v1/{project_id}/subnets"


class NetworkHandlers:
    """Handlers of the operations on networks."""

    def __init__(self, api: ApiContext) -> None:
        self._api = api
        self._networks = api.service.policy.networks

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
        await self._api.reader(request)
        wanted = query.vpc_filters(request.query_params)
        found = networks.list_vpcs(self._networks, _vpc_ids(wanted.filters), wanted.limit, wanted.marker)
        return json_response({"vpcs": [wire.vpc(id) for id in found]})

    async def vpc(self, request: Request) -> Response:
        await self._api.reader(request)
        found = networks.show_vpc(self._networks, request.path_params["vpc_id"])
        return json_response({"vpc": wire.vpc(found)})

    async def subnets(self, request: Request) -> Response:
        await self._api.reader(request)
        wanted = query.subnet_filters(request.query_params)
        # A subnet has no name but its id.
        filters = [("id" if name == "name" else name, value) for name, value in wanted.filters.items()]
        found = networks.list_subnets(self._networks, filters, wanted.limit, wanted.marker)
        return json_response({"subnets": [wire.subnet(record) for record in found]})

    async def subnet(self, request: Request) -> Response:
        await self._api.reader(request)
        found = networks.show_subnet(self._networks, request.path_params["subnet_id"])
        return json_response({"subnet": wire.subnet(found)})


def _vpc_ids(filters: Mapping[str, Column]) -> Sequence[Column]:
    """What the id of a VPC must be all at once; a VPC has no name but its id."""
    given = dict(filters)
    if given.pop("enterprise_project_id", wire.ENTERPRISE_PROJECT) not in wire.VISIBLE_ENTERPRISE_PROJECTS:
        return [None]
    return list(given.values())
