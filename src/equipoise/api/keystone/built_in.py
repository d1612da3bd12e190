"""Operations of the built-in identity (identity.md)."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.context import ApiContext, token_of
from equipoise.api.keystone import requests
from equipoise.api.keystone import wire as wire
from equipoise.api.service import checked_token
from equipoise.core.errors import MalformedDocument, NotFound
from equipoise.core.references import ResourceKind
from equipoise.http.respond import json_response, no_content
from equipoise.http.root import root_url
from equipoise.http.routing import Handler, Operation
from equipoise.identity import keystone
from equipoise.identity.service import Identity
from equipoise.identity.tokens import Claims

TOKENS = "/v3/auth/tokens"


_SUBJECT = {"X-Subject-Token": "The token that this is about."}


_VERSION = "Version of the identity API"


def _reading(name: str, path: str, summary: str, answer: Any, query: Any = None) -> partial[Operation]:
    return partial(Operation, name, "GET", path, summary=summary, answer=answer, query=query)


_TABLE: Final = (
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
    _reading("listOwnProjects", "/v3/auth/projects", "Projects to log in to", wire.ProjectList, requests.ProjectQuery),
    _reading("listOwnDomains", "/v3/auth/domains", "Domains to log in to", wire.DomainList, requests.NamedQuery),
    _reading("listOwnSystems", "/v3/auth/system", "Systems to log in to: none", wire.SystemList),
    _reading("showCatalogue", "/v3/auth/catalog", "The catalogue of the token", wire.Catalogue),
    _reading("listProjects", "/v3/projects", "Projects of the user", wire.ProjectList, requests.ProjectQuery),
    _reading("showProject", "/v3/projects/{project_id}", "Show a project", wire.ProjectDocument),
    _reading("listDomains", "/v3/domains", "Domains of the user", wire.DomainList, requests.NamedQuery),
    _reading("showDomain", "/v3/domains/{domain_id}", "Show a domain", wire.DomainDocument),
    _reading("listUsers", "/v3/users", "The user itself", wire.UserList, requests.UserQuery),
    _reading("showUser", "/v3/users/{user_id}", "Show a user", wire.UserDocument),
    _reading(
        "listProjectsOfUser",
        "/v3/users/{user_id}/projects",
        "Projects of a user",
        wire.ProjectList,
        requests.ProjectQuery,
    ),
    _reading("listRegions", "/v3/regions", "The region", wire.RegionList),
    _reading("showRegion", "/v3/regions/{region_id}", "Show the region", wire.RegionDocument),
    _reading("listServices", "/v3/services", "Services of the catalogue", wire.ServiceList, requests.ServiceQuery),
    _reading("showService", "/v3/services/{service_id}", "Show a service", wire.ServiceDocument),
    _reading("listEndpoints", "/v3/endpoints", "Endpoints of the catalogue", wire.EndpointList, requests.EndpointQuery),
    _reading("showEndpoint", "/v3/endpoints/{endpoint_id}", "Show an endpoint", wire.EndpointDocument),
    partial(Operation, "showIdentityVersion", "GET", "/v3", summary=_VERSION, answer=wire.IdentityVersion, open=True),
    partial(
        Operation,
        "showIdentityVersionBySlash",
        "GET",
        "/v3/",
        summary=_VERSION,
        answer=wire.IdentityVersion,
        open=True,
    ),
)


def operations(handler_of: Callable[[str], Handler]) -> list[Operation]:
    """The operations of an identity, wherever that is, with what answers each, by its name."""
    return [operation(handler=handler_of(operation.args[0])) for operation in _TABLE]


class BuiltInIdentity:
    """Handlers of the operations on tokens, and of the lists that clients find their way with."""

    def __init__(self, api: ApiContext, identity: Identity) -> None:
        self._api = api
        self._identity = identity

    def operations(self) -> list[Operation]:
        """What this class answers."""
        answers: dict[str, Handler] = {
            "createToken": self.create,
            "showToken": self.show,
            "revokeToken": self.revoke,
            "listOwnProjects": self.projects,
            "listOwnDomains": self.own_domains,
            "listOwnSystems": self.systems,
            "showCatalogue": self.catalogue,
            "listProjects": self.projects,
            "showProject": self.project,
            "listDomains": self.domains,
            "showDomain": self.domain,
            "listUsers": self.users,
            "showUser": self.user,
            "listProjectsOfUser": self.projects_of_user,
            "listRegions": self.regions,
            "showRegion": self.region,
            "listServices": self.services,
            "showService": self.service,
            "listEndpoints": self.endpoints,
            "showEndpoint": self.endpoint,
            "showIdentityVersion": self.version,
            "showIdentityVersionBySlash": self.version,
        }
        return operations(answers.__getitem__)

    async def create(self, request: Request) -> Response:
        token, claims = await self._identity.log_in((await self._api.body(request)).value)
        document = await self._identity.document(claims, root_url(request))
        return json_response(document, 201, {"X-Subject-Token": token})

    async def show(self, request: Request) -> Response:
        claims = self._subject(request)
        document = await self._identity.document(claims, root_url(request))
        return json_response(document, headers={"X-Subject-Token": request.headers["x-subject-token"]})

    async def revoke(self, request: Request) -> Response:
        await self._identity.revoke(self._subject(request))
        return no_content()

    async def projects(self, request: Request) -> Response:
        found = await self._identity.projects_of(self._asker(request))
        return _list(request, "projects", (keystone.project_entry(one, root_url(request)) for one in found))

    async def project(self, request: Request) -> Response:
        found = await self._identity.project(self._asker(request), request.path_params["project_id"])
        return json_response({"project": keystone.project_entry(found, root_url(request))})

    async def own_domains(self, request: Request) -> Response:
        found = await self._identity.domains_of(self._asker(request))
        return _list(request, "domains", (keystone.domain_entry(one, root_url(request)) for one in found))

    async def systems(self, request: Request) -> Response:
        self._asker(request)
        return _list(request, "system", ())

    async def catalogue(self, request: Request) -> Response:
        return _list(request, "catalog", self._identity.catalogue(self._asker(request), root_url(request)))

    async def domains(self, request: Request) -> Response:
        return _list(request, "domains", await self._known_domains(request))

    async def domain(self, request: Request) -> Response:
        return _one("domain", await self._known_domains(request), request.path_params["domain_id"])

    async def users(self, request: Request) -> Response:
        return _list(request, "users", await self._known_users(request))

    async def user(self, request: Request) -> Response:
        return _one("user", await self._known_users(request), request.path_params["user_id"])

    async def projects_of_user(self, request: Request) -> Response:
        found = await self._identity.projects_of_user(self._asker(request), request.path_params["user_id"])
        return _list(request, "projects", (keystone.project_entry(one, root_url(request)) for one in found))

    async def regions(self, request: Request) -> Response:
        return _list(request, "regions", self._regions(request))

    async def region(self, request: Request) -> Response:
        return _one("region", self._regions(request), request.path_params["region_id"])

    async def services(self, request: Request) -> Response:
        return _list(request, "services", self._services(request))

    async def service(self, request: Request) -> Response:
        return _one("service", self._services(request), request.path_params["service_id"])

    async def endpoints(self, request: Request) -> Response:
        return _list(request, "endpoints", self._endpoints(request))

    async def endpoint(self, request: Request) -> Response:
        return _one("endpoint", self._endpoints(request), request.path_params["endpoint_id"])

    async def version(self, request: Request) -> Response:
        return json_response(keystone.version_document(root_url(request)))

    async def _known_domains(self, request: Request) -> list[keystone.Document]:
        found = await self._identity.known_domains(self._asker(request))
        return [keystone.domain_entry(one, root_url(request)) for one in found]

    async def _known_users(self, request: Request) -> list[keystone.Document]:
        found = await self._identity.known_users(self._asker(request))
        return [keystone.user_entry(one, root_url(request)) for one in found]

    def _regions(self, request: Request) -> list[keystone.Document]:
        self._asker(request)
        return [keystone.region_entry(self._identity.region, root_url(request))]

    def _services(self, request: Request) -> list[keystone.Document]:
        self._asker(request)
        return keystone.service_entries(root_url(request))

    def _endpoints(self, request: Request) -> list[keystone.Document]:
        self._asker(request)
        return keystone.endpoint_entries(root_url(request), self._identity.region)

    def _asker(self, request: Request) -> Claims:
        return self._identity.verify(checked_token(token_of(request)))

    def _subject(self, request: Request) -> Claims:
        """The token that the request is about."""
        asker = self._asker(request)
        subject = request.headers.get("x-subject-token")
        if not subject:
            raise MalformedDocument("Name the token that this is about in the header X-Subject-Token.")
        return self._identity.verify_for(asker, subject)


def _list(request: Request, name: str, entries: Iterable[keystone.Document]) -> Response:
    """Those of the entries that the query of the request asks for."""
    url = root_url(request) + request.url.path
    return json_response(keystone.listing(name, entries, url, request.query_params))


def _one(name: str, entries: Iterable[keystone.Document], id: str) -> Response:
    """The entry with that id. Raises NotFound."""
    for entry in entries:
        if entry["id"] == id:
            return json_response({name: entry})
    raise NotFound(ResourceKind.IDENTITY, id, f"There is no such {name}, or it is not this user's to see.")
