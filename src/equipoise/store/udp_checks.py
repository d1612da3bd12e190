"""Statements about health checks over UDP, which are ours to make: whom to check, and what was seen of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, bindparam, func, select, update

from equipoise.domain.model import AdminState
from equipoise.store.database import Transaction
from equipoise.store.events import HealthMoved
from equipoise.store.tables import health_checks, listeners, load_balancers, members

_TARGETS = (
    select(
        listeners.c.load_balancer_id,
        members.c.listener_id,
        members.c.address,
        func.coalesce(health_checks.c.healthcheck_connect_port, listeners.c.backend_port).label("port"),
        health_checks.c.healthcheck_interval.label("interval"),
        health_checks.c.healthcheck_timeout.label("timeout"),
        health_checks.c.healthy_threshold,
        health_checks.c.unhealthy_threshold,
        members.c.healthy,
        health_checks.c.id.label("health_check_id"),
        members.c.id.label("member_id"),
    )
    .join(listeners, listeners.c.id == members.c.listener_id)
    .join(health_checks, health_checks.c.listener_id == listeners.c.id)
    .join(load_balancers, load_balancers.c.id == listeners.c.load_balancer_id)
    .where(
        listeners.c.protocol == "UDP",
        listeners.c.admin_state_up.is_(True),
        load_balancers.c.admin_state_up == AdminState.ON,
        *(table.c.deleting.is_(False) for table in (members, health_checks, listeners, load_balancers)),
    )
    .order_by(members.c.id)
)
_TARGETS_OF = _TARGETS.where(load_balancers.c.id.in_(bindparam("ids", expanding=True)))
_OBSERVE = (
    update(members)
    .where(members.c.listener_id == bindparam("on_listener"), members.c.address == bindparam("at_address"))
    .values(healthy=bindparam("is_healthy"))
)
_LOAD_BALANCERS_OF = (
    select(listeners.c.load_balancer_id).where(listeners.c.id.in_(bindparam("ids", expanding=True))).distinct()
)


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to check and how: `interval` and `timeout` are in seconds, `healthy` is what was last seen, None if nothing.

    `reason` tells apart what is alike but was removed and made anew: the check and the members at this address.
    """

    load_balancer_id: str
    listener_id: str
    address: str
    port: int
    interval: int
    timeout: int
    healthy_threshold: int
    unhealthy_threshold: int
    healthy: bool | None
    reason: tuple[str, ...]

    def is_as(self, other: "Target") -> bool:
        """Whether the two differ in nothing but what was seen."""
        return replace(self, healthy=None) == replace(other, healthy=None)


def targets(connection: Connection, load_balancer_ids: Sequence[str] | None = None) -> Sequence[Target]:
    """Whom to check of these load balancers, or of all. Nothing that is stopped, frozen or being deleted is checked.

    Several members of a listener may share an address; they are one target, and what was seen counts if it is the
    same of all.
    """
    if load_balancer_ids is None:
        found = connection.execute(_TARGETS)
    else:
        found = connection.execute(_TARGETS_OF, {"ids": list(load_balancer_ids)})
    merged: dict[tuple[str, str], Target] = {}
    for row in found.mappings():
        values = dict(row)
        check_id, member_id = values.pop("health_check_id"), values.pop("member_id")
        target = Target(**values, reason=(check_id, member_id))
        key = target.listener_id, target.address
        before = merged.get(key)
        if before is not None:
            healthy = target.healthy if target.healthy is before.healthy else None
            target = replace(before, healthy=healthy, reason=(*before.reason, member_id))
        merged[key] = target
    return list(merged.values())


def observe(tx: Transaction, seen: Mapping[tuple[str, str], bool]) -> None:
    """Write down what was seen, (listener id, address) -> healthy, and tell that other members are to be served."""
    values = [
        {"on_listener": listener, "at_address": address, "is_healthy": healthy}
        for (listener, address), healthy in seen.items()
    ]
    if values:
        tx.connection.execute(_OBSERVE, values)
    ids = sorted({listener for listener, _ in seen})
    for id in tx.connection.execute(_LOAD_BALANCERS_OF, {"ids": ids}).scalars():
        tx.emit(HealthMoved(id))
