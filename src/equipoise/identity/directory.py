"""Domains, projects, users and their roles, found in memory. Where they are stored: `equipoise.store.identity`."""

import secrets
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Final

from argon2 import Type, extract_parameters
from argon2.exceptions import InvalidHashError

from equipoise.core.identity import DirectoryContent, Domain, Project, RoleAssignment, User
from equipoise.identity import actor

DEFAULT_DOMAIN_ID: Final = "default"
"""The id that clients of Keystone expect of the first domain; every other id is made by `new_id`."""
ADMINISTRATOR: Final = "admin"
LONGEST_NAME: Final = 255
"""Characters in the name of a domain, a project or a user."""

_PASSWORD_BYTES: Final = 24


class DirectoryError(Exception):
    """What the directory shall hold breaks a rule. The text names the place and quotes no secret."""


@dataclass(frozen=True, slots=True)
class CreatedDirectory:
    """What a first start made. The password is known here and in the hand of the caller, nowhere else."""

    content: DirectoryContent
    administrator: User
    project: Project
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reference:
    """A user or a project as clients name it: by id, or by name with the id or the name of its domain.

    A project may be named without a domain: then the user's counts (identity.md).
    """

    id: str | None = None
    name: str | None = None
    domain_id: str | None = None
    domain_name: str | None = None


def new_id() -> str:
    """An id as the service makes it: 32 lower-case hexadecimal characters."""
    return secrets.token_hex(16)


