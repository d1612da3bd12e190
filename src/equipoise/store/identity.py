"""Statements about the built-in identity: that it is there, its domains, projects, users and roles.

Whoever changes something writes down the revision of that, in the same transaction: others see that it rose, and read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table, bindparam, insert, select, union, update

from equipoise.core.identity import DirectoryContent, Domain, IdentityState, Project, RoleAssignment, User
from equipoise.store import rows
from equipoise.store.database import Transaction
from equipoise.store.tables import (
    addresses,
    certificates,
    domains,
    identity,
    jobs,
    load_balancers,
    projects,
    role_assignments,
    users,
    webhooks,
)

T = TypeVar("T")

_STATE: Final = select(*(identity.c[field.name] for field in fields(IdentityState)))
_MOVE: Final = update(identity).values(revision=bindparam("to"))
_MOVE_DIRECTORY: Final = _MOVE.values(directory_revision=bindparam("to"))
_SET_PASSWORD: Final = update(users).where(users.c.id == bindparam("of_id")).values(password_hash=bindparam("new_hash"))
_FORGET_PASSWORD: Final = (
    update(identity).where(identity.c.administrator_id == bindparam("of_id")).values(password=None)
)
_OWNERS: Final = union(
    *(
        select(table.c.project_id).where(table.c.project_id.in_(bindparam("ids", expanding=True)))
        for table in (load_balancers, addresses, certificates, webhooks, jobs)
    )
)


def state(connection: Connection) -> IdentityState | None:
    """The identity; None before the first start that uses the built-in one."""
    row = connection.execute(_STATE).first()
    return None if row is None else IdentityState(*row)


def create(connection: Connection, new: IdentityState, content: DirectoryContent) -> None:
    """Store the identity and whom it knows; there must be none."""
    values = {field.name: getattr(new, field.name) for field in fields(IdentityState)}
    connection.execute(insert(identity).values(number=1, **values))
    for table, records in (
        (domains, content.domains),
        (projects, content.projects),
        (users, content.users),
        (role_assignments, content.assignments),
    ):
        if records:
            rows.insert(connection, table, *records)


def content(connection: Connection) -> DirectoryContent:
    """Everybody and everything that is known by name."""
    return DirectoryContent(
        domains=_all(connection, domains, Domain),
        projects=_all(connection, projects, Project),
        users=_all(connection, users, User),
        assignments=_all(connection, role_assignments, RoleAssignment),
    )


def move(tx: Transaction) -> None:
    """Note the revision of a change of something else than the directory."""
    tx.connection.execute(_MOVE, {"to": tx.revision})


def move_directory(tx: Transaction) -> None:
    """Note the revision of a change of domains, projects, users or roles."""
    tx.connection.execute(_MOVE_DIRECTORY, {"to": tx.revision})


def add_projects(connection: Connection, added: Iterable[Project]) -> None:
    """Store projects whose names and ids are free."""
    rows.insert(connection, projects, *added)


def add_user(connection: Connection, added: User) -> None:
    """Store a user whose name and id are free."""
    rows.insert(connection, users, added)


def add_assignment(connection: Connection, added: RoleAssignment) -> None:
    """Store a role that the user does not have there."""
    rows.insert(connection, role_assignments, added)


def set_password(connection: Connection, user_id: str, password_hash: str) -> None:
    """Give a user another password, and forget the one that the service made."""
    connection.execute(_FORGET_PASSWORD, {"of_id": user_id})
    connection.execute(_SET_PASSWORD, {"of_id": user_id, "new_hash": password_hash})


def owners(connection: Connection, project_ids: Sequence[str]) -> set[str]:
    """Those of these projects that own something in this database."""
    return set(connection.execute(_OWNERS, {"ids": list(project_ids)}).scalars())


def _all(connection: Connection, table: Table, kind: type[T]) -> tuple[T, ...]:
    columns: list[Any] = rows.columns_of(kind, table)
    return tuple(kind(*row) for row in connection.execute(select(*columns)))
