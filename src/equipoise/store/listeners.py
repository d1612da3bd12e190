"""Statements about listeners."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, func, select

from equipoise.domain.commands import Column
from equipoise.domain.model import Listener
from equipoise.store import rows, statuses
from equipoise.store.tables import health_checks, listeners, members

_read = rows.reader(Listener)

_SHOWN = statuses.select_shown(listeners, statuses.OF_LISTENER)
_GET = _SHOWN.where(
    listeners.c.id == bindparam("id"),
    listeners.c.project_id == bindparam("project_id"),
    listeners.c.deleting.is_(False),
)
_COUNT = select(func.count()).select_from(listeners).where(listeners.c.load_balancer_id == bindparam("lb_id"))
_COUNT_OF_PROJECT = select(func.count()).select_from(listeners).where(listeners.c.project_id == bindparam("project_id"))
_ON_PORT = select(listeners.c.id, listeners.c.protocol).where(
    listeners.c.load_balancer_id == bindparam("lb_id"),
    listeners.c.port == bindparam("port"),
)
_PROTOCOLS = select(listeners.c.protocol).where(listeners.c.id.in_(bindparam("ids", expanding=True)))
_HEALTH_CHECK_IDS = select(health_checks.c.listener_id, health_checks.c.id).where(
    health_checks.c.listener_id.in_(bindparam("ids", expanding=True)), health_checks.c.deleting.is_(False)
)
_MEMBER_NUMBERS = (
    select(members.c.listener_id, func.count().label("number"))
    .where(members.c.listener_id.in_(bindparam("ids", expanding=True)), members.c.deleting.is_(False))
    .group_by(members.c.listener_id)
)


def get(connection: Connection, project_id: str, id: str) -> Listener | None:
    """The listener of that project, unless it is being deleted: for users it is gone then."""
    row = connection.execute(_GET, {"id": id, "project_id": project_id}).mappings().first()
    return None if row is None else _read(row)


def list_of(
    connection: Connection, project_id: str, filters: Mapping[str, Column], limit: int | None, marker: str | None
) -> Sequence[Listener]:
    """One page of the listeners of a project. The filter `healthcheck_id` is the id of a listener's health check."""
    own = dict(filters)
    statement = _SHOWN.where(listeners.c.project_id == project_id, listeners.c.deleting.is_(False))
    if "healthcheck_id" in own:
        wanted = select(health_checks.c.listener_id).where(health_checks.c.id == own.pop("healthcheck_id"))
        statement = statement.where(listeners.c.id.in_(wanted))
    found = connection.execute(rows.page(statement, listeners, own, limit, marker, status=statuses.OF_LISTENER))
    return [_read(row) for row in found.mappings()]


def protocols(connection: Connection, ids: Sequence[str]) -> Sequence[str]:
    """The protocols of these listeners, in no order."""
    return connection.execute(_PROTOCOLS, {"ids": list(ids)}).scalars().all() if ids else []


def count(connection: Connection, load_balancer_id: str) -> int:
    """How many listeners count against the quota of the load balancer: while it is being deleted one may come back."""
    return connection.execute(_COUNT, {"lb_id": load_balancer_id}).scalar_one()


def count_of_project(connection: Connection, project_id: str) -> int:
    """How many listeners all load balancers of the project have together."""
    return connection.execute(_COUNT_OF_PROJECT, {"project_id": project_id}).scalar_one()


def on_port(connection: Connection, load_balancer_id: str, port: int) -> Sequence[tuple[str, str]]:
    """Id and protocol of the listeners of a load balancer on a port, those whose deletion is not confirmed included."""
    found = connection.execute(_ON_PORT, {"lb_id": load_balancer_id, "port": port})
    return [(id, protocol) for id, protocol in found]


def health_check_ids(connection: Connection, ids: Sequence[str]) -> Mapping[str, str]:
    """The health check of each listener that has one."""
    return {row.listener_id: row.id for row in connection.execute(_HEALTH_CHECK_IDS, {"ids": list(ids)})}


def member_numbers(connection: Connection, ids: Sequence[str]) -> Mapping[str, int]:
    """How many members each listener has; listeners without any are left out."""
    return {row.listener_id: row.number for row in connection.execute(_MEMBER_NUMBERS, {"ids": list(ids)})}
