"""Statements about load balancers and their generation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, func, select, update

from equipoise.core.commands import Filter
from equipoise.core.model import LoadBalancer
from equipoise.core.references import ResourceKind
from equipoise.store import rows, statuses
from equipoise.store.database import Transaction
from equipoise.store.events import LoadBalancerMoved
from equipoise.store.tables import health_monitors, listeners, load_balancers, members, pools

_read = rows.reader(LoadBalancer)

_SHOWN = select(*statuses.shown(load_balancers.c, statuses.OF_LOAD_BALANCER))
_GET = _SHOWN.where(load_balancers.c.id == bindparam("id"), load_balancers.c.project_id == bindparam("project_id"))
_COUNT = select(func.count()).select_from(load_balancers).where(load_balancers.c.project_id == bindparam("project_id"))
_GENERATION = select(load_balancers.c.generation).where(load_balancers.c.id == bindparam("lb_id"))
_RAISE = (
    update(load_balancers)
    .where(load_balancers.c.id == bindparam("lb_id"))
    .values(generation=load_balancers.c.generation + 1, revision=bindparam("at_revision"))
    .returning(load_balancers.c.generation)
)
# What is private to a listener goes with it: so it is not there any more when that is not.
_PRESENT_POOLS = (
    select(pools.c.id)
    .outerjoin_from(pools, listeners, listeners.c.id == pools.c.private_to)
    .where(
        pools.c.load_balancer_id == bindparam("lb_id"), pools.c.deleting.is_(False), listeners.c.deleting.is_not(True)
    )
)
_HAS_MEMBERS = select(members.c.id).where(members.c.pool_id.in_(_PRESENT_POOLS), members.c.deleting.is_(False)).limit(1)
_ALL_BELOW: Final = {
    ResourceKind.MEMBER: select(members.c.id, members.c.pool_id)
    .where(members.c.pool_id.in_(_PRESENT_POOLS), members.c.deleting.is_(False))
    .order_by(members.c.pool_id, members.c.id),
    ResourceKind.HEALTH_MONITOR: select(health_monitors.c.id, health_monitors.c.pool_id)
    .where(health_monitors.c.pool_id.in_(_PRESENT_POOLS), health_monitors.c.deleting.is_(False))
    .order_by(health_monitors.c.pool_id, health_monitors.c.id),
    ResourceKind.LISTENER: select(listeners.c.id, listeners.c.default_pool_id)
    .where(listeners.c.load_balancer_id == bindparam("lb_id"), listeners.c.deleting.is_(False))
    .order_by(listeners.c.id),
}


def get(connection: Connection, project_id: str, id: str) -> LoadBalancer | None:
    """The load balancer of that project, one that is being deleted included."""
    row = connection.execute(_GET, {"id": id, "project_id": project_id}).mappings().first()
    return None if row is None else _read(row)


def list_of(
    connection: Connection, project_id: str, filters: Iterable[Filter], limit: int | None, marker: str | None
) -> Sequence[LoadBalancer]:
    """One page of the load balancers of a project."""
    statement = _SHOWN.where(load_balancers.c.project_id == project_id)
    page = rows.page(statement, load_balancers, filters, limit, marker, status=statuses.OF_LOAD_BALANCER)
    found = connection.execute(page)
    return [_read(row) for row in found.mappings()]


def count(connection: Connection, project_id: str) -> int:
    """How many load balancers count against the quota of the project: while it is being deleted one may come back."""
    return connection.execute(_COUNT, {"project_id": project_id}).scalar_one()


def has_members(connection: Connection, id: str) -> bool:
    """Whether any pool of the load balancer has a member that is not being removed."""
    return connection.execute(_HAS_MEMBERS, {"lb_id": id}).first() is not None


@dataclass(frozen=True, slots=True)
class Below:
    """Something under a load balancer, and the pool to which it belongs, or which a listener uses."""

    kind: ResourceKind
    id: str
    pool_id: str | None


def all_below(connection: Connection, id: str) -> Sequence[Below]:
    """Everything under a load balancer that is not being removed: members, then health monitors, then listeners."""
    return [
        Below(kind, *row)
        for kind, statement in _ALL_BELOW.items()
        for row in connection.execute(statement, {"lb_id": id})
    ]


def generation(connection: Connection, id: str) -> int | None:
    """The newest generation; None when there is no such load balancer any more."""
    return connection.execute(_GENERATION, {"lb_id": id}).scalar_one_or_none()


def raise_generation(tx: Transaction, id: str) -> int:
    """Count one more change of the load balancer and tell the controller. Returns the new generation.

    The row stays locked until the commit, so changes of one load balancer stand in one order.
    """
    raised: int = tx.connection.execute(_RAISE, {"lb_id": id, "at_revision": tx.revision}).scalar_one()
    tx.emit(LoadBalancerMoved(id))
    return raised
