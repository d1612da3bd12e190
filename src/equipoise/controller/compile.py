"""Compiles the desired rows of a load balancer into the proxy model. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from equipoise.certificates.pair import served_certificate, served_key
from equipoise.controller.slow_start import Shares
from equipoise.domain.model import EXTERNAL, AdminState, HealthCheck, Listener
from equipoise.domain.rules.listener import TLS_1_0_AND_LATER
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

SECONDS_A_MINUTE = 60


Unseal = Callable[[str], str]
"""From a private key as it is stored to its PEM."""


IsLogged = Callable[[str], bool]
"""Whether the listener of this id has an access log."""


def compile_load_balancer(
    desired: Desired, unseal: Unseal, shares: Shares, is_logged: IsLogged = lambda _: False, keepalive: int = 0
) -> ProxyLoadBalancer:
    """What is to be in force: nothing while it is stopped, frozen or being deleted (classic-api.md, Load balancer).

    `shares` are those of members that have less than a full one; `keepalive` is in seconds, see `ProxyListener`.
    """
    load_balancer = desired.load_balancer
    serves = load_balancer.admin_state_up == AdminState.ON and not load_balancer.deleting
    return ProxyLoadBalancer(
        load_balancer_id=load_balancer.id,
        address=load_balancer.vip_address,
        listeners=tuple(
            replace(
                _udp_listener(listener, desired)
                if listener.protocol == "UDP"
                else _listener(
                    listener, desired, _tls(listener, desired, unseal), shares.get(listener.id, {}), keepalive
                ),
                is_logged=is_logged(listener.id),
            )
            for listener in sorted(desired.listeners, key=lambda listener: listener.id)
            if serves and listener.admin_state_up
        ),
        # Without meaning for Internal.
        bandwidth=load_balancer.bandwidth if load_balancer.type == EXTERNAL else None,
    )


def _listener(
    listener: Listener, desired: Desired, tls: ProxyTls | None, shares: Mapping[str, int], keepalive: int
) -> ProxyListener:
    check = desired.health_checks.get(listener.id)
    return ProxyListener(
        listener_id=listener.id,
        protocol=Protocol(listener.protocol),
        port=listener.port,
        backend_port=listener.backend_port,
        algorithm=Algorithm(listener.lb_algorithm),
        members=_members(desired, listener.id),
        health_check=None if check is None else _health_check(check),
        idle_timeout=None if listener.tcp_timeout is None else listener.tcp_timeout * SECONDS_A_MINUTE,
        tls=tls,
        is_sticky=listener.session_sticky,
        cookie_lifetime=None if listener.cookie_timeout is None else listener.cookie_timeout * SECONDS_A_MINUTE,
        shares=shares,
        keepalive=keepalive,
    )


def _tls(listener: Listener, desired: Desired, unseal: Unseal) -> ProxyTls | None:
    if listener.certificate_id is None:
        return None
    content = desired.certificates[listener.certificate_id]
    return ProxyTls(
        certificate=served_certificate(content.certificate),
        private_key=served_key(unseal(content.private_key)),
        since_tls_1_0=listener.ssl_protocols == TLS_1_0_AND_LATER,
        ciphers=CipherSet(listener.ssl_ciphers or CipherSet.DEFAULT),
    )


def _udp_listener(listener: Listener, desired: Desired) -> ProxyListener:
    """Envoy has no checks for UDP: who fails ours is left out, as long as there is a check.

    Left out and not marked as unhealthy: if all are marked, Envoy goes on sending the datagrams of the sessions that
    there are to members known to be down.
    """
    failing = desired.failing.get(listener.id, ()) if listener.id in desired.health_checks else ()
    return ProxyListener(
        listener_id=listener.id,
        protocol=Protocol.UDP,
        port=listener.port,
        backend_port=listener.backend_port,
        algorithm=Algorithm(listener.lb_algorithm),
        members=tuple(address for address in _members(desired, listener.id) if address not in failing),
        health_check=None,
        idle_timeout=None if listener.udp_timeout is None else listener.udp_timeout * SECONDS_A_MINUTE,
    )


def _members(desired: Desired, listener_id: str) -> tuple[str, ...]:
    return tuple(sorted(set(desired.members.get(listener_id, ()))))


def _health_check(check: HealthCheck) -> ProxyHealthCheck:
    return ProxyHealthCheck(
        protocol=Protocol(check.healthcheck_protocol),
        path=check.healthcheck_uri,
        port=check.healthcheck_connect_port,
        interval=check.healthcheck_interval,
        timeout=check.healthcheck_timeout,
        healthy_threshold=check.healthy_threshold,
        unhealthy_threshold=check.unhealthy_threshold,
    )
