"""Everything that is measured, of all projects, with its names: what metrics are labelled with."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from equipoise.store.tables import health_monitors, listeners, load_balancers, members

# In no order: to sort takes longer than to read, and nobody asks for one.
_LOAD_BALANCERS = select(
    load_balancers.c.id,
    load_balancers.c.name,
    load_balancers.c.project_id,
    load_balancers.c.vip_address,
    load_balancers.c.type,
)
_LISTENERS = select(
    listeners.c.load_balancer_id,
    listeners.c.id,
    listeners.c.name,
    listeners.c.protocol,
    listeners.c.port,
    listeners.c.default_pool_id,
).where(listeners.c.deleting.is_(False))
_MONITORED = select(health_monitors.c.pool_id).where(health_monitors.c.deleting.is_(False))
_MEMBERS = select(members.c.pool_id, members.c.id, members.c.address, members.c.healthy).where(
    members.c.deleting.is_(False)
)


class LoadBalancerLabels(NamedTuple):
    id: str
    name: str
    project_id: str
    address: str
    type: str


class ListenerLabels(NamedTuple):
    """`address` is where it listens, with `port`."""

    load_balancer_id: str
    load_balancer: str
    id: str
    name: str
    project_id: str
    protocol: str
    port: int
    address: str
    pool_id: str | None


class MemberLabels(NamedTuple):
    """`healthy` is what was last seen, and only of a member that `is_checked`. `listener_id` uses its pool."""

    listener_id: str
    pool_id: str
    id: str
    address: str
    healthy: bool | None
    is_checked: bool


class Inventory(NamedTuple):
    """The load balancer of each listener is among them, and the listener of each member."""

    load_balancers: Sequence[LoadBalancerLabels]
    listeners: Sequence[ListenerLabels]
    members: Sequence[MemberLabels]


def everything(connection: Connection) -> Inventory:
    """What there is now and is not being deleted.

    It is kept for long, of thousands: so what is the same is stored once.
    """
    owners = {id: LoadBalancerLabels(id, *rest) for id, *rest in _load_balancers(connection)}
    own_listeners = list(_listeners(connection, owners))
    users = {each.pool_id: each for each in own_listeners}
    return Inventory(list(owners.values()), own_listeners, list(_members(connection, users)))


def _load_balancers(connection: Connection) -> Iterator[tuple[str, str, str, str, str]]:
    for id, name, project_id, address, kind in connection.execute(_LOAD_BALANCERS).all():
        yield id, name, sys.intern(project_id), address, sys.intern(kind)


def _listeners(connection: Connection, owners: Mapping[str, LoadBalancerLabels]) -> Iterator[ListenerLabels]:
    for owner_id, id, name, protocol, port, pool_id in connection.execute(_LISTENERS).all():
        owner = owners[owner_id]
        yield ListenerLabels(
            owner.id, owner.name, id, name, owner.project_id, sys.intern(protocol), port, owner.address, pool_id
        )


def _members(connection: Connection, users: Mapping[str | None, ListenerLabels]) -> Iterator[MemberLabels]:
    monitored = set(connection.execute(_MONITORED).scalars())
    for pool_id, id, address, healthy in connection.execute(_MEMBERS).all():
        user = users.get(pool_id)
        # The listener may be on its way out, and its members with it.
        if user is not None:
            yield MemberLabels(user.id, pool_id, id, sys.intern(address), healthy, pool_id in monitored)
