"""Statements about the addresses that were given out. An address belongs to at most one load balancer."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select, update

from equipoise.store.tables import addresses

_TAKEN = select(addresses.c.id).where(addresses.c.address == bindparam("address"))
_OWNED = select(addresses.c.id, addresses.c.load_balancer_id).where(
    addresses.c.address == bindparam("address"), addresses.c.project_id == bindparam("project_id")
)
_RELEASE = update(addresses).where(addresses.c.load_balancer_id == bindparam("lb_id")).values(load_balancer_id=None)


def is_taken(connection: Connection, address: str) -> bool:
    """Whether any project holds the address."""
    return connection.execute(_TAKEN, {"address": address}).first() is not None


def all_taken(connection: Connection) -> Sequence[str]:
    """Every address in use or held."""
    return connection.execute(select(addresses.c.address)).scalars().all()


def held_by(connection: Connection, project_id: str, address: str) -> tuple[str, str | None] | None:
    """The id of an address that the project holds and the load balancer that uses it, if any."""
    row = connection.execute(_OWNED, {"address": address, "project_id": project_id}).first()
    return None if row is None else (row[0], row[1])


def take(
    connection: Connection, id: str, address: str, type: str, project_id: str, load_balancer_id: str, now: int
) -> None:
    """Give a free address to a load balancer."""
    connection.execute(
        addresses.insert(),
        {
            "id": id,
            "address": address,
            "type": type,
            "project_id": project_id,
            "load_balancer_id": load_balancer_id,
            "create_time": now,
        },
    )


def keep(connection: Connection, load_balancer_id: str) -> None:
    """Part the address from its load balancer, so that the project still holds it when that is deleted."""
    connection.execute(_RELEASE, {"lb_id": load_balancer_id})
