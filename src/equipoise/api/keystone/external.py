"""The operations of the identity where that is an external Keystone: passed on to it, and its answers passed back."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.context import ApiContext
from equipoise.api.keystone.built_in import operations
from equipoise.http.routing import Operation
from equipoise.identity.external import Answer, ExternalKeystone


class ExternalIdentity:
    """Handlers. Clients log in where they always did: the catalogue is the one that Keystone gives."""

    def __init__(self, api: ApiContext, keystone: ExternalKeystone) -> None:
        self._api = api
        self._keystone = keystone

    def operations(self) -> list[Operation]:
        """What this class answers: the same as the built-in identity."""
        return operations(lambda name: self.create if name == "createToken" else self.pass_on)

    async def create(self, request: Request) -> Response:
        body = await self._api.raw_body(request)
        return _response(await self._keystone.log_in(body, _headers(request)))

    async def pass_on(self, request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return _response(await self._keystone.pass_on(request.method, request.url.path + query, _headers(request)))


def _headers(request: Request) -> dict[str, str]:
    """Under the same id in both logs."""
    return {**request.headers, "x-request-id": request.state.request_id}


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.headers)
