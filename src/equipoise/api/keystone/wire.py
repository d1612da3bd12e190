"""The documents of the identity API, as Keystone v3 has them; `equipoise.identity.keystone` makes them."""

from typing import Any, NotRequired, TypedDict

from equipoise.api.classic.wire import types as t


class KeystoneNamed(TypedDict):
    """A thing with a name."""

    id: str
    name: str


class KeystoneUser(KeystoneNamed):
    """The user of a token."""

    domain: KeystoneNamed
    password_expires_at: str | None


class KeystoneProject(KeystoneNamed):
    """The project of a token."""

    domain: KeystoneNamed


class Token(TypedDict):
    """A token; one without a scope has no roles and no catalogue."""

    methods: list[str]
    user: KeystoneUser
    audit_ids: list[str]
    issued_at: str
    expires_at: str
    project: NotRequired[KeystoneProject]
    is_domain: NotRequired[bool]
    domain: NotRequired[KeystoneNamed]
    roles: NotRequired[list[KeystoneNamed]]
    catalog: NotRequired[list[dict[str, Any]]]


class TokenDocument(TypedDict):
    """What a token says; its text is in the header X-Subject-Token."""

    token: Token


class ProjectEntry(TypedDict):
    """A project."""

    id: t.Id
    name: str
    domain_id: str
    parent_id: str
    description: str
    enabled: bool
    is_domain: bool
    links: dict[str, str]


class ProjectDocument(TypedDict):
    """One project."""

    project: ProjectEntry


class ProjectList(TypedDict):
    """Projects."""

    projects: list[ProjectEntry]
    links: dict[str, str | None]


class ServiceEntry(TypedDict):
    """A service of the catalogue."""

    id: t.Id
    type: str
    name: str
    description: str
    enabled: bool
    links: dict[str, str]


class ServiceList(TypedDict):
    """Services of the catalogue."""

    services: list[ServiceEntry]
    links: dict[str, str | None]


class EndpointEntry(TypedDict):
    """Where a service is."""

    id: t.Id
    service_id: t.Id
    interface: str
    region: str
    region_id: str
    url: str
    enabled: bool
    links: dict[str, str]


class EndpointList(TypedDict):
    """Endpoints of the catalogue."""

    endpoints: list[EndpointEntry]
    links: dict[str, str | None]


class IdentityVersion(TypedDict):
    """The version of the identity API."""

    version: dict[str, Any]
