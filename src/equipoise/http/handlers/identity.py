"""Operations of the built-in identity (identity.md)."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.http.edge import Edge, root_url
from equipoise.http.respond import json_response
from equipoise.http.routing import Operation
from equipoise.identity import keystone


class Tokens:
    """Handlers of the operations on tokens."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def operations(self) -> list[Operation]:
        """What this class answers."""
        return [
            Operation("createToken", "POST", "/v3/auth/tokens", self.create, "Log in", (201,)),
            Operation("showIdentityVersion", "GET", "/v3", self.version, "Version of the identity API"),
            Operation("showIdentityVersionBySlash", "GET", "/v3/", self.version, "Version of the identity API"),
        ]

    async def create(self, request: Request) -> Response:
        token, claims = await self._edge.identity.log_in(await self._edge.body(request))
        document = self._edge.identity.document(claims, root_url(request))
        return json_response(document, 201, {"X-Subject-Token": token})

    async def version(self, request: Request) -> Response:
        return json_response(keystone.version_document(root_url(request)))
