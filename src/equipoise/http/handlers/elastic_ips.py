"""Operations on elastic IPs: the address API of the same cloud (classic-api.md, end of Operations)."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.domain.rules import elastic_ip as rules
from equipoise.domain.rules import query
from equipoise.http.edge import Edge
from equipoise.http.respond import json_response, no_content
from equipoise.http.routing import Operation
from equipoise.http.wire import elastic_ips as wire
from equipoise.http.wire import requests
from equipoise.store.database import Transaction
from equipoise.usecases import elastic_ips
from equipoise.usecases.context import Caller

COLLECTION = "/v1/{project_id}/publicips"
ONE = COLLECTION + "/{publicip_id}"

_NAMES = {"public_ip_address": "address"}


class ElasticIps:
    """Handlers of the operations on elastic IPs."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def operations(self) -> list[Operation]:
        """What this class answers."""
        return [
            Operation(
                "createElasticIp",
                "POST",
                COLLECTION,
                self.create,
                "Take an elastic IP",
                body=requests.CreateElasticIp,
                answer=wire.ElasticIpDocument,
                errors=(501,),
            ),
            Operation(
                "listElasticIps",
                "GET",
                COLLECTION,
                self.list,
                "List elastic IPs",
                query=requests.ElasticIpQuery,
                answer=wire.ElasticIpList,
            ),
            Operation("showElasticIp", "GET", ONE, self.show, "Show an elastic IP", answer=wire.ElasticIpDocument),
            Operation("deleteElasticIp", "DELETE", ONE, self.delete, "Give an elastic IP back", (204,)),
        ]

    async def create(self, request: Request) -> Response:
        caller = await self._edge.writer(request)
        command = rules.create_elastic_ip(await self._edge.body(request))
        id = await self._edge.change(
            caller, lambda tx: elastic_ips.create_elastic_ip(tx, caller, self._edge.policy, command).id
        )
        return await self._shown(caller, id)

    async def list(self, request: Request) -> Response:
        caller = await self._edge.reader(request)
        wanted = query.elastic_ip_filters(request.query_params)
        filters = {_NAMES[name]: value for name, value in wanted.filters.items()}
        found = await self._edge.read(
            lambda c: elastic_ips.list_elastic_ips(c, caller, filters, wanted.limit, wanted.marker)
        )
        return json_response({"publicips": [wire.elastic_ip(record) for record in found]})

    async def show(self, request: Request) -> Response:
        caller = await self._edge.reader(request)
        return await self._shown(caller, request.path_params["publicip_id"])

    async def delete(self, request: Request) -> Response:
        caller = await self._edge.writer(request)
        id: str = request.path_params["publicip_id"]

        def delete(tx: Transaction) -> str:
            elastic_ips.delete_elastic_ip(tx, caller, id)
            return id

        await self._edge.change(caller, delete)
        return no_content()

    async def _shown(self, caller: Caller, id: str) -> Response:
        record = await self._edge.read(lambda c: elastic_ips.show_elastic_ip(c, caller, id))
        return json_response({"publicip": wire.elastic_ip(record)})
