"""Domains, projects, users and their roles as frozen records; how they are found is in `equipoise.identity`."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Domain:
    """The names of projects and of users are unique in it."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Project:
    """The owner of load balancers."""

    id: str
    name: str
    domain_id: str


@dataclass(frozen=True, slots=True)
class User:
    """`password_hash` is argon2id in its encoded form."""

    id: str
    name: str
    domain_id: str
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RoleAssignment:
    """A user has a role on a project: reader, member or admin."""

    user_id: str
    project_id: str
    role: str


@dataclass(frozen=True, slots=True)
class DirectoryContent:
    """Everybody and everything that the built-in identity knows by name."""

    domains: tuple[Domain, ...]
    projects: tuple[Project, ...]
    users: tuple[User, ...]
    assignments: tuple[RoleAssignment, ...]


@dataclass(frozen=True, slots=True)
class IdentityState:
    """The built-in identity of a database, of which there is at most one.

    Attributes:
        id: 32 hexadecimal characters, other ones in each database.
        revision: of the last change of users, projects or roles, or the last revocation.
        directory_revision: of the last change of users, projects or roles.
        administrator_id: who made it; None: it is not known any more.
        project_id: the first project, where the administrator works.
        password: the one that the service made for the administrator, encrypted; None: another one took its place.
    """

    id: str
    revision: int
    directory_revision: int
    administrator_id: str | None
    project_id: str | None
    password: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key that tokens are made with; `key` is encrypted."""

    id: str
    key: str = field(repr=False)
    create_time: int
