"""Statements about listeners."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select

from equipoise.core.commands import Filter
from equipoise.core.model import Listener, Pool
from equipoise.store import rows, statuses
from equipoise.store.tables import health_monitors, listeners, pools

_make = rows.maker(Listener)
_make_pool = rows.outer(rows.maker(Pool))

_OWN = rows.columns_of(Listener, listeners)
_WITH_POOLS = select(*statuses.shown(_OWN, statuses.OF_LISTENER), *rows.columns_of(Pool, pools)).outerjoin_from(
    listeners, pools, pools.c.id == listeners.c.default_pool_id
)
_GET = _WITH_POOLS.where(
    listeners.c.id == bindparam("id"),
    listeners.c.project_id == bindparam("project_id"),
    listeners.c.deleting.is_(False),
)
_COUNT_OF_PROJECT = select(func.count()).select_from(listeners).where(listeners.c.project_id == bindparam("project_id"))
_PORTS = select(listeners.c.id, listeners.c.protocol, listeners.c.port).where(
    listeners.c.load_balancer_id == bindparam("lb_id")
)

ListenerAndPool = tuple[Listener, Pool | None]


@dataclass(frozen=True, slots=True)
class UsedPort:
    """The port of a listener of a load balancer."""

    listener_id: str
    protocol: str
    port: int


def get(connection: Connection, project_id: str, id: str) -> ListenerAndPool | None:
    """The listener of that project with its default pool, unless it is being deleted: for users it is gone then."""
    row = connection.execute(_GET, {"id": id, "project_id": project_id}).first()
    return None if row is None else _read(row)


def list_of(
    connection: Connection,
    project_id: str,
    filters: Sequence[Filter],
    pool_filters: Sequence[Filter],
    health_monitor_id: str | None,
    limit: int | None,
    marker: str | None,
) -> Sequence[ListenerAndPool]:
    """One page of the listeners of a project: those that match, whose default pool matches."""
    statement = _WITH_POOLS.where(listeners.c.project_id == project_id, listeners.c.deleting.is_(False))
    if health_monitor_id is not None:
        wanted = select(health_monitors.c.pool_id).where(health_monitors.c.id == health_monitor_id)
        statement = statement.where(listeners.c.default_pool_id.in_(wanted))
    statement = rows.matching(statement, pools, pool_filters)
    page = rows.page(statement, listeners, filters, limit, marker, status=statuses.OF_LISTENER)
    return [_read(row) for row in connection.execute(page)]


def used_ports(connection: Connection, load_balancer_id: str) -> Sequence[UsedPort]:
    """The port of each listener of a load balancer, those whose deletion is not confirmed included: they may come back.

    As many count against the quota of the load balancer.
    """
    return [UsedPort(*row) for row in connection.execute(_PORTS, {"lb_id": load_balancer_id})]


def count_of_project(connection: Connection, project_id: str) -> int:
    """How many listeners all load balancers of the project have together."""
    return connection.execute(_COUNT_OF_PROJECT, {"project_id": project_id}).scalar_one()


def _read(row: Row[Any]) -> ListenerAndPool:
    return _make(row[: len(_OWN)]), _make_pool(row[len(_OWN) :])
