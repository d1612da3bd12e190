"""The wire shapes of Keystone v3, as pure functions: request in, answer out. No look-ups, no HTTP, no clock.

The methods password and token are read, the scopes project and domain, and none; what else Keystone has is answered
with Unsupported. Rules: contract/identity.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from equipoise.core.errors import MalformedDocument, Unsupported
from equipoise.core.identity import Domain, Project, User
from equipoise.identity.directory import Reference
from equipoise.identity.tokens import Claims
from equipoise.parameters import given_in

PASSWORD: Final = "password"  # noqa: S105 - the name of a method
TOKEN: Final = "token"  # noqa: S105 - the name of a method
_NAMESPACE: Final = UUID("8e4ad1a1-3f0b-4d53-9be2-6b0b1c5a7a10")
"""Root of the ids of roles, services and endpoints: the same at every start and on every node."""

# Service type -> (name, path below the root URL).
_SERVICES: Final = {
    "network": ("neutron", ""),
    "elbv1": ("elbv1", "/v1.0/{project_id}"),
    "compute": ("nova", "/v2/{project_id}"),
    "vpc": ("vpc", "/v1/{project_id}"),
    "identity": ("keystone", "/v3"),
    "load-balancer": ("octavia", ""),
}

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PasswordCredential:
    """A user and what proves it."""

    user: Reference
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenCredential:
    """A token that proves who its user is: the way to a token with another scope."""

    token: str = field(repr=False)


Credential = PasswordCredential | TokenCredential


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """Who asks, and the project or the domain that the token shall name; neither for a token without a scope.

    A domain is referred to by its id or by its name alone. A project that is named without a domain is one of the
    domain of the user.
    """

    credential: Credential
    project: Reference | None = None
    domain: Reference | None = None


def parse_auth_request(body: object) -> AuthRequest:
    """Read the decoded body of `POST /v3/auth/tokens`.

    Raises:
        MalformedDocument with the place in the detail, or Unsupported for a method or scope that
            Keystone has and this service does not. The detail never quotes a value of the body.
    """
    if not isinstance(body, dict):
        raise _malformed("The body", "a JSON object")
    auth = _object(body, "auth", "auth")
    credential = _credential(_object(auth, "identity", "auth.identity"))
    kind, scope = _scope(auth)
    match kind:
        case "project":
            return AuthRequest(credential, project=_reference(scope, "auth.scope.project", needs_domain=False))
        case "domain":
            return AuthRequest(credential, domain=_domain(scope, "auth.scope.domain"))
        case _:
            return AuthRequest(credential)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token is for: a project, a domain, or nothing."""

    project: Project | None = None
    domain: Domain | None = None


def token_document(
    claims: Claims, *, user: User, user_domain: Domain, scope: Scope, scope_domain: Domain, catalogue: list[Document]
) -> Document:
    """The body of an answer about a token; its text goes into the header X-Subject-Token.

    As Keystone has it: a token without a scope has no roles and no catalogue.

    Args:
        scope_domain: the domain of the project, where the scope is one.
    """
    token: Document = {
        "methods": list(claims.methods),
        "user": {
            "id": user.id,
            "name": user.name,
            "domain": _named(user_domain),
            "password_expires_at": None,
        },
        "audit_ids": [claims.audit_id],
        "issued_at": time_text(claims.issued),
        "expires_at": time_text(claims.expires),
    }
    if scope.project is not None:
        project = scope.project
        token |= {"project": {"id": project.id, "name": project.name, "domain": _named(scope_domain)}}
        token |= {"is_domain": False}
    elif scope.domain is not None:
        token |= {"domain": _named(scope.domain)}
    if scope != Scope():
        roles = [{"id": _stable_id("role", name), "name": name} for name in claims.roles]
        token |= {"roles": roles, "catalog": catalogue}
    return {"token": token}


def catalogue(root_url: str, region: str, project_id: str | None) -> list[Document]:
    """Where each service is, for a token of that project; without one, only what needs none.

    Args:
        root_url: as the client reaches the service, without a slash at the end.
        region: region id.
    """
    return [
        {
            "id": _stable_id("service", service_type),
            "type": service_type,
            "name": name,
            "endpoints": [
                {
                    "id": _stable_id("endpoint", region, service_type),
                    "interface": "public",
                    "region": region,
                    "region_id": region,
                    "url": root_url + path.format(project_id=project_id),
                }
            ],
        }
        for service_type, (name, path) in _SERVICES.items()
        if project_id is not None or "{" not in path
    ]


def listing(name: str, entries: Iterable[Document], url: str, query: Mapping[str, str] | None = None) -> Document:
    """The body of a list: those of the entries whose fields are what the query asks for.

    As in Keystone, a parameter that is no field asks for nothing.

    Args:
        url: of the list, without a query.
    """
    wanted = given_in(query or {})
    found = [
        entry for entry in entries if all(_is(entry[name], value) for name, value in wanted.items() if name in entry)
    ]
    return {name: found, "links": {"self": url, "previous": None, "next": None}}


def _is(field: object, value: str) -> bool:
    """Whatever does not say no asks for true, as in Keystone."""
    return (value.lower() not in ("0", "false")) is field if isinstance(field, bool) else field == value


