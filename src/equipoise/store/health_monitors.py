"""Statements about health monitors."""

from sqlalchemy import Connection, bindparam, select

from equipoise.core.model import HealthMonitor, Listener, Pool
from equipoise.store import rows
from equipoise.store.tables import health_monitors, listeners, pools

_make = rows.maker(HealthMonitor)
_make_pool = rows.maker(Pool)
_make_listener = rows.outer(rows.maker(Listener))

_OWN = rows.columns_of(HealthMonitor, health_monitors)
_OF_POOL = rows.columns_of(Pool, pools)
_GET = (
    select(*_OWN, *_OF_POOL, *rows.columns_of(Listener, listeners))
    .join(pools, pools.c.id == health_monitors.c.pool_id)
    .outerjoin(listeners, listeners.c.id == pools.c.private_to)
    .where(
        health_monitors.c.id == bindparam("id"),
        health_monitors.c.deleting.is_(False),
        pools.c.project_id == bindparam("project_id"),
        pools.c.deleting.is_(False),
        listeners.c.deleting.is_not(True),
    )
)
_POOL_AT = len(_OWN)
_LISTENER_AT = _POOL_AT + len(_OF_POOL)

_OF_ONE = select(health_monitors.c.id).where(health_monitors.c.pool_id == bindparam("pool_id"))


def get(connection: Connection, project_id: str, id: str) -> tuple[HealthMonitor, Pool, Listener | None] | None:
    """The health monitor of that project, its pool, and the listener of a private one; None if any is being deleted."""
    row = connection.execute(_GET, {"id": id, "project_id": project_id}).first()
    if row is None:
        return None
    return _make(row[:_POOL_AT]), _make_pool(row[_POOL_AT:_LISTENER_AT]), _make_listener(row[_LISTENER_AT:])


def of_pool(connection: Connection, pool_id: str) -> str | None:
    """The id of the pool's health monitor; one whose deletion is not confirmed yet counts, it may come back."""
    return connection.execute(_OF_ONE, {"pool_id": pool_id}).scalars().first()
