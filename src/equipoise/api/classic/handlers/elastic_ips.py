"""Operations on elastic IPs: the address API of the same cloud (classic-api.md, end of Operations)."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.classic.rules import elastic_ip as rules
from equipoise.api.classic.rules import query
from equipoise.api.classic.wire import elastic_ips as wire
from equipoise.api.classic.wire import requests
from equipoise.api.context import ApiContext
from equipoise.http.respond import json_response, no_content
from equipoise.http.routing import Operation
from equipoise.store.database import Transaction
from equipoise.usecases import elastic_ips
from equipoise.usecases.context import Caller

COLLECTION = "/v1/{project_id}/publicips"
ONE = COLLECTION + "/{publicip_id}"

_NAMES = {"public_ip_address": "address"}


class ElasticIpHandlers:
    """Handlers of the operations on elastic IPs."""

    def __init__(self, api: ApiContext) -> None:
        self._api = api
        self._service = api.service

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
        asked = await self._api.writer(request)
        caller = asked.caller
        body = await self._api.body(request)
        command = rules.create_elastic_ip(body.value)
        id = await self._service.change(
            caller,
            asked.attempt(body),
            lambda tx: elastic_ips.create_elastic_ip(tx, caller, self._service.policy, command).id,
        )
        return await self._shown(caller, id)

    async def list(self, request: Request) -> Response:
        caller = await self._api.reader(request)
        wanted = query.elastic_ip_filters(request.query_params)
        filters = [(_NAMES[name], value) for name, value in wanted.filters.items()]
        found = await self._service.read(
            lambda c: elastic_ips.list_elastic_ips(c, caller, filters, wanted.limit, wanted.marker)
        )
        return json_response({"publicips": [wire.elastic_ip(record) for record in found]})

    async def show(self, request: Request) -> Response:
        caller = await self._api.reader(request)
        return await self._shown(caller, request.path_params["publicip_id"])

    async def delete(self, request: Request) -> Response:
        asked = await self._api.writer(request)
        caller = asked.caller
        id: str = request.path_params["publicip_id"]

        def delete(tx: Transaction) -> str:
            elastic_ips.delete_elastic_ip(tx, caller, id)
            return id

        await self._service.change(caller, asked.attempt(), delete)
        return no_content()

    async def _shown(self, caller: Caller, id: str) -> Response:
        record = await self._service.read(lambda c: elastic_ips.show_elastic_ip(c, caller, id))
        return json_response({"publicip": wire.elastic_ip(record)})
