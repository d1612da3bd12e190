"""Operations of the built-in identity (identity.md)."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.domain.errors import Rule, RuleBroken
from equipoise.http.edge import Edge, root_url, token_of
from equipoise.http.respond import json_response, no_content
from equipoise.http.routing import Operation
from equipoise.identity import keystone
from equipoise.identity.service import Identity
from equipoise.identity.tokens import Claims

TOKENS = "/v3/auth/tokens"


class BuiltInIdentity:
    """Handlers of the operations on tokens, and of the lists that clients find their way with."""

    def __init__(self, edge: Edge, identity: Identity) -> None:
        self._edge = edge
        self._identity = identity

    def operations(self) -> list[Operation]:
        """What this class answers."""
        return [
            Operation("createToken", "POST", TOKENS, self.create, "Log in", (201,)),
            Operation("showToken", "GET", TOKENS, self.show, "Validate a token"),
            Operation("revokeToken", "DELETE", TOKENS, self.revoke, "Revoke a token", (204,)),
            Operation("listOwnProjects", "GET", "/v3/auth/projects", self.projects, "Projects to log in to"),
            Operation("listProjects", "GET", "/v3/projects", self.projects, "Projects of the user"),
            Operation("listServices", "GET", "/v3/services", self.services, "Services of the catalogue"),
            Operation("listEndpoints", "GET", "/v3/endpoints", self.endpoints, "Endpoints of the catalogue"),
            Operation("showIdentityVersion", "GET", "/v3", self.version, "Version of the identity API"),
            Operation("showIdentityVersionBySlash", "GET", "/v3/", self.version, "Version of the identity API"),
        ]

    async def create(self, request: Request) -> Response:
        token, claims = await self._identity.log_in(await self._edge.body(request))
        document = self._identity.document(claims, root_url(request))
        return json_response(document, 201, {"X-Subject-Token": token})

    async def show(self, request: Request) -> Response:
        claims = self._subject(request)
        document = self._identity.document(claims, root_url(request))
        return json_response(document, headers={"X-Subject-Token": request.headers["x-subject-token"]})

    async def revoke(self, request: Request) -> Response:
        await self._identity.revoke(self._subject(request))
        return no_content()

    async def projects(self, request: Request) -> Response:
        return json_response(self._identity.projects_of(self._asker(request), root_url(request)))

    async def services(self, request: Request) -> Response:
        self._asker(request)
        return json_response(self._identity.services(root_url(request)))

    async def endpoints(self, request: Request) -> Response:
        self._asker(request)
        return json_response(self._identity.endpoints(root_url(request)))

    async def version(self, request: Request) -> Response:
        return json_response(keystone.version_document(root_url(request)))

    def _asker(self, request: Request) -> Claims:
        return self._identity.verify(token_of(request))

    def _subject(self, request: Request) -> Claims:
        """The token that the request is about."""
        asker = self._asker(request)
        subject = request.headers.get("x-subject-token")
        if not subject:
            raise RuleBroken(Rule.BODY_MALFORMED, "Name the token that this is about in the header X-Subject-Token.")
        return self._identity.verify_for(asker, subject)
