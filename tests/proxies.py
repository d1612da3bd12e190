"""Proxy models as tests want them: a listener together with the pool that is private to it, as of the classic API."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from equipoise.proxy.model import (
    BalancingPolicy,
    Persistence,
    ProxyHealthCheck,
    ProxyListener,
    ProxyLoadBalancer,
    ProxyMember,
    ProxyPool,
    ProxyTls,
    ServedProtocol,
)


@dataclass(frozen=True, slots=True)
class Served:
    """A listener with members at one port. Sticky clients are known by a cookie over HTTP, by address over TCP.
    The weight of a member is 1 unless `weights` say otherwise."""

    listener_id: str
    protocol: ServedProtocol
    port: int
    backend_port: int
    algorithm: BalancingPolicy
    members: tuple[str, ...]
    health_check: ProxyHealthCheck | None
    idle_timeout: int | None
    tls: ProxyTls | None = None
    is_sticky: bool = False
    cookie_lifetime: int | None = None
    weights: Mapping[str, int] = field(default_factory=dict)
    is_logged: bool = False
    keepalive: int = 0

    @property
    def listener(self) -> ProxyListener:
        return ProxyListener(
            self.listener_id,
            self.protocol,
            self.port,
            self.listener_id,
            self.idle_timeout,
            self.tls,
            self.is_logged,
            self.keepalive,
        )

    @property
    def pool(self) -> ProxyPool:
        by_cookie = self.protocol.carries_http
        return ProxyPool(
            self.listener_id,
            ServedProtocol.HTTP if by_cookie else self.protocol,
            self.algorithm,
            tuple(ProxyMember(address, self.backend_port, self.weights.get(address, 1)) for address in self.members),
            self.health_check,
            (Persistence.HTTP_COOKIE if by_cookie else Persistence.SOURCE_IP) if self.is_sticky else None,
            self.cookie_lifetime,
            self.keepalive,
        )


def serving(
    load_balancer_id: str, address: str, served: Iterable[Served], bandwidth: int | None = None
) -> ProxyLoadBalancer:
    """A load balancer with these listeners."""
    served = tuple(served)
    return ProxyLoadBalancer(
        load_balancer_id,
        address,
        tuple(each.listener for each in served),
        tuple(each.pool for each in served),
        bandwidth,
    )
