"""Everything that is measured, of all projects, with its names: what figures are labelled with."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, and_, exists, select

from equipoise.store.tables import health_checks, listeners, load_balancers, members

_LOAD_BALANCERS = select(
    load_balancers.c.id,
    load_balancers.c.name,
    load_balancers.c.project_id,
    load_balancers.c.vip_address,
    load_balancers.c.type,
).order_by(load_balancers.c.id)
_LISTENERS = (
    select(
        load_balancers.c.id,
        load_balancers.c.name,
        listeners.c.id,
        listeners.c.name,
        listeners.c.project_id,
        listeners.c.protocol,
        listeners.c.port,
    )
    .join(load_balancers, load_balancers.c.id == listeners.c.load_balancer_id)
    .where(listeners.c.deleting.is_(False))
    .order_by(load_balancers.c.id, listeners.c.id)
)
_IS_CHECKED = exists().where(
    and_(health_checks.c.listener_id == members.c.listener_id, health_checks.c.deleting.is_(False))
)
_MEMBERS = (
    select(members.c.listener_id, members.c.id, members.c.address, members.c.healthy, _IS_CHECKED)
    .where(members.c.deleting.is_(False))
    .order_by(members.c.listener_id, members.c.id)
)


class LoadBalancerLabels(NamedTuple):
    id: str
    name: str
    project_id: str
    address: str
    type: str


class ListenerLabels(NamedTuple):
    load_balancer_id: str
    load_balancer: str
    id: str
    name: str
    project_id: str
    protocol: str
    port: int


class MemberLabels(NamedTuple):
    """`healthy` is what was last seen, and only of a member that `is_checked`."""

    listener_id: str
    id: str
    address: str
    healthy: bool | None
    is_checked: bool


class Inventory(NamedTuple):
    load_balancers: Sequence[LoadBalancerLabels]
    listeners: Sequence[ListenerLabels]
    members: Sequence[MemberLabels]


def everything(connection: Connection) -> Inventory:
    """What there is now and is not being deleted."""
    return Inventory(
        [LoadBalancerLabels(*row) for row in connection.execute(_LOAD_BALANCERS)],
        [ListenerLabels(*row) for row in connection.execute(_LISTENERS)],
        [MemberLabels(*row) for row in connection.execute(_MEMBERS)],
    )
