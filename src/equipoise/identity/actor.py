"""Who acts, on which project, with which roles, and what that allows. How the roles were proven is not here."""

from dataclasses import dataclass, replace
from typing import Final

from equipoise.core.errors import ProjectForbidden, RoleTooWeak

READER: Final = "reader"
MEMBER: Final = "member"
ADMIN: Final = "admin"
ROLES: Final = (READER, MEMBER, ADMIN)


@dataclass(frozen=True, slots=True)
class Actor:
    """A user at work in one project. Rules: contract/identity.md, "Roles".

    Args:
        user_id: as the identity gives it; 32 lower-case hexadecimal characters of the built-in one.
        project_id: the project that the token names; empty for a token without a project.
        roles: names out of `ROLES`.
    """

    user_id: str
    project_id: str
    roles: frozenset[str]

    @property
    def is_admin(self) -> bool:
        """An administrator acts in every project."""
        return ADMIN in self.roles

    @property
    def may_write(self) -> bool:
        return self.is_admin or MEMBER in self.roles

    @property
    def may_freeze(self) -> bool:
        return self.is_admin

    def check_project(self, path_project_id: str) -> None:
        """Raise ProjectForbidden unless the project in the path is the token's or the actor is an administrator."""
        if not path_project_id or (path_project_id != self.project_id and not self.is_admin):
            raise ProjectForbidden(
                "The project_id in the path is not the project of the token: ask for a token of that project.",
            )

    def in_project(self, path_project_id: str) -> "Actor":
        """The same actor at work in the project of the path, after `check_project`."""
        self.check_project(path_project_id)
        return self if path_project_id == self.project_id else replace(self, project_id=path_project_id)

    def check_may_read(self) -> None:
        """Raise RoleTooWeak for somebody without any role, which an external identity may name."""
        if not self.roles:
            raise RoleTooWeak(f"This user has none of the roles {', '.join(ROLES)} here.")

    def check_may_write(self) -> None:
        """Raise RoleTooWeak for a role that only reads."""
        if not self.may_write:
            raise RoleTooWeak("The role of this user only reads: ask for the role member.")

    def check_may_freeze(self) -> None:
        """Raise RoleTooWeak unless the actor is an administrator."""
        if not self.may_freeze:
            raise RoleTooWeak("Only an administrator freezes a load balancer or lifts a freeze.")
