"""Statements about pools."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, func, select

from equipoise.core.model import Listener, Pool
from equipoise.store import rows
from equipoise.store.tables import health_monitors, listeners, members, pools

_make = rows.maker(Pool)
_make_listener = rows.outer(rows.maker(Listener))

_OWN = rows.columns_of(Pool, pools)
_GET = (
    select(*_OWN, *rows.columns_of(Listener, listeners))
    .outerjoin_from(pools, listeners, listeners.c.id == pools.c.private_to)
    .where(
        pools.c.id == bindparam("id"),
        pools.c.project_id == bindparam("project_id"),
        pools.c.deleting.is_(False),
        listeners.c.deleting.is_not(True),
    )
)
_HEALTH_MONITOR_IDS = select(health_monitors.c.pool_id, health_monitors.c.id).where(
    health_monitors.c.pool_id.in_(bindparam("ids", expanding=True)), health_monitors.c.deleting.is_(False)
)
_MEMBER_NUMBERS = (
    select(members.c.pool_id, func.count().label("number"))
    .where(members.c.pool_id.in_(bindparam("ids", expanding=True)), members.c.deleting.is_(False))
    .group_by(members.c.pool_id)
)


def get(connection: Connection, project_id: str, id: str) -> tuple[Pool, Listener | None] | None:
    """The pool of that project, with the listener of a private one; None if either is being deleted."""
    row = connection.execute(_GET, {"id": id, "project_id": project_id}).first()
    return None if row is None else (_make(row[: len(_OWN)]), _make_listener(row[len(_OWN) :]))


def health_monitor_ids(connection: Connection, ids: Sequence[str]) -> Mapping[str, str]:
    """The health monitor of each pool that has one."""
    return {row.pool_id: row.id for row in connection.execute(_HEALTH_MONITOR_IDS, {"ids": list(ids)})}


def member_numbers(connection: Connection, ids: Sequence[str]) -> Mapping[str, int]:
    """How many members each pool has; pools without any are left out."""
    return {row.pool_id: row.number for row in connection.execute(_MEMBER_NUMBERS, {"ids": list(ids)})}
