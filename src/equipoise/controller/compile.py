"""Compiles the desired rows of a load balancer into the proxy model. Pure."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from equipoise.certificates.pair import served_certificate, served_key
from equipoise.controller.slow_start import FULL_SHARE, Shares
from equipoise.core.model import (
    EXTERNAL,
    TLS_1_0_AND_LATER,
    AdminState,
    Algorithm,
    HealthMonitor,
    Listener,
    PersistenceType,
    Pool,
    Protocol,
)
from equipoise.proxy.model import (
    BalancingPolicy,
    CipherSet,
    Persistence,
    ProxyHealthCheck,
    ProxyListener,
    ProxyLoadBalancer,
    ProxyMember,
    ProxyPool,
    ProxyTls,
    ServedProtocol,
)
from equipoise.store.desired import DesiredLoadBalancer

MILLISECONDS = 1000
"""A second. The proxy model, like the proxies, takes whole ones."""

_ALGORITHMS = {
    Algorithm.ROUND_ROBIN: BalancingPolicy.ROUND_ROBIN,
    Algorithm.LEAST_CONNECTIONS: BalancingPolicy.LEAST_CONNECTIONS,
    Algorithm.SOURCE_IP: BalancingPolicy.SOURCE,
}
_PERSISTENCE = {
    PersistenceType.SOURCE_IP: Persistence.SOURCE_IP,
    PersistenceType.HTTP_COOKIE: Persistence.HTTP_COOKIE,
}

Unseal = Callable[[str], str]
"""From a private key as it is stored to its PEM."""


IsLogged = Callable[[str], bool]
"""Whether the listener of this id has an access log."""


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """What the operator says of all load balancers alike; see `ProxyPool` and `ProxyListener`. Times are in seconds."""

    keepalive: int = 0
    is_logged: IsLogged = lambda _: False


def compile_load_balancer(
    desired: DesiredLoadBalancer, unseal: Unseal, shares: Shares, settings: ProxySettings
) -> ProxyLoadBalancer:
    """What is to be in force: nothing while it is stopped, frozen or being deleted (classic-api.md, Load balancer).

    `shares` are those of members that have less than a full one.
    """
    load_balancer = desired.load_balancer
    serves = load_balancer.admin_state_up == AdminState.ON and not load_balancer.deleting
    listeners = tuple(
        _listener(listener, listener.default_pool_id, desired, unseal, settings)
        for listener in sorted(desired.listeners, key=lambda listener: listener.id)
        # There is nothing to do for a listener without a pool.
        if serves and listener.admin_state_up and listener.default_pool_id in desired.pools
    )
    used = sorted({listener.default_pool for listener in listeners})
    return ProxyLoadBalancer(
        load_balancer_id=load_balancer.id,
        address=load_balancer.vip_address,
        listeners=listeners,
        pools=tuple(_pool(desired.pools[id], desired, shares.get(id, {}), settings) for id in used),
        # Without meaning for Internal.
        bandwidth=load_balancer.bandwidth if load_balancer.type == EXTERNAL else None,
        idle=_idle(desired, {each.listener_id for each in listeners}.union(used)),
    )


def _idle(desired: DesiredLoadBalancer, used: Collection[str]) -> tuple[str, ...]:
    """The ids of listeners and their pools that serve nothing now."""
    those = {id for each in desired.listeners for id in (each.id, each.default_pool_id) if id is not None}
    return tuple(sorted(those.difference(used)))


def _listener(
    listener: Listener, pool_id: str | None, desired: DesiredLoadBalancer, unseal: Unseal, settings: ProxySettings
) -> ProxyListener:
    return ProxyListener(
        listener_id=listener.id,
        protocol=ServedProtocol(listener.protocol),
        port=listener.port,
        default_pool=pool_id or "",
        idle_timeout=_seconds(listener.idle_timeout),
        tls=_tls(listener, desired, unseal),
        is_logged=settings.is_logged(listener.id),
        keepalive=0 if listener.protocol == Protocol.UDP else settings.keepalive,
    )


def _pool(pool: Pool, desired: DesiredLoadBalancer, shares: Mapping[str, int], settings: ProxySettings) -> ProxyPool:
    udp = pool.protocol == Protocol.UDP
    monitor = desired.health_monitors.get(pool.id)
    return ProxyPool(
        pool_id=pool.id,
        protocol=ServedProtocol(pool.protocol),
        algorithm=_ALGORITHMS[Algorithm(pool.algorithm)],
        members=_members(pool, desired, shares),
        health_check=None if monitor is None else _health_check(monitor),
        persistence=_PERSISTENCE[PersistenceType(pool.persistence_type)]
        if pool.persistent and pool.persistence_type
        else None,
        cookie_lifetime=_seconds(pool.cookie_lifetime),
        keepalive=0 if udp else settings.keepalive,
    )


def _tls(listener: Listener, desired: DesiredLoadBalancer, unseal: Unseal) -> ProxyTls | None:
    if listener.certificate_id is None:
        return None
    content = desired.certificates[listener.certificate_id]
    return ProxyTls(
        certificate=served_certificate(content.certificate),
        private_key=served_key(unseal(content.private_key)),
        since_tls_1_0=listener.tls_protocols == TLS_1_0_AND_LATER,
        ciphers=CipherSet(listener.tls_ciphers or CipherSet.DEFAULT),
    )


def _members(pool: Pool, desired: DesiredLoadBalancer, shares: Mapping[str, int]) -> tuple[ProxyMember, ...]:
    """Each place once, with the largest weight that is asked for it; that of a member that is no backup, if there is.
    Where members have less than their full share, weights are in parts of it.
    """
    found = desired.members.get(pool.id, ())
    # What is known from a proxy must not change what proxies are told.
    is_told = pool.protocol == Protocol.UDP and pool.id in desired.health_monitors
    places: dict[tuple[str, int], ProxyMember] = {}
    for each in found:
        port = each.port or pool.default_port
        if port is None:
            continue
        member = ProxyMember(
            each.address,
            port,
            each.weight,
            each.backup,
            each.monitor_address,
            each.monitor_port,
            each.healthy if is_told else None,
        )
        there = places.get((each.address, port))
        if there is None or (member.backup, -member.weight) < (there.backup, -there.weight):
            places[each.address, port] = member
    if not shares:
        return tuple(places[place] for place in sorted(places))
    return tuple(
        member._replace(weight=member.weight * shares.get(member.address, FULL_SHARE))
        for _, member in sorted(places.items())
    )


def _health_check(monitor: HealthMonitor) -> ProxyHealthCheck:
    return ProxyHealthCheck(
        protocol=ServedProtocol(monitor.type),
        path=monitor.path,
        port=monitor.port,
        interval=monitor.interval // MILLISECONDS,
        timeout=monitor.timeout // MILLISECONDS,
        healthy_threshold=monitor.healthy_threshold,
        unhealthy_threshold=monitor.unhealthy_threshold,
    )


def _seconds(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else milliseconds // MILLISECONDS
