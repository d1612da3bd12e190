"""Domains, projects, users and their roles, kept in one file. Passwords are hashed and checked elsewhere."""

import re
import secrets
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import msgspec
import structlog
from argon2 import Type, extract_parameters
from argon2.exceptions import InvalidHashError

from equipoise.identity import actor
from equipoise.identity.files import IdentityFileError, locked, write_private

_log = structlog.get_logger(__name__)

DEFAULT_DOMAIN_ID: Final = "default"
"""The id that clients of Keystone expect of the first domain; every other id is made by `new_id`."""
ADMINISTRATOR: Final = "admin"
_PASSWORD_BYTES: Final = 24

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
DomainId = Annotated[str, msgspec.Meta(pattern="^(default|[0-9a-f]{32})$")]


class Domain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: DomainId
    name: Name


class Project(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Id
    name: Name
    domain_id: DomainId


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`password_hash` is argon2id in its encoded form."""

    id: Id
    name: Name
    domain_id: DomainId
    password_hash: str

    def __repr__(self) -> str:
        return f"User(id={self.id!r}, name={self.name!r}, domain_id={self.domain_id!r})"


class Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user_id: Id
    project_id: Id
    role: Literal["reader", "member", "admin"]


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that the file holds. `version` is raised when a reader of today would misread the file."""

    version: Literal[1]
    domains: tuple[Domain, ...]
    projects: tuple[Project, ...]
    users: tuple[User, ...]
    assignments: tuple[Assignment, ...]


class CreatedDirectory(msgspec.Struct, frozen=True):
    """What a first start made. The password is known here and in the hand of the caller, nowhere else."""

    content: Content
    administrator: User
    project: Project
    password: str

    def __repr__(self) -> str:
        return f"Created(administrator={self.administrator!r}, project={self.project!r})"


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


def first_content(region: str, hash_password: Callable[[str], str]) -> CreatedDirectory:
    """The administrator with a random password, and the first project, which is named after the region.

    One client reads the region from the project's name, before the underscore (contract/identity.md).
    """
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    domain = Domain(DEFAULT_DOMAIN_ID, "Default")
    project = Project(new_id(), f"{region}_demo", domain.id)
    user = User(new_id(), ADMINISTRATOR, domain.id, hash_password(password))
    assignment = Assignment(user.id, project.id, "admin")
    return CreatedDirectory(Content(1, (domain,), (project,), (user,), (assignment,)), user, project, password)


class Directory:
    """Finds users, projects and roles. Reads are from memory; `refresh` looks whether the file has changed.

    Every change goes to the file first (mode 0600, replaced as one step), under a lock between processes.
    """

    def __init__(self, path: Path, content: Content) -> None:
        self._path = path
        self._signature: Hashable = None
        self._use(content)

    @classmethod
    def create(cls, path: Path, content: Content) -> Self:
        """Write `content` (`first_content`) as a new file and serve it; an existing file is replaced."""
        write_private(path, _encode(content))
        return cls.load(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read an existing file.

        Raises:
            IdentityFileError: it cannot be read or what it holds is wrong.
        """
        signature = _signature(path)
        directory = cls(path, _read(path))
        directory._signature = signature
        return directory

    def refresh(self) -> None:
        """Read the file again if it changed on disk: one stat() otherwise.

        A file that cannot be used leaves the last good content in force, and is reported once.
        """
        signature = _signature(self._path)
        if signature == self._signature:
            return
        # Taken before reading: a write in between is then seen as a change at the next look.
        self._signature = signature
        try:
            self._use(_read(self._path))
        except IdentityFileError as error:
            _log.error("identity_file_invalid", reason=str(error), effect="the last good content stays in force")

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

    def add_project(self, name: str, domain_id: str = DEFAULT_DOMAIN_ID) -> Project:
        """Add a project.

        Raises:
            IdentityFileError: the name is taken in the domain or breaks the rules of the file.
        """
        project = Project(new_id(), name, domain_id)
        self._change(lambda old: msgspec.structs.replace(old, projects=(*old.projects, project)))
        return project

    def add_user(self, name: str, password_hash: str, domain_id: str = DEFAULT_DOMAIN_ID) -> User:
        """Add a user without roles.

        Raises:
            IdentityFileError: the name is taken in the domain or breaks the rules of the file.
        """
        user = User(new_id(), name, domain_id, password_hash)
        self._change(lambda old: msgspec.structs.replace(old, users=(*old.users, user)))
        return user

    def assign(self, user_id: str, project_id: str, role: Literal["reader", "member", "admin"]) -> None:
        """Give a user a role on a project; giving it twice is giving it once.

        Raises:
            IdentityFileError: there is no such user or project.
        """
        added = Assignment(user_id, project_id, role)
        self._change(
            lambda old: msgspec.structs.replace(
                old, assignments=(*(one for one in old.assignments if one != added), added)
            )
        )

    def _change(self, change: Callable[[Content], Content]) -> None:
        with locked(self._path):
            content = change(_read(self._path))
            write_private(self._path, _encode(content))
            self._signature = _signature(self._path)
        self._use(content)

    def _use(self, content: Content) -> None:
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

    def _domain_id(self, reference: Reference) -> str | None:
        return reference.domain_id or self._domain_ids.get(reference.domain_name or "")


def _signature(path: Path) -> Hashable:
    """What differs after every write; None while there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read(path: Path) -> Content:
    try:
        content = msgspec.json.decode(path.read_bytes(), type=Content)
        _check(content)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError, _ContentError) as error:
        raise IdentityFileError(f"{path.name}: {_reason(error)}") from None
    return content


def _encode(content: Content) -> bytes:
    """As text for people; what would not be read back is refused before it reaches the disk."""
    encoded = msgspec.json.format(msgspec.json.encode(content), indent=2)
    try:
        _check(msgspec.json.decode(encoded, type=Content))
    except (msgspec.DecodeError, _ContentError) as error:
        raise IdentityFileError(_reason(error)) from None
    return encoded + b"\n"


def _reason(error: Exception) -> str:
    """A reason that quotes nothing of the file: a password may stand in the wrong place."""
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    if isinstance(error, OSError):
        return error.strerror or "cannot be read"
    return re.sub(r"Invalid enum value .*? - at", "Unknown value - at", str(error))


class _ContentError(Exception):
    """A rule between the parts of the file is broken."""


def _check(content: Content) -> None:
    """What the types alone cannot say. Raises `_ContentError` naming the place."""
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
            raise _ContentError(f"$.users[{index}].password_hash is not an encoded argon2id hash")


def _is_argon2id(encoded: str) -> bool:
    try:
        return extract_parameters(encoded).type is Type.ID
    except InvalidHashError:
        return False


def _check_unique(table: str, what: str, values: Iterable[Hashable]) -> None:
    first: dict[Hashable, int] = {}
    for index, value in enumerate(values):
        if first.setdefault(value, index) != index:
            raise _ContentError(f"$.{table}[{index}] has the same {what} as $.{table}[{first[value]}]")


def _check_known(table: str, field: str, values: Iterable[str], known: set[str]) -> None:
    for index, value in enumerate(values):
        if value not in known:
            raise _ContentError(f"$.{table}[{index}].{field} names {value!r}, which is not in the file")
