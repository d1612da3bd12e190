"""The operations of the identity where that is an external Keystone: passed on to it, and its answers passed back."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.http.edge import Edge
from equipoise.http.handlers.identity import TOKENS
from equipoise.http.routing import Operation
from equipoise.identity.external import Answer, ExternalKeystone


class ExternalIdentity:
    """Handlers. Clients log in where they always did: the catalogue is the one that Keystone gives."""

    def __init__(self, edge: Edge, keystone: ExternalKeystone) -> None:
        self._edge = edge
        self._keystone = keystone

    def operations(self) -> list[Operation]:
        """What this class answers: the same as the built-in identity."""
        return [
            Operation("createToken", "POST", TOKENS, self.create, "Log in", (201,)),
            Operation("showToken", "GET", TOKENS, self.pass_on, "Validate a token"),
            Operation("revokeToken", "DELETE", TOKENS, self.pass_on, "Revoke a token", (204,)),
            Operation("listOwnProjects", "GET", "/v3/auth/projects", self.pass_on, "Projects to log in to"),
            Operation("listProjects", "GET", "/v3/projects", self.pass_on, "Projects of the user"),
            Operation("listServices", "GET", "/v3/services", self.pass_on, "Services of the catalogue"),
            Operation("listEndpoints", "GET", "/v3/endpoints", self.pass_on, "Endpoints of the catalogue"),
            Operation("showIdentityVersion", "GET", "/v3", self.pass_on, "Version of the identity API"),
            Operation("showIdentityVersionBySlash", "GET", "/v3/", self.pass_on, "Version of the identity API"),
        ]

    async def create(self, request: Request) -> Response:
        body = await self._edge.raw_body(request)
        return _response(await self._keystone.log_in(body, request.headers))

    async def pass_on(self, request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return _response(await self._keystone.pass_on(request.method, request.url.path + query, request.headers))


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.headers)
