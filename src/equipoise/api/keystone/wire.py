"""The documents of the identity API, as Keystone v3 has them; `equipoise.identity.keystone` makes them."""

from typing import Any, NotRequired, TypedDict

from equipoise.api.common import types as t


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


class DomainEntry(KeystoneNamed):
    """A domain."""

    description: str
    enabled: bool
    links: dict[str, str]


class DomainDocument(TypedDict):
    """One domain."""

    domain: DomainEntry


class DomainList(TypedDict):
    """Domains."""

    domains: list[DomainEntry]
    links: dict[str, str | None]


class UserEntry(KeystoneNamed):
    """A user."""

    domain_id: str
    enabled: bool
    password_expires_at: str | None
    links: dict[str, str]


class UserDocument(TypedDict):
    """One user."""

    user: UserEntry


class UserList(TypedDict):
    """Users."""

    users: list[UserEntry]
    links: dict[str, str | None]


class RegionEntry(TypedDict):
    """The region of the catalogue."""

    id: str
    description: str
    parent_region_id: str | None
    links: dict[str, str]


class RegionDocument(TypedDict):
    """One region."""

    region: RegionEntry


class RegionList(TypedDict):
    """Regions."""

    regions: list[RegionEntry]
    links: dict[str, str | None]


class Catalogue(TypedDict):
    """Where each service is, as in a token."""

    catalog: list[dict[str, Any]]
    links: dict[str, str | None]


class SystemList(TypedDict):
    """The systems that a user may log in to: none."""

    system: list[dict[str, bool]]
    links: dict[str, str | None]


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


class ServiceDocument(TypedDict):
    """One service of the catalogue."""

    service: ServiceEntry


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


class EndpointDocument(TypedDict):
    """One endpoint of the catalogue."""

    endpoint: EndpointEntry


class EndpointList(TypedDict):
    """Endpoints of the catalogue."""

    endpoints: list[EndpointEntry]
    links: dict[str, str | None]


class IdentityVersion(TypedDict):
    """The version of the identity API."""

    version: dict[str, Any]
