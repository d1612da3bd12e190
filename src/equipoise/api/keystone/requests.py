"""What clients of the identity send, as the OpenAPI document describes it."""

from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta


class TokenRequest(TypedDict):
    """Who logs in, and for which scope, in the way of Keystone v3."""

    auth: "Auth"


class Auth(TypedDict):
    """The methods password and token; the scopes project, domain and unscoped."""

    identity: "AuthIdentity"
    scope: NotRequired[Any]


class AuthIdentity(TypedDict):
    """The method, and what belongs to it under its own name."""

    methods: Annotated[list[str], Meta(min_length=1)]
    password: NotRequired[dict[str, Any]]
    token: NotRequired[dict[str, Any]]


class NamedQuery(TypedDict, total=False):
    """Filters of a list of the identity; parameters that are not known are ignored, as in Keystone."""

    name: str
    enabled: bool


class ProjectQuery(NamedQuery, total=False):
    """Filters of a list of projects."""

    domain_id: str
    parent_id: str
    is_domain: bool


class UserQuery(NamedQuery, total=False):
    """Filters of the list of users."""

    domain_id: str


class ServiceQuery(NamedQuery, total=False):
    """Filters of the list of services."""

    type: str


class EndpointQuery(TypedDict, total=False):
    """Filters of the list of endpoints."""

    service_id: str
    interface: str
    region_id: str
    enabled: bool
