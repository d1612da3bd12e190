"""Whom a node checks over UDP, read from the model of a load balancer, and what follows from what it saw. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from equipoise.proxy.link import Member
from equipoise.proxy.model import ProxyLoadBalancer, ProxyPool


@dataclass(frozen=True, slots=True)
class UdpCheckTarget:
    """Whom to check and how: `interval` and `timeout` are in seconds. `healthy` is what was seen, None: nothing."""

    load_balancer_id: str
    pool_id: str
    address: str
    port: int
    interval: float
    timeout: float
    healthy_threshold: int
    unhealthy_threshold: int
    healthy: bool | None = None

    @property
    def member(self) -> Member:
        return self.pool_id, self.address

    def is_as(self, other: "UdpCheckTarget") -> bool:
        """Whether the two differ in nothing but what was seen."""
        return replace(self, healthy=None) == replace(other, healthy=None)


def targets_of(model: ProxyLoadBalancer) -> Sequence[UdpCheckTarget]:
    """Whom to check: each address of a pool once, however many of its ports get traffic. Nobody is asked for the sake
    of a pool that gets none."""
    return [target for pool in model.pools for target in _targets(model.load_balancer_id, pool)]


def _targets(load_balancer_id: str, pool: ProxyPool) -> Sequence[UdpCheckTarget]:
    check = pool.health_check
    if check is None or not pool.is_checked_over_udp:
        return []
    targets: dict[str, UdpCheckTarget] = {}
    for member in pool.members:
        if member.address not in targets:
            targets[member.address] = UdpCheckTarget(
                load_balancer_id,
                pool.pool_id,
                member.address,
                member.monitor_port or check.port or member.port,
                check.interval,
                check.timeout,
                check.healthy_threshold,
                check.unhealthy_threshold,
                member.healthy,
            )
    return list(targets.values())


def as_seen(model: ProxyLoadBalancer, healthy: Mapping[Member, bool]) -> ProxyLoadBalancer:
    """The model with what the node knows of the members that it checks."""
    return replace(model, pools=tuple(_as_seen(pool, healthy) for pool in model.pools))


def _as_seen(pool: ProxyPool, healthy: Mapping[Member, bool]) -> ProxyPool:
    if not pool.is_checked_over_udp:
        return pool
    members = tuple(each._replace(healthy=healthy.get((pool.pool_id, each.address))) for each in pool.members)
    return replace(pool, members=members)
