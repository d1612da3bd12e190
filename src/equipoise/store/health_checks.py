"""Statements about health checks."""

from sqlalchemy import Connection, bindparam, select

from equipoise.domain.model import HealthCheck
from equipoise.store import rows
from equipoise.store.tables import health_checks, listeners

_read = rows.reader(HealthCheck)

_GET = (
    select(health_checks)
    .join(listeners, listeners.c.id == health_checks.c.listener_id)
    .where(
        health_checks.c.id == bindparam("id"),
        health_checks.c.deleting.is_(False),
        listeners.c.project_id == bindparam("project_id"),
        listeners.c.deleting.is_(False),
    )
)

_OF_LISTENER = select(health_checks.c.id).where(health_checks.c.listener_id == bindparam("listener_id"))


def get(connection: Connection, project_id: str, id: str) -> HealthCheck | None:
    """The health check of that project, unless it or its listener is being deleted."""
    row = connection.execute(_GET, {"id": id, "project_id": project_id}).mappings().first()
    return None if row is None else _read(row)


def of_listener(connection: Connection, listener_id: str) -> str | None:
    """The id of the listener's health check; one whose deletion is not confirmed yet counts, it may come back."""
    return connection.execute(_OF_LISTENER, {"listener_id": listener_id}).scalars().first()