def project_entry(project: Project, root_url: str) -> Document:
    """A project."""
    return {
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain_id,
        "parent_id": project.domain_id,
        "description": "",
        "enabled": True,
        "is_domain": False,
        "links": _self(root_url, "projects", project.id),
    }


def domain_entry(domain: Domain, root_url: str) -> Document:
    """A domain."""
    return {**_named(domain), "description": "", "enabled": True, "links": _self(root_url, "domains", domain.id)}


def user_entry(user: User, root_url: str) -> Document:
    """A user."""
    return {
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain_id,
        "enabled": True,
        "password_expires_at": None,
        "links": _self(root_url, "users", user.id),
    }


def region_entry(region: str, root_url: str) -> Document:
    """The region of the catalogue."""
    return {"id": region, "description": "", "parent_region_id": None, "links": _self(root_url, "regions", region)}


def service_entries(root_url: str) -> list[Document]:
    """The services of the catalogue."""
    return [
        {
            "id": (id := _stable_id("service", service_type)),
            "type": service_type,
            "name": name,
            "description": "",
            "enabled": True,
            "links": _self(root_url, "services", id),
        }
        for service_type, (name, _) in _SERVICES.items()
    ]


def endpoint_entries(root_url: str, region: str) -> list[Document]:
    """The endpoints of the catalogue. Clients put the project in the place of `$(tenant_id)s`, as in Keystone's."""
    return [
        {
            "id": (id := _stable_id("endpoint", region, service_type)),
            "service_id": _stable_id("service", service_type),
            "interface": "public",
            "region": region,
            "region_id": region,
            "url": root_url + path.format(project_id="$(tenant_id)s"),
            "enabled": True,
            "links": _self(root_url, "endpoints", id),
        }
        for service_type, (_, path) in _SERVICES.items()
    ]


def version_document(root_url: str) -> Document:
    """The body of `GET /v3`."""
    return {
        "version": {
            "id": "v3.14",
            "status": "stable",
            "updated": "2020-04-07T00:00:00Z",
            "links": [{"rel": "self", "href": f"{root_url}/v3/"}],
            "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
        }
    }


def time_text(seconds: int) -> str:
    """Seconds since 1970 as Keystone writes times: `2026-01-01T00:00:00.000000Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _self(root_url: str, collection: str, id: str) -> Document:
    return {"self": f"{root_url}/v3/{collection}/{id}"}


def _named(domain: Domain) -> Document:
    return {"id": domain.id, "name": domain.name}


def _stable_id(*parts: str) -> str:
    return uuid5(_NAMESPACE, "/".join(parts)).hex


def _credential(identity: Mapping[str, Any]) -> Credential:
    methods = identity.get("methods")
    if not isinstance(methods, list) or not methods or not all(isinstance(method, str) for method in methods):
        raise _malformed("auth.identity.methods", "an array of names of methods")
    if set(methods) == {TOKEN}:
        given = _object(identity, TOKEN, "auth.identity.token")
        return TokenCredential(_name(given, "id", "auth.identity.token.id"))
    if set(methods) != {PASSWORD}:
        raise Unsupported('Of the methods in auth.identity.methods only ["password"] and ["token"] are offered.')
    where = "auth.identity.password.user"
    user = _object(_object(identity, PASSWORD, "auth.identity.password"), "user", where)
    return PasswordCredential(_reference(user, where), _text(user, "password", f"{where}.password"))


def _scope(auth: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The kind of the scope, empty without one, and what it holds."""
    if auth.get("scope") in (None, "unscoped"):
        return "", {}
    scope = {kind: given for kind, given in _object(auth, "scope", "auth.scope").items() if given is not None}
    if len(scope) != 1:
        raise _malformed("auth.scope", "an object with exactly one scope, for example project")
    kind = next(iter(scope))
    if kind == "unscoped":
        return "", {}
    if kind not in ("project", "domain"):
        raise Unsupported("Of the scopes in auth.scope only project, domain and unscoped are offered.")
    return kind, _object(scope, kind, f"auth.scope.{kind}")


def _domain(value: Mapping[str, Any], where: str) -> Reference:
    key = "name" if value.get("id") is None else "id"
    return Reference(**{key: _name(value, key, f"{where}.{key}")})


def _reference(value: Mapping[str, Any], where: str, *, needs_domain: bool = True) -> Reference:
    """By id alone; by name together with a domain, since names repeat between domains. Null is not given."""
    if value.get("id") is not None:
        return Reference(id=_name(value, "id", f"{where}.id"))
    if value.get("name") is None:
        raise _malformed(where, "an object with id, or with name and domain")
    name = _name(value, "name", f"{where}.name")
    if value.get("domain") is None and not needs_domain:
        return Reference(name=name)
    domain = _domain(_object(value, "domain", f"{where}.domain"), f"{where}.domain")
    return Reference(name=name, domain_id=domain.id, domain_name=domain.name)


def _object(parent: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise _malformed(where, "an object")
    return value


def _name(parent: Mapping[str, Any], key: str, where: str) -> str:
    value = _text(parent, key, where)
    if not value:
        raise _malformed(where, "a text that is not empty")
    return value


def _text(parent: Mapping[str, Any], key: str, where: str) -> str:
    value = parent.get(key)
    if not isinstance(value, str):
        raise _malformed(where, "a text")
    return value


def _malformed(where: str, expected: str) -> MalformedDocument:
    return MalformedDocument(f"{where} must be {expected}.")
