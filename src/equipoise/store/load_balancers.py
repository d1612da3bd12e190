"""Statements about load balancers and their generation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, literal, select, update

from equipoise.domain.commands import Column
from equipoise.domain.model import LoadBalancer
from equipoise.store import rows, statuses
from equipoise.store.database import Transaction
from equipoise.store.events import LoadBalancerMoved
from equipoise.store.tables import health_checks, listeners, load_balancers, members

_read = rows.reader(LoadBalancer)

_SHOWN = statuses.select_shown(load_balancers, statuses.OF_LOAD_BALANCER)
_GET = _SHOWN.where(load_balancers.c.id == bindparam("id"), load_balancers.c.project_id == bindparam("project_id"))
_COUNT = select(func.count()).select_from(load_balancers).where(load_balancers.c.project_id == bindparam("project_id"))
_RAISE = (
    update(load_balancers)
    .where(load_balancers.c.id == bindparam("lb_id"))
    .values(generation=load_balancers.c.generation + 1)
    .returning(load_balancers.c.generation)
)
_EXISTS = select(load_balancers.c.id).where(load_balancers.c.id == bindparam("lb_id"))
_HAS_MEMBERS = (
    select(members.c.id)
    .join(listeners, listeners.c.id == members.c.listener_id)
    .where(
        listeners.c.load_balancer_id == bindparam("lb_id"),
        listeners.c.deleting.is_(False),
        members.c.deleting.is_(False),
    )
    .limit(1)
)


_LISTENERS_BELOW = select(listeners.c.id).where(
    listeners.c.load_balancer_id == bindparam("lb_id"), listeners.c.deleting.is_(False)
)
_ALL_BELOW = tuple(
    select(literal(table.name), table.c.id, listener_id.label("listener_id"))
    .where(listener_id.in_(_LISTENERS_BELOW), table.c.deleting.is_(False))
    .order_by(listener_id, table.c.id)
    for table, listener_id in (
        (members, members.c.listener_id),
        (health_checks, health_checks.c.listener_id),
        (listeners, listeners.c.id),
    )
)


def get(connection: Connection, project_id: str, id: str) -> LoadBalancer | None:
    """The load balancer of that project, one that is being deleted included."""
    row = connection.execute(_GET, {"id": id, "project_id": project_id}).mappings().first()
    return None if row is None else _read(row)


def list_of(
    connection: Connection, project_id: str, filters: Mapping[str, Column], limit: int | None, marker: str | None
) -> Sequence[LoadBalancer]:
    """One page of the load balancers of a project."""
    statement = _SHOWN.where(load_balancers.c.project_id == project_id)
    page = rows.page(statement, load_balancers, filters, limit, marker, status=statuses.OF_LOAD_BALANCER)
    found = connection.execute(page)
    return [_read(row) for row in found.mappings()]


def count(connection: Connection, project_id: str) -> int:
    """How many load balancers count against the quota of the project: while it is being deleted one may come back."""
    return connection.execute(_COUNT, {"project_id": project_id}).scalar_one()


def exists(connection: Connection, id: str) -> bool:
    """Whether there is such a load balancer in any project."""
    return connection.execute(_EXISTS, {"lb_id": id}).first() is not None


def has_members(connection: Connection, id: str) -> bool:
    """Whether any listener of the load balancer has a member that is not being removed."""
    return connection.execute(_HAS_MEMBERS, {"lb_id": id}).first() is not None


@dataclass(frozen=True, slots=True)
class Below:
    """Something under a load balancer: a row of `table`, which belongs to, or is, the listener."""

    table: str
    id: str
    listener_id: str


def all_below(connection: Connection, id: str) -> Sequence[Below]:
    """Everything under a load balancer that is not being removed: members, then health checks, then listeners."""
    return [Below(*row) for statement in _ALL_BELOW for row in connection.execute(statement, {"lb_id": id})]


def raise_generation(tx: Transaction, id: str) -> int:
    """Count one more change of the load balancer and tell the controller. Returns the new generation.

    The row stays locked until the commit, so changes of one load balancer stand in one order.
    """
    generation: int = tx.connection.execute(_RAISE, {"lb_id": id}).scalar_one()
    tx.emit(LoadBalancerMoved(id))
    return generation
