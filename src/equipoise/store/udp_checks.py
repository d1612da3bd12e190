"""Statements about health checks over UDP, which are ours to make: whom to check, and what was seen of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, bindparam, exists, func, select, update

from equipoise.core.model import AdminState, Protocol
from equipoise.store.database import Transaction
from equipoise.store.load_balancers import moved_by_health, tell_of_health
from equipoise.store.tables import health_monitors, listeners, load_balancers, members, pools

_TARGETS = (
    select(
        pools.c.load_balancer_id,
        members.c.pool_id,
        members.c.address,
        func.coalesce(members.c.monitor_port, health_monitors.c.port, members.c.port, pools.c.default_port).label(
            "port"
        ),
        health_monitors.c.interval,
        health_monitors.c.timeout,
        health_monitors.c.healthy_threshold,
        health_monitors.c.unhealthy_threshold,
        members.c.healthy,
        health_monitors.c.id.label("health_monitor_id"),
        members.c.id.label("member_id"),
    )
    .join(pools, pools.c.id == members.c.pool_id)
    .join(health_monitors, health_monitors.c.pool_id == pools.c.id)
    .join(load_balancers, load_balancers.c.id == pools.c.load_balancer_id)
    .where(
        pools.c.protocol == Protocol.UDP,
        pools.c.admin_state_up.is_(True),
        members.c.admin_state_up.is_(True),
        load_balancers.c.admin_state_up == AdminState.ON,
        # Nobody is asked for the sake of a pool that gets no traffic.
        exists().where(
            # A pool is of one load balancer, as its listeners are: by that they are found.
            listeners.c.load_balancer_id == pools.c.load_balancer_id,
            listeners.c.default_pool_id == pools.c.id,
            listeners.c.admin_state_up.is_(True),
            listeners.c.deleting.is_(False),
        ),
        *(table.c.deleting.is_(False) for table in (members, health_monitors, pools, load_balancers)),
    )
    .order_by(members.c.id)
)
MILLISECONDS_A_SECOND: Final = 1000
_TARGETS_OF = _TARGETS.where(load_balancers.c.id.in_(bindparam("ids", expanding=True)))
_OBSERVE = (
    update(members)
    .where(members.c.pool_id == bindparam("of_pool"), members.c.address == bindparam("at_address"))
    .values(healthy=bindparam("is_healthy"))
)
_MOVE = moved_by_health(pools.c.id.in_(bindparam("ids", expanding=True)))


@dataclass(frozen=True, slots=True)
class UdpCheckTarget:
    """Whom to check and how: `interval` and `timeout` are in seconds, `healthy` is what was last seen, None if nothing.

    `reason` tells apart what is alike but was removed and made anew: the check and the members at this address.
    """

    load_balancer_id: str
    pool_id: str
    address: str
    port: int
    interval: float
    timeout: float
    healthy_threshold: int
    unhealthy_threshold: int
    healthy: bool | None
    reason: tuple[str, ...]

    def is_as(self, other: "UdpCheckTarget") -> bool:
        """Whether the two differ in nothing but what was seen."""
        return replace(self, healthy=None) == replace(other, healthy=None)


def targets(connection: Connection, load_balancer_ids: Sequence[str] | None = None) -> Sequence[UdpCheckTarget]:
    """Whom to check of these load balancers, or of all. Nothing that is stopped, frozen or being deleted is checked.

    Several members of a pool may share an address; they are one target, and what was seen counts if it is the
    same of all.
    """
    if load_balancer_ids is None:
        found = connection.execute(_TARGETS)
    else:
        found = connection.execute(_TARGETS_OF, {"ids": list(load_balancer_ids)})
    merged: dict[tuple[str, str], UdpCheckTarget] = {}
    for row in found.mappings():
        values = dict(row)
        check_id, member_id = values.pop("health_monitor_id"), values.pop("member_id")
        for name in ("interval", "timeout"):
            values[name] /= MILLISECONDS_A_SECOND
        target = UdpCheckTarget(**values, reason=(check_id, member_id))
        key = target.pool_id, target.address
        before = merged.get(key)
        if before is not None:
            healthy = target.healthy if target.healthy is before.healthy else None
            target = replace(before, healthy=healthy, reason=(*before.reason, member_id))
        merged[key] = target
    return list(merged.values())


def observe(tx: Transaction, seen: Mapping[tuple[str, str], bool]) -> None:
    """Write down what was seen, (pool id, address) -> healthy, and tell that other members are to be served."""
    values = [
        {"of_pool": pool_id, "at_address": address, "is_healthy": healthy}
        for (pool_id, address), healthy in seen.items()
    ]
    if values:
        tx.connection.execute(_OBSERVE, values)
    tell_of_health(tx, _MOVE, sorted({pool_id for pool_id, _ in seen}))
