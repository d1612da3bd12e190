"""Statements about traffic samples. A load balancer without traffic has none."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, func, select

from equipoise.core.traffic import Traffic
from equipoise.store.tables import load_balancers, traffic

_FIGURES = [column for column in traffic.c if column.name not in {"load_balancer_id", "node_id", "time"}]
_FORGET = delete(traffic).where(traffic.c.node_id == bindparam("of_node"))
_OF_PROJECT = (
    select(
        traffic.c.load_balancer_id,
        func.max(traffic.c.time).label("time"),
        *(func.sum(column).label(column.name) for column in _FIGURES),
    )
    .join(load_balancers, load_balancers.c.id == traffic.c.load_balancer_id)
    .where(load_balancers.c.project_id == bindparam("project_id"), traffic.c.time >= bindparam("since"))
    .group_by(traffic.c.load_balancer_id)
)


def replace_samples(connection: Connection, node_id: str, samples: Sequence[Traffic]) -> None:
    """Put the newest samples of a node in the place of those before."""
    connection.execute(_FORGET, {"of_node": node_id})
    if samples:
        connection.execute(traffic.insert(), [each._asdict() | {"node_id": node_id} for each in samples])


def of_project(connection: Connection, project_id: str, since: int) -> Mapping[str, Traffic]:
    """The samples not older than `since` of the project's load balancers, those of all nodes added up."""
    found = connection.execute(_OF_PROJECT, {"project_id": project_id, "since": since})
    # A sum is a decimal number where the database is PostgreSQL.
    return {row.load_balancer_id: Traffic(row.load_balancer_id, *(int(value) for value in row[1:])) for row in found}
