"""Compiles the desired rows of a load balancer into the proxy model. Pure."""

from collections.abc import Callable
from dataclasses import replace

from equipoise.certificates.pair import served_certificate, served_key
from equipoise.domain.model import EXTERNAL, TLS_1_0_AND_LATER, AdminState, HealthMonitor, Listener, Pool
from equipoise.domain.model import Algorithm as PoolAlgorithm
from equipoise.domain.model import Protocol as PoolProtocol
from equipoise.store.desired import Desired
from equipoise.xds.model import (
    Algorithm,
    CipherSet,
    Protocol,
    ProxyHealthCheck,
    ProxyListener,
    ProxyLoadBalancer,
    ProxyTls,
)

MILLISECONDS = 1000

_ALGORITHMS = {
    PoolAlgorithm.ROUND_ROBIN: Algorithm.ROUND_ROBIN,
    PoolAlgorithm.LEAST_CONNECTIONS: Algorithm.LEAST_CONNECTIONS,
    PoolAlgorithm.SOURCE_IP: Algorithm.SOURCE,
}

Unseal = Callable[[str], str]
"""From a private key as it is stored to its PEM."""


IsLogged = Callable[[str], bool]
"""Whether the listener of this id has an access log."""


def compile_load_balancer(
    desired: Desired, unseal: Unseal, slow_start: int, is_logged: IsLogged = lambda _: False
) -> ProxyLoadBalancer:
    """What is to be in force: nothing while it is stopped, frozen or being deleted (classic-api.md, Load balancer).

    `slow_start` is in seconds, see `ProxyListener`.
    """
    load_balancer = desired.load_balancer
    serves = load_balancer.admin_state_up == AdminState.ON and not load_balancer.deleting
    return ProxyLoadBalancer(
        load_balancer_id=load_balancer.id,
        address=load_balancer.vip_address,
        listeners=tuple(
            replace(
                _listener(listener, desired.pools[listener.default_pool_id or ""], desired, unseal, slow_start),
                is_logged=is_logged(listener.id),
            )
            for listener in sorted(desired.listeners, key=lambda listener: listener.id)
            if serves and listener.admin_state_up
        ),
        # Without meaning for Internal.
        bandwidth=load_balancer.bandwidth if load_balancer.type == EXTERNAL else None,
    )


def _listener(listener: Listener, pool: Pool, desired: Desired, unseal: Unseal, slow_start: int) -> ProxyListener:
    udp = pool.protocol == PoolProtocol.UDP
    monitor = desired.health_monitors.get(pool.id)
    return ProxyListener(
        listener_id=listener.id,
        protocol=Protocol(listener.protocol),
        port=listener.port,
        backend_port=pool.default_port or 0,
        algorithm=_ALGORITHMS[PoolAlgorithm(pool.algorithm)],
        members=_members(desired, pool),
        health_check=None if monitor is None or udp else _health_check(monitor),
        idle_timeout=_seconds(listener.idle_timeout),
        tls=_tls(listener, desired, unseal),
        is_sticky=pool.persistent,
        cookie_lifetime=_seconds(pool.cookie_lifetime),
        slow_start=0 if udp else slow_start,
    )


def _tls(listener: Listener, desired: Desired, unseal: Unseal) -> ProxyTls | None:
    if listener.certificate_id is None:
        return None
    content = desired.certificates[listener.certificate_id]
    return ProxyTls(
        certificate=served_certificate(content.certificate),
        private_key=served_key(unseal(content.private_key)),
        since_tls_1_0=listener.tls_protocols == TLS_1_0_AND_LATER,
        ciphers=CipherSet(listener.tls_ciphers or CipherSet.DEFAULT),
    )


def _members(desired: Desired, pool: Pool) -> tuple[str, ...]:
    """Envoy has no checks for UDP: who fails ours is left out, as long as there is a monitor.

    Left out and not marked as unhealthy: if all are marked, Envoy goes on sending the datagrams of the sessions that
    there are to members known to be down.
    """
    found = desired.members.get(pool.id, ())
    failing: set[str] = set()
    if pool.protocol == PoolProtocol.UDP and pool.id in desired.health_monitors:
        failing = {member.address for member in found if member.failing}
    return tuple(sorted({member.address for member in found} - failing))


def _health_check(monitor: HealthMonitor) -> ProxyHealthCheck:
    return ProxyHealthCheck(
        protocol=Protocol(monitor.type),
        path=monitor.path,
        port=monitor.port,
        interval=monitor.interval // MILLISECONDS,
        timeout=monitor.timeout // MILLISECONDS,
        healthy_threshold=monitor.healthy_threshold,
        unhealthy_threshold=monitor.unhealthy_threshold,
    )


def _seconds(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else milliseconds // MILLISECONDS
