"""The wire shapes of Keystone v3, as pure functions: request in, answer out. No look-ups, no HTTP, no clock.

Today the password method and the project scope are read; other methods and scopes are answered with UNSUPPORTED.
Rules: contract/identity.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from equipoise.domain.errors import Rule, RuleBroken
from equipoise.identity.directory import Domain, Project, Reference, User
from equipoise.identity.tokens import Claims

PASSWORD: Final = "password"  # noqa: S105 - the name of a method
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
class AuthRequest:
    """Who asks, and the project that the token shall name."""

    credential: PasswordCredential
    project: Reference


def parse_auth_request(body: object) -> AuthRequest:
    """Read the decoded body of `POST /v3/auth/tokens`.

    Raises:
        RuleBroken: BODY_MALFORMED with the place in the detail, or UNSUPPORTED for a method or scope that
            Keystone has and this service does not. The detail never quotes a value of the body.
    """
    if not isinstance(body, dict):
        raise _malformed("The body", "a JSON object")
    auth = _object(body, "auth", "auth")
    return AuthRequest(_credential(_object(auth, "identity", "auth.identity")), _scope(auth))


def token_document(
    claims: Claims,
    *,
    user: User,
    user_domain: Domain,
    project: Project,
    project_domain: Domain,
    catalogue: list[Document],
) -> Document:
    """The body of an answer about a token; its text goes into the header X-Subject-Token."""
    return {
        "token": {
            "methods": list(claims.methods),
            "user": {
                "id": user.id,
                "name": user.name,
                "domain": _named(user_domain),
                "password_expires_at": None,
            },
            "project": {"id": project.id, "name": project.name, "domain": _named(project_domain)},
            "is_domain": False,
            "roles": [{"id": _stable_id("role", name), "name": name} for name in claims.roles],
            "audit_ids": [claims.audit_id],
            "issued_at": time_text(claims.issued),
            "expires_at": time_text(claims.expires),
            "catalog": catalogue,
        }
    }


def catalogue(root_url: str, region: str, project_id: str) -> list[Document]:
    """Where each service is, for a token of that project.

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


def _named(domain: Domain) -> Document:
    return {"id": domain.id, "name": domain.name}


def _stable_id(*parts: str) -> str:
    return uuid5(_NAMESPACE, "/".join(parts)).hex


def _credential(identity: Mapping[str, Any]) -> PasswordCredential:
    methods = identity.get("methods")
    if not isinstance(methods, list) or not methods or not all(isinstance(method, str) for method in methods):
        raise _malformed("auth.identity.methods", "an array of names of methods")
    if set(methods) != {PASSWORD}:
        raise RuleBroken(Rule.UNSUPPORTED, 'Of the methods in auth.identity.methods only ["password"] is offered.')
    where = "auth.identity.password.user"
    user = _object(_object(identity, PASSWORD, "auth.identity.password"), "user", where)
    return PasswordCredential(_reference(user, where), _text(user, "password", f"{where}.password"))


def _scope(auth: Mapping[str, Any]) -> Reference:
    if auth.get("scope") in (None, "unscoped"):
        raise RuleBroken(Rule.UNSUPPORTED, "Tokens without a scope are not offered: name a project in auth.scope.")
    scope = _object(auth, "scope", "auth.scope")
    if len(scope) != 1:
        raise _malformed("auth.scope", "an object with exactly one scope, for example project")
    if "project" not in scope:
        raise RuleBroken(Rule.UNSUPPORTED, "Of the scopes in auth.scope only project is offered.")
    return _reference(_object(scope, "project", "auth.scope.project"), "auth.scope.project")


def _reference(value: Mapping[str, Any], where: str) -> Reference:
    """By id alone; by name only together with a domain, since names repeat between domains."""
    if "id" in value:
        return Reference(id=_name(value, "id", f"{where}.id"))
    if "name" not in value:
        raise _malformed(where, "an object with id, or with name and domain")
    name = _name(value, "name", f"{where}.name")
    domain = _object(value, "domain", f"{where}.domain")
    if "id" in domain:
        return Reference(name=name, domain_id=_name(domain, "id", f"{where}.domain.id"))
    return Reference(name=name, domain_name=_name(domain, "name", f"{where}.domain.name"))


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


def _malformed(where: str, expected: str) -> RuleBroken:
    return RuleBroken(Rule.BODY_MALFORMED, f"{where} must be {expected}.")