def new_password() -> str:
    """A password as the service makes it, of 192 random bits."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def first_content(region: str, hash_password: Callable[[str], str]) -> CreatedDirectory:
    """The administrator with a random password, and the first project, which is named after the region.

    One client reads the region from the project's name, before the underscore (contract/identity.md).
    """
    password = new_password()
    domain = Domain(DEFAULT_DOMAIN_ID, "Default")
    project = Project(new_id(), f"{region}_demo", domain.id)
    user = User(new_id(), ADMINISTRATOR, domain.id, hash_password(password))
    assignment = RoleAssignment(user.id, project.id, actor.ADMIN)
    return CreatedDirectory(DirectoryContent((domain,), (project,), (user,), (assignment,)), user, project, password)


class Directory:
    """Finds users, projects and roles in memory. One that was changed is another one."""

    def __init__(self, content: DirectoryContent) -> None:
        self._domains = {domain.id: domain for domain in content.domains}
        self._domain_ids = {domain.name: domain.id for domain in content.domains}
        self._projects = {project.id: project for project in content.projects}
        self._projects_by_name: dict[tuple[str | None, str | None], Project] = {
            (project.domain_id, project.name): project for project in content.projects
        }
        self._users = {user.id: user for user in content.users}
        self._users_by_name: dict[tuple[str | None, str | None], User] = {
            (user.domain_id, user.name): user for user in content.users
        }
        roles: dict[tuple[str, str], set[str]] = {}
        for assignment in content.assignments:
            roles.setdefault((assignment.user_id, assignment.project_id), set()).add(assignment.role)
        self._roles = {key: frozenset(names) for key, names in roles.items()}
        self._administrators = {one.user_id for one in content.assignments if one.role == actor.ADMIN}

    def domain(self, domain_id: str) -> Domain:
        """The domain of a user or project out of this directory."""
        return self._domains[domain_id]

    def find_user(self, reference: Reference) -> User | None:
        """None when there is no such user."""
        if reference.id is not None:
            return self._users.get(reference.id)
        return self._users_by_name.get((self._domain_id(reference), reference.name))

    def find_project(self, reference: Reference) -> Project | None:
        """None when there is no such project."""
        if reference.id is not None:
            return self._projects.get(reference.id)
        return self._projects_by_name.get((self._domain_id(reference), reference.name))

    def find_domain(self, reference: Reference) -> Domain | None:
        """The domain with the id, or else the name, of the reference; None when there is none."""
        return self._domains.get(reference.id or self._domain_ids.get(reference.name or "", ""))

    def domains(self) -> tuple[Domain, ...]:
        """All domains, by name."""
        return tuple(sorted(self._domains.values(), key=lambda domain: (domain.name, domain.id)))

    def users(self) -> tuple[User, ...]:
        """All users, by name."""
        return tuple(sorted(self._users.values(), key=lambda user: (user.name, user.id)))

    def projects_of(self, user_id: str) -> tuple[Project, ...]:
        """The projects on which a user has a role, by name."""
        found = (project for project in self._projects.values() if self.roles(user_id, project.id))
        return tuple(sorted(found, key=lambda project: (project.name, project.id)))

    def roles_in_domain(self, user_id: str, domain_id: str) -> tuple[str, ...]:
        """Names of the roles that a user has on any project of a domain, sorted; empty for a stranger."""
        own = (project for project in self._projects.values() if project.domain_id == domain_id)
        return tuple(sorted({role for project in own for role in self.roles(user_id, project.id)}))

    def roles(self, user_id: str, project_id: str) -> tuple[str, ...]:
        """Names of the roles of a user on a project, sorted; empty for a stranger.

        An administrator of one project is one of every project (contract/identity.md).
        """
        given = self._roles.get((user_id, project_id), frozenset())
        return tuple(sorted(given | {actor.ADMIN} if user_id in self._administrators else given))

    def _domain_id(self, reference: Reference) -> str | None:
        return reference.domain_id or self._domain_ids.get(reference.domain_name or "")


def check(content: DirectoryContent) -> None:
    """What the types alone cannot say. Raises DirectoryError naming the place."""
    for table, named in (("domains", content.domains), ("projects", content.projects), ("users", content.users)):
        _check_names(table, (each.name for each in named))
    _check_unique("domains", "id", (domain.id for domain in content.domains))
    _check_unique("domains", "name", (domain.name for domain in content.domains))
    _check_unique("projects", "id", (project.id for project in content.projects))
    _check_unique("projects", "name in a domain", ((one.domain_id, one.name) for one in content.projects))
    _check_unique("users", "id", (user.id for user in content.users))
    _check_unique("users", "name in a domain", ((one.domain_id, one.name) for one in content.users))
    _check_unique("assignments", "role", content.assignments)
    domains = {domain.id for domain in content.domains}
    _check_known("projects", "domain_id", (project.domain_id for project in content.projects), domains)
    _check_known("users", "domain_id", (user.domain_id for user in content.users), domains)
    users = {user.id for user in content.users}
    _check_known("assignments", "user_id", (one.user_id for one in content.assignments), users)
    projects = {project.id for project in content.projects}
    _check_known("assignments", "project_id", (one.project_id for one in content.assignments), projects)
    for index, user in enumerate(content.users):
        if not _is_argon2id(user.password_hash):
            raise DirectoryError(f"$.users[{index}].password_hash is not an encoded argon2id hash")


def _check_names(table: str, names: Iterable[str]) -> None:
    for index, name in enumerate(names):
        if not 1 <= len(name) <= LONGEST_NAME or "\0" in name:
            raise DirectoryError(f"$.{table}[{index}].name must have 1 to {LONGEST_NAME} characters, none of them NUL")


def _is_argon2id(encoded: str) -> bool:
    try:
        return extract_parameters(encoded).type is Type.ID
    except InvalidHashError:
        return False


def _check_unique(table: str, what: str, values: Iterable[Hashable]) -> None:
    first: dict[Hashable, int] = {}
    for index, value in enumerate(values):
        if first.setdefault(value, index) != index:
            raise DirectoryError(f"$.{table}[{index}] has the same {what} as $.{table}[{first[value]}]")


def _check_known(table: str, field: str, values: Iterable[str], known: set[str]) -> None:
    for index, value in enumerate(values):
        if value not in known:
            raise DirectoryError(f"$.{table}[{index}].{field} names {value!r}, which is not there")
