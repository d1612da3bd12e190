"""Changes of users, projects and roles, each a part of a transaction. Every service on the database learns of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from equipoise.core.identity import DirectoryContent, Project, RoleAssignment, User
from equipoise.identity.directory import DEFAULT_DOMAIN_ID, DirectoryError, check, new_id
from equipoise.store import identity as store
from equipoise.store.database import Transaction


def add_project(tx: Transaction, name: str, domain_id: str = DEFAULT_DOMAIN_ID) -> Project:
    """Add a project.

    Raises:
        DirectoryError: the name is taken in the domain or breaks a rule.
    """
    project = Project(new_id(), name, domain_id)
    _begin(tx, lambda old: replace(old, projects=(*old.projects, project)))
    store.add_projects(tx.connection, [project])
    return project


def add_user(tx: Transaction, name: str, password_hash: str, domain_id: str = DEFAULT_DOMAIN_ID) -> User:
    """Add a user without roles.

    Args:
        password_hash: argon2id in its encoded form.

    Raises:
        DirectoryError: the name is taken in the domain or breaks a rule.
    """
    user = User(new_id(), name, domain_id, password_hash)
    _begin(tx, lambda old: replace(old, users=(*old.users, user)))
    store.add_user(tx.connection, user)
    return user


def assign(tx: Transaction, user_id: str, project_id: str, role: Literal["reader", "member", "admin"]) -> None:
    """Give a user a role on a project; giving it twice is giving it once.

    Raises:
        DirectoryError: there is no such user or project.
    """
    added = RoleAssignment(user_id, project_id, role)
    before = _begin(
        tx, lambda old: old if added in old.assignments else replace(old, assignments=(*old.assignments, added))
    )
    if added not in before.assignments:
        store.add_assignment(tx.connection, added)


def set_password(tx: Transaction, user_id: str, password_hash: str) -> None:
    """Give a user another password. Tokens that were got with the old one count until they expire or are revoked.

    Args:
        password_hash: argon2id in its encoded form.

    Raises:
        DirectoryError: there is no such user, or this is no hash.
    """
    before = _begin(
        tx,
        lambda old: replace(
            old,
            users=tuple(replace(one, password_hash=password_hash) if one.id == user_id else one for one in old.users),
        ),
    )
    if user_id not in (user.id for user in before.users):
        raise DirectoryError(f"There is no user {user_id!r}.")
    store.set_password(tx.connection, user_id, password_hash)


def _begin(tx: Transaction, change: Callable[[DirectoryContent], DirectoryContent]) -> DirectoryContent:
    """Check what a change would make of the directory. Returns what there was before. Raises DirectoryError."""
    store.move_directory(tx)
    before = store.content(tx.connection)
    check(change(before))
    return before
