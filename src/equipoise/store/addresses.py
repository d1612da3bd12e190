"""Statements about the addresses that were given out. An address belongs to at most one load balancer."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, select, update

from equipoise.core.commands import Filter
from equipoise.core.model import EXTERNAL, Address
from equipoise.store import rows
from equipoise.store.tables import addresses

_read = rows.reader(Address)

_TAKEN = select(addresses.c.id).where(addresses.c.address == bindparam("address"))
_OWNED = select(addresses).where(
    addresses.c.address == bindparam("address"), addresses.c.project_id == bindparam("project_id")
)
_OF_LOAD_BALANCER = select(addresses).where(addresses.c.load_balancer_id == bindparam("lb_id"))
_RELEASE = update(addresses).where(addresses.c.load_balancer_id == bindparam("lb_id")).values(load_balancer_id=None)
_ELASTIC = select(addresses).where(addresses.c.type == EXTERNAL, addresses.c.project_id == bindparam("project_id"))
_GET = _ELASTIC.where(addresses.c.id == bindparam("id"))
_GIVE_BACK = delete(addresses).where(addresses.c.id == bindparam("id"), addresses.c.load_balancer_id.is_(None))


def is_taken(connection: Connection, address: str) -> bool:
    """Whether any project holds the address."""
    return connection.execute(_TAKEN, {"address": address}).first() is not None


def all_taken(connection: Connection) -> Sequence[str]:
    """Every address in use or held."""
    return connection.execute(select(addresses.c.address)).scalars().all()


def held_by(connection: Connection, project_id: str, address: str) -> Address | None:
    """An address, if the project holds it."""
    row = connection.execute(_OWNED, {"address": address, "project_id": project_id}).mappings().first()
    return None if row is None else _read(row)


def of_load_balancer(connection: Connection, load_balancer_id: str) -> Address:
    """The address of a load balancer; each has one."""
    return _read(connection.execute(_OF_LOAD_BALANCER, {"lb_id": load_balancer_id}).mappings().one())


def get_elastic_ip(connection: Connection, project_id: str, id: str) -> Address | None:
    """The elastic IP of that project."""
    row = connection.execute(_GET, {"id": id, "project_id": project_id}).mappings().first()
    return None if row is None else _read(row)


def list_elastic_ips(
    connection: Connection, project_id: str, filters: Iterable[Filter], limit: int | None, marker: str | None
) -> Sequence[Address]:
    """One page of the elastic IPs of a project."""
    statement = rows.page(_ELASTIC, addresses, filters, limit, marker)
    return [_read(row) for row in connection.execute(statement, {"project_id": project_id}).mappings()]


def give_back(connection: Connection, id: str) -> bool:
    """Return an address to its pool, unless a load balancer uses it. Returns whether it was returned."""
    return connection.execute(_GIVE_BACK, {"id": id}).rowcount > 0


def keep(connection: Connection, load_balancer_id: str) -> None:
    """Part the address from its load balancer, so that the project still holds it when that is deleted."""
    connection.execute(_RELEASE, {"lb_id": load_balancer_id})
