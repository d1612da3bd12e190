"""Operations of the built-in identity (identity.md)."""

from collections.abc import Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.classic.wire import requests
from equipoise.api.context import ApiContext, token_of
from equipoise.api.keystone import wire as wire
from equipoise.api.service import checked_token
from equipoise.domain.errors import MalformedDocument
from equipoise.http.respond import json_response, no_content
from equipoise.http.root import root_url
from equipoise.http.routing import Handler, Operation
from equipoise.identity import keystone
from equipoise.identity.service import Identity
from equipoise.identity.tokens import Claims

TOKENS = "/v3/auth/tokens"


_SUBJECT = {"X-Subject-Token": "The token that this is about."}


def operations(handlers: Mapping[str, Handler]) -> list[Operation]:
    """The operations of an identity, wherever that is, with what answers each, by name."""
    version = "Version of the identity API"
    table = [
        partial(
            Operation,
            "createToken",
            "POST",
            TOKENS,
            summary="Log in",
            success=(201,),
            body=requests.TokenRequest,
            answer=wire.TokenDocument,
            open=True,
            gives={"X-Subject-Token": "The token."},
            errors=(401, 403, 501, 502, 504),
        ),
        partial(
            Operation,
            "showToken",
            "GET",
            TOKENS,
            summary="Validate a token",
            answer=wire.TokenDocument,
            takes=_SUBJECT,
            gives=_SUBJECT,
        ),
        partial(Operation, "revokeToken", "DELETE", TOKENS, summary="Revoke a token", success=(204,), takes=_SUBJECT),
        partial(
            Operation,
            "listOwnProjects",
            "GET",
            "/v3/auth/projects",
            summary="Projects to log in to",
            answer=wire.ProjectList,
        ),
        partial(
            Operation, "listProjects", "GET", "/v3/projects", summary="Projects of the user", answer=wire.ProjectList
        ),
        partial(
            Operation,
            "showProject",
            "GET",
            "/v3/projects/{project_id}",
            summary="Show a project",
            answer=wire.ProjectDocument,
        ),
        partial(
            Operation,
            "listServices",
            "GET",
            "/v3/services",
            summary="Services of the catalogue",
            answer=wire.ServiceList,
        ),
        partial(
            Operation,
            "listEndpoints",
            "GET",
            "/v3/endpoints",
            summary="Endpoints of the catalogue",
            answer=wire.EndpointList,
        ),
        partial(
            Operation, "showIdentityVersion", "GET", "/v3", summary=version, answer=wire.IdentityVersion, open=True
        ),
        partial(
            Operation,
            "showIdentityVersionBySlash",
            "GET",
            "/v3/",
            summary=version,
            answer=wire.IdentityVersion,
            open=True,
        ),
    ]
    return [operation(handler=handlers[operation.args[0]]) for operation in table]


class BuiltInIdentity:
    """Handlers of the operations on tokens, and of the lists that clients find their way with."""

    def __init__(self, api: ApiContext, identity: Identity) -> None:
        self._api = api
        self._identity = identity

    def operations(self) -> list[Operation]:
        """What this class answers."""
        return operations(
            {
                "createToken": self.create,
                "showToken": self.show,
                "revokeToken": self.revoke,
                "listOwnProjects": self.projects,
                "listProjects": self.projects,
                "showProject": self.project,
                "listServices": self.services,
                "listEndpoints": self.endpoints,
                "showIdentityVersion": self.version,
                "showIdentityVersionBySlash": self.version,
            }
        )

    async def create(self, request: Request) -> Response:
        token, claims = await self._identity.log_in((await self._api.body(request)).value)
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

    async def project(self, request: Request) -> Response:
        id = request.path_params["project_id"]
        return json_response(self._identity.project(self._asker(request), id, root_url(request)))

    async def services(self, request: Request) -> Response:
        self._asker(request)
        return json_response(self._identity.services(root_url(request)))

    async def endpoints(self, request: Request) -> Response:
        self._asker(request)
        return json_response(self._identity.endpoints(root_url(request)))

    async def version(self, request: Request) -> Response:
        return json_response(keystone.version_document(root_url(request)))

    def _asker(self, request: Request) -> Claims:
        return self._identity.verify(checked_token(token_of(request)))

    def _subject(self, request: Request) -> Claims:
        """The token that the request is about."""
        asker = self._asker(request)
        subject = request.headers.get("x-subject-token")
        if not subject:
            raise MalformedDocument("Name the token that this is about in the header X-Subject-Token.")
        return self._identity.verify_for(asker, subject)
